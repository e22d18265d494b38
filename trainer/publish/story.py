"""How a model came about: the card's sections of pictures, training, repetition and footprint."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from trainer.config import Config, command_line
from trainer.figures import duration, percent, rate
from trainer.publish.facts import FoundRate, RunFacts
from trainer.publish.markup import (
    bullets,
    fenced,
    folded,
    table,
    text,
)

if TYPE_CHECKING:
    from trainer.publish.plots import Plot

_MAX_CLASSES = 100
"""Names that are listed; config.json holds all."""

UNKNOWN = "Nothing is known of this: the model came without the journal of its training."


def pictures(facts: RunFacts) -> str:
    """The dataset, its split, what was left out, the labels."""
    started = facts.started
    if started is None:
        return UNKNOWN
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


def training(facts: RunFacts, plots: Sequence["Plot"]) -> str:
    """The rates and where they came from, the phases, the curves, every setting."""
    if facts.started is None and facts.config is None:
        return UNKNOWN
    parts = [_rates(facts), shown(plots, "sweep"), _phases(facts), shown(plots, "curves")]
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


def again(facts: RunFacts) -> str:
    """The command that makes the run again, and how alike it will be."""
    started, config = facts.started, facts.config
    if started is None or config is None:
        return UNKNOWN
    dataset = started.dataset
    if started.dataset_kind == "hub" and started.dataset_revision:
        dataset = f"{dataset}@{started.dataset_revision}"
    command = command_line(_as_it_turned_out(config, facts), dataset)
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


def _as_it_turned_out(config: Config, facts: RunFacts) -> Config:
    """The config with what `unfreeze=auto` came to: another machine, slower or faster, might
    decide otherwise."""
    if config.unfreeze != "auto" or not config.pretrained or facts.done is None:
        return config
    trained = any(phase.phase == "all" for phase in facts.phases)
    return replace(config, unfreeze="always" if trained else "never")


def _pinned(facts: RunFacts) -> str:
    if not (facts.config and facts.config.lr is None and facts.done and facts.done.lr):
        return ""
    return f" To leave the sweep out, add `--lr {facts.done.lr:g}`."


def footprint(facts: RunFacts) -> str:
    """Measured time on named hardware; nothing that was not measured."""
    started, done = facts.started, facts.done
    if started is None or done is None:
        return UNKNOWN
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


def shown(plots: Sequence["Plot"], what: str) -> str:
    """The plots whose file names begin so."""
    found = [plot for plot in plots if plot.name.startswith(f"plots/{what}")]
    return "\n\n".join(f"![{text(plot.alt, 300)}]({plot.name})" for plot in found)
