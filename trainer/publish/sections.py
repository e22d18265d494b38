"""The card's body: one function a section, from facts to Markdown."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from trainer.config import Config, command_line
from trainer.events import Evaluated
from trainer.metrics import wilson_interval
from trainer.publish.facts import FoundRate, RunFacts
from trainer.publish.limits_words import limits
from trainer.publish.markup import (
    bullets,
    duration,
    fenced,
    folded,
    listed,
    percent,
    rate,
    table,
    text,
)
from trainer.publish.usage import usage

if TYPE_CHECKING:
    from trainer.publish.plots import Plot

_MAX_CLASSES = 100
"""Names that are listed; config.json holds all."""
_MAX_ROWS = 50
"""Classes in the table, the worst."""
_MAX_PAIRS = 10
"""Confusions that are listed, the most frequent."""

_UNKNOWN = "Nothing is known of this: the model came without the journal of its training."


def body(facts: RunFacts, repo_id: str | None, plots: Sequence["Plot"]) -> str:
    """Everything below the front matter."""
    sections = [
        ("", _summary(facts)),
        ("Use it", usage(facts, repo_id)),
        ("How good it is", _results(facts, plots)),
        ("Limits", bullets(limits(facts))),
        ("Pictures", _pictures(facts)),
        ("Training", _training(facts, plots)),
        ("Made again", _again(facts)),
        ("Footprint", _footprint(facts)),
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
        return _UNKNOWN
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
        _shown(plots, "confusion"),
        _confusions(result),
        _shown(plots, "calibration"),
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


def _shown(plots: Sequence["Plot"], what: str) -> str:
    """The plots whose file names begin so."""
    found = [plot for plot in plots if plot.name.startswith(f"plots/{what}")]
    return "\n\n".join(f"![{text(plot.alt, 300)}]({plot.name})" for plot in found)


def _pictures(facts: RunFacts) -> str:
    started = facts.started
    if started is None:
        return _UNKNOWN
    name = text(started.dataset)
    if started.dataset_kind == "hub":
        name = f"[{name}](https://huggingface.co/datasets/{_path(started.dataset)})"
    kinds = {"folder": " (a folder)", "zip": " (a zip)", "builtin": " (built in)"}
    counts = f"{started.num_train:,} to train on, {started.num_valid:,} to validate with"
    if started.num_test:
        counts += f", {started.num_test:,} test pictures left alone"
    classes = [
        f"{text(label)} ({count:,})"
        for label, count in zip(started.class_names, started.train_counts, strict=False)
    ][:_MAX_CLASSES]
    more = len(started.class_names) - len(classes)
    rows = [
        f"Dataset: {name}{kinds.get(started.dataset_kind, '')}"
        + (f", revision `{_path(started.dataset_revision)}`" if started.dataset_revision else ""),
        f"Its licence: {text(started.dataset_licence) or 'not stated'}",
        f"Pictures: {counts}",
        f"Split: {text(started.split_rule, 300) or 'not known'}",
        f"Cleaned: every picture was decoded once; {_left_out(started.num_skipped)}",
        text(facts.augmentation, 300) or "Augmentation: not known",
    ]
    parts = [bullets(rows)]
    if classes:
        tail = f" and {more:,} more, in config.json" if more > 0 else ""
        parts.append(folded("Labels, with training pictures", f"{', '.join(classes)}{tail}"))
    return "\n\n".join(parts)


def _left_out(count: int) -> str:
    if not count:
        return "none was left out"
    what = "file or row was" if count == 1 else "files or rows were"
    return f"{count:,} {what} left out: no pictures, damaged, or too large"


def _path(name: str) -> str:
    """What may stand in an address or between backticks: ASCII letters, digits and ./_-."""
    return "".join(char for char in name if char.isascii() and (char.isalnum() or char in "./_-"))


def _training(facts: RunFacts, plots: Sequence["Plot"]) -> str:
    if facts.started is None and facts.config is None:
        return _UNKNOWN
    parts = [_rates(facts), _shown(plots, "sweep"), _phases(facts), _shown(plots, "curves")]
    if facts.config is not None:
        parts.append(folded("All settings", _settings(facts.config)))
    return "\n\n".join(part for part in parts if part)


def _rates(facts: RunFacts) -> str:
    """Where the learning rate came from."""
    if facts.rates:
        return "\n\n".join(_rate_words(found) for found in facts.rates)
    if facts.config is not None and facts.config.lr is not None:
        return f"The learning rate, {rate(facts.config.lr)}, was given: this run swept none."
    return ""


def _rate_words(found: FoundRate) -> str:
    swept = found.swept
    what = f" ({text(found.phase.title)})" if found.phase else ""
    return (
        f"**Learning rate {rate(found.lr)}**{what}, found by an LR sweep (range test, Smith 2015) "
        f"in {duration(swept.seconds)}. {text(swept.reason, 500)}"
    )


def _phases(facts: RunFacts) -> str:
    """One row a phase: what was trained, how long, and what came of it."""
    rows = []
    for phase in facts.phases:
        end = phase.first_step + phase.num_steps
        epochs = [e for e in facts.epochs if phase.first_step < e.step <= end]
        last = epochs[-1] if epochs else None
        rows.append(
            [
                text(phase.title),
                f"{len(epochs)}",
                rate(phase.lr),
                f"{last.train_loss:.4f}" if last else "–",
                f"{last.valid_loss:.4f}" if last else "–",
                percent(max(e.valid_accuracy for e in epochs)) if epochs else "–",
            ]
        )
    head = ["Phase", "Epochs", "Rate", "Training loss", "Validation loss", "Best accuracy"]
    kept = f"\n\nKept: the weights after “{text(facts.done.best_epoch)}”." if facts.done else ""
    return f"{table(head, rows)}{kept}" if rows else ""


def _settings(config: Config) -> str:
    rows = [[f"`{f.name}`", _value(getattr(config, f.name))] for f in fields(Config)]
    return table(["Setting", "Value"], rows, words=2)


def _value(value: object) -> str:
    if value is None:
        return "auto"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else text(value)


def _again(facts: RunFacts) -> str:
    started, config = facts.started, facts.config
    if started is None or config is None:
        return _UNKNOWN
    dataset = started.dataset
    if started.dataset_kind == "hub" and started.dataset_revision:
        dataset = f"{dataset}@{started.dataset_revision}"
    command = command_line(config, dataset)
    for name in ("seed", "split_seed"):  # said, even where it is the default: that may change
        option = f"--{name.replace('_', '-')}"
        if f" {option} " not in command:
            command += f" {option} {getattr(config, name)}"
    used = ", ".join(f"{text(name)} {text(number)}" for name, number in started.versions.items())
    words = [
        "With LR Lab, in its folder:",
        fenced(command, "sh"),
        "The seeds fix the split, the order of the pictures, their augmentation and the new head. "
        f"On the same hardware and versions ({used or 'not known'}) the steps are the same; "
        "elsewhere they differ in the last digits, and a sweep's reading may too."
        f"{_pinned(facts)}",
    ]
    if started.dataset_kind in ("folder", "zip"):
        words.append("The pictures are not on the Hub: the command needs them under that name.")
    return "\n\n".join(words)


def _pinned(facts: RunFacts) -> str:
    if not (facts.config and facts.config.lr is None and facts.done and facts.done.lr):
        return ""
    return f" To leave the sweep out, add `--lr {facts.done.lr:g}`."


def _footprint(facts: RunFacts) -> str:
    started, done = facts.started, facts.done
    if started is None or done is None:
        return _UNKNOWN
    sweeps = sum(found.swept.seconds for found in facts.rates)
    parts = [f"Trained in **{duration(done.seconds)}** on {text(started.hardware) or '?'}"]
    if sweeps:
        parts.append(f", {duration(sweeps)} of that for finding the learning rate")
    if facts.num_sessions > 1:
        parts.append(f", in {facts.num_sessions} sessions, of which the last is named")
    return (
        f"{''.join(parts)}. That is measured from opening the pictures to the last figure. Energy "
        "was not measured, so no emissions are stated."
    )


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
        return f"Not known: timm states none for the weights that training began from. {trained}"
    return f"{text(stated)}, the licence of the weights that training began from. {trained}"
