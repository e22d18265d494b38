"""The card's body: its sections, and those that say what the model is and how good it is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainer.events import Evaluated
from trainer.figures import percent
from trainer.margin import wilson_interval
from trainer.publish.facts import RunFacts
from trainer.publish.limits_words import limits
from trainer.publish.markup import bullets, folded, listed, table, text
from trainer.publish.story import UNKNOWN, again, footprint, pictures, shown, training
from trainer.publish.usage import usage

if TYPE_CHECKING:
    from trainer.publish.plots import Plot

_MAX_ROWS = 50
"""Classes in the table, the worst."""
_MAX_PAIRS = 10
"""Confusions that are listed, the most frequent."""


def body(facts: RunFacts, repo_id: str | None, plots: Sequence["Plot"]) -> str:
    """Everything below the front matter."""
    sections = [
        ("", _summary(facts)),
        ("Use it", usage(facts, repo_id)),
        ("How good it is", _results(facts, plots)),
        ("Limits", bullets(limits(facts))),
        ("Pictures", pictures(facts)),
        ("Training", training(facts, plots)),
        ("Made again", again(facts)),
        ("Footprint", footprint(facts)),
        ("Licence", _licence(facts)),
    ]
    return "\n\n".join(f"## {title}\n\n{words}" if title else words for title, words in sections)


def _summary(facts: RunFacts) -> str:
    """The title, and the answer to what this is."""
    started, name = facts.started, text(facts.model_name)
    dataset = text(started.dataset) if started else ""
    how = "trained on" if facts.pretrained is False else "fine-tuned on"
    title = f"# {name}, {how} {dataset}" if dataset else f"# {name}, an image classifier"
    lines = [f"Tells {len(facts.class_names):,} classes of pictures apart: {_names(facts)}."]
    result = facts.evaluated
    if result is not None:
        right = sum(row[index] for index, row in enumerate(result.confusion))
        low, high = wilson_interval(right, result.num_images)
        lines.append(
            f"**{percent(result.accuracy)}** of {result.num_images:,} {_split(result)} pictures "
            f"are right; with other pictures like these, expect {percent(low)} to {percent(high)}."
        )
    if facts.pretrained and facts.base_model:
        base = facts.base_model
        link = f"[{text(base)}](https://huggingface.co/{base})"
        lines.append(f"The weights began as {link}, a network trained on other pictures.")
    elif facts.pretrained is False:
        lines.append("The weights began as random numbers: there is no base model.")
    return "\n\n".join([title, " ".join(lines)])


def _names(facts: RunFacts) -> str:
    return listed(facts.class_names, 12)


def _split(result: Evaluated) -> str:
    return {"valid": "validation", "train": "training", "test": "test"}.get(result.split, "other")


def _results(facts: RunFacts, plots: Sequence["Plot"]) -> str:
    result = facts.evaluated
    if result is None:
        return UNKNOWN
    figures = table(
        [f"{_split(result).capitalize()} pictures", f"{result.num_images:,}"],
        [
            ["Accuracy", percent(result.accuracy)],
            ["Macro F1", percent(result.macro_f1)],
            ["Loss (cross-entropy, nats)", f"{result.loss:.4f}"],
            ["Expected calibration error", percent(result.calibration_error)],
        ],
    )
    parts = [
        figures,
        _classes(result),
        shown(plots, "confusion"),
        _confusions(result),
        shown(plots, "calibration"),
    ]
    return "\n\n".join(part for part in parts if part)


def _classes(result: Evaluated) -> str:
    """One row a class, the worst first, folded."""
    count = len(result.class_names)
    f1 = result.f1 or (None,) * count

    def worst_first(index: int) -> tuple[float, int]:
        value = f1[index]
        return (2.0 if value is None else value, index)

    order = sorted(range(count), key=worst_first)[:_MAX_ROWS]
    rows = [
        [
            text(result.class_names[index]),
            f"{sum(result.confusion[index]):,}",
            percent(result.precision[index]),
            percent(result.recall[index]),
            percent(f1[index]),
        ]
        for index in order
    ]
    title = "Each class" if count <= _MAX_ROWS else f"The {_MAX_ROWS} worst of {count:,} classes"
    head = ["Class", "Pictures", "Precision", "Recall", "F1"]
    return folded(f"{title}, the worst first", table(head, rows))


def _confusions(result: Evaluated) -> str:
    """Who is taken for whom most often."""
    pairs = sorted(
        (-count, true, pred)
        for true, row in enumerate(result.confusion)
        for pred, count in enumerate(row)
        if count and true != pred
    )[:_MAX_PAIRS]
    if not pairs:
        return "No picture was taken for another class."
    names = result.class_names
    rows = [[text(names[true]), text(names[pred]), f"{-count:,}"] for count, true, pred in pairs]
    found = table(["It is", "The model says", "Pictures"], rows, words=2)
    return f"The most frequent mistakes:\n\n{found}"


def _licence(facts: RunFacts) -> str:
    trained = "The pictures have a licence of their own, see above."
    if facts.pretrained is None:
        return f"Not known: nobody wrote down what the weights began as. {trained}"
    if not facts.pretrained:
        return (
            "None is set: the weights began as random numbers, so they inherit none. Whoever "
            f"publishes them chooses. {trained}"
        )
    stated = facts.base_licence
    if not stated or stated == "unknown":
        return f"Not known: none is stated for the weights that training began from. {trained}"
    return f"{text(stated)}, the licence of the weights that training began from. {trained}"
