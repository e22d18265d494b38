"""Cards and bars of a run: waiting, running, done, stopped, failed. Pure HTML from a fold."""

import math
from pathlib import Path

from trainer.events import Evaluated
from trainer.figures import duration, percent, rate
from trainer.margin import wilson_interval
from trainer.runner.folder import Run
from ui.data_view import sheet_html
from ui.fold import Fold
from ui.words import count, shorten, text

KINDS = {
    "sweep": "LR sweep",
    "train": "Training",
    "check": "Looking at the pictures",
    "preflight": "Asking the Hub",
    "publish": "Publishing",
}
MAX_MATRIX = 20
"""Classes up to which the confusion matrix is drawn whole."""


def run_bar(
    run: Run, fold: Fold, position: int, *, warm: bool, wait_seconds: float | None = None
) -> str:
    """The slim bar seen from every tab: what runs, how far it is, how long it will take."""
    name = f"{KINDS.get(run.kind, run.kind)} · {shorten(run.title)}"
    if run.status == "queued":
        before = count(position, "run") + " before it" if position else "next in line"
        if wait_seconds is not None:
            before += f", at least {duration(wait_seconds)}"
        words = before if warm else "starting up, about 15 s the first time"
        return _bar(name, f"waiting: {words}", None)
    if fold.waiting is not None:
        wait = fold.waiting
        left = f", {duration(wait.seconds_left)} left" if wait.seconds_left is not None else ""
        share = wait.done / wait.total if wait.total > 1 else None
        return _bar(name, f"{wait.text}{left}", share)
    if run.kind == "sweep" and fold.sweep_steps:
        step = fold.sweep_steps[-1]
        words = f"step {step.step} of {step.total_steps} at {rate(step.lr)}"
        return _bar(name, words, step.step / step.total_steps)
    if fold.last_step is not None and run.kind == "train":
        return _bar(name, training_words(fold), fold.last_step.step / fold.last_step.total_steps)
    if fold.sweep_steps:
        step = fold.sweep_steps[-1]
        return _bar(name, f"sweeping first, step {step.step} of {step.total_steps}", None)
    return _bar(name, "starting", None)


def training_words(fold: Fold) -> str:
    """Step 112 of 672 · epoch 2 of 4 · validation accuracy 98.3 % · 110 images/s · 40 s left."""
    step = fold.last_step
    if step is None:
        return ""
    parts = [f"step {step.step} of {step.total_steps}"]
    if fold.phases:
        parts.append(f"epoch {step.epoch + 1} of {fold.phases[-1].epochs}")
    if fold.epochs:
        parts.append(f"validation accuracy {percent(fold.epochs[-1].valid_accuracy)}")
    parts.append(f"{step.images_per_second:.0f} images/s")
    if step.seconds_left is not None:
        parts.append(f"{duration(step.seconds_left)} left")
    return " · ".join(parts)


def train_card(run: Run | None, fold: Fold) -> str:
    """What stands under the charts: nothing yet, how it goes, how it ended."""
    if run is None:
        return (
            '<div class="lab-card empty"><h3>No training yet</h3><p>Press <b>Train</b>. The model '
            "that is best on the validation pictures is kept.</p></div>"
        )
    if run.status == "failed" and fold.failed:
        return end_card("failed", "This run failed", fold.failed.message, fold)
    if run.status == "stopped":
        words = fold.stopped.message if fold.stopped else "It was stopped."
        kept = (
            f"Best so far: {percent(best(fold))} of the validation pictures." if fold.epochs else ""
        )
        return end_card("stopped", "Stopped", f"{words} {kept}", fold)
    if fold.done is not None and fold.evaluated is not None:
        return _done_card(Path(run.folder), fold, fold.evaluated)
    return f'<div class="lab-card"><h3>Under way</h3>{_story(fold)}</div>'


def best(fold: Fold) -> float | None:
    """The best validation accuracy so far."""
    return max((epoch.valid_accuracy for epoch in fold.epochs), default=None)


def end_card(kind: str, title: str, words: str, fold: Fold | None = None) -> str:
    """A card for a run that did not get to its end, with what was noted on the way, if anything."""
    story = _story(fold) if fold is not None and fold.notes else ""
    return f'<div class="lab-card {kind}"><h3>{text(title)}</h3><p>{text(words)}</p>{story}</div>'


def sweep_verdict(run: Run | None, fold: Fold) -> str:
    """One sentence with its reason, under the sweep's chart."""
    if run is not None and run.status == "failed" and fold.failed:
        return end_card("failed", "The sweep failed", fold.failed.message, fold)
    if run is not None and run.status == "stopped":
        words = "The sweep was stopped; nothing was changed by it."
        return end_card("stopped", "Stopped", words, fold)
    swept = fold.swept
    if swept is None:
        return ""
    title = f"Suggested: {rate(swept.suggested_lr)}" if swept.suggested_lr else "No suggestion"
    if swept.usable:
        low, high = swept.usable
        title += f" (usable: {rate(low)} to {rate(high)})"
    return (
        f'<div class="lab-card"><h3>{title}</h3><p>{text(swept.reason)}</p>'
        f'<p class="quiet">{len(swept.lrs)} rates in {duration(swept.seconds)}. '
        "Click the curve to choose another rate.</p></div>"
    )


def reading_help(fold: Fold) -> str:
    """How to read this very curve."""
    swept = fold.swept
    finite = swept.smooth_losses if swept else ()
    if swept is None or not finite:
        return "Run a sweep first; then this explains the curve that you see."
    lines = [
        "The **learning rate** is how far the weights move at each step: the brake of the lesson. "
        "The sweep tries one step at each rate, from tiny to huge, and watches the loss.",
        f"- **Left, flat** (from {rate(swept.lrs[0])}): steps so small that the loss stays near "
        f"{finite[0]:.2f}.",
    ]
    if swept.steep:
        low, high = swept.steep
        lines.append(
            f"- **The fall**, steepest from {rate(low)} to {rate(high)}: here the model learns, "
            f"down to {min(finite):.2f}. The lesson picks a rate here, not at the bottom: at the "
            "bottom single steps are already too long, and only momentum hides it."
        )
    last = f"at {rate(swept.lrs[-1])} the sweep gave up" if swept.diverged else "the loss rises"
    lines.append(f"- **Right, rising**: steps so long that they jump over the valley; {last}.")
    if swept.band_low:
        lines.append(
            "- **The band** lies between the highest and the lowest of the repeats: where it is "
            "as wide as the fall, the curve is mostly noise."
        )
    if swept.suggested_lr:
        lines += _why_this_rate(fold, swept.suggested_lr)
    if fold.raced:
        lines.append(
            "- **The race** shows the same short training at three rates: too low crawls, too "
            "high jumps about or blows up."
        )
    return "\n".join(lines)


def _why_this_rate(fold: Fold, chosen: float) -> list[str]:
    """Why not ten times more, why not ten times less: measured where that was done."""
    assert fold.swept is not None
    if not fold.swept.measured or fold.tried is None:
        return [
            f"- **{rate(chosen)}** is a tenth of the rate with the lowest loss. Ten times more "
            f"({rate(chosen * 10)}) is where the loss stops falling; ten times less "
            f"({rate(chosen / 10)}) would need far more epochs. No training has checked it."
        ]
    tried = fold.tried
    found = dict(zip(tried.lrs, tried.accuracies, strict=True))
    near = {
        factor: min(found, key=lambda lr: abs(math.log(lr / (chosen * factor))))
        for factor in (0.1, 1.0, 10.0)
    }
    words = "; ".join(f"{rate(lr)}: {percent(found[lr])}" for lr in sorted(set(near.values())))
    return [
        f"- **{rate(chosen)}** is not read off the curve but measured, by {text(tried.what)}: "
        f"{words} of {tried.num_held_out:,} held-out pictures right. It is the middle of the "
        "rates that are as accurate as the best, so a little more or less makes no difference. "
        "A rate that is far too high may look as accurate, but its higher loss there says that "
        "it is sure of its mistakes.",
    ]


def _bar(name: str, words: str, share: float | None) -> str:
    width = f' style="width:{min(1.0, share) * 100:.1f}%"' if share is not None else ""
    kind = "" if share is not None else " wait"
    value = f' aria-valuenow="{share * 100:.0f}"' if share is not None else ""
    return (
        f'<div class="lab-bar" aria-live="off"><p><b>{text(name)}</b><span>{text(words)}</span></p>'
        f'<div class="lab-track{kind}" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f'{value} aria-label="{text(name)}"><i{width}></i></div></div>'
    )


def _story(fold: Fold) -> str:
    """What was chosen and done, a line each."""
    lines = list(fold.notes)
    lines += [
        f"{phase.title}: {count(phase.epochs, 'epoch')} at {rate(phase.lr)}; {phase.why}."
        for phase in fold.phases
    ]
    if fold.started is not None:
        lines.insert(0, f"{fold.started.model_name} on {fold.started.reason}.")
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f'<ul class="lab-steps">{items}</ul>'


def _done_card(folder: Path, fold: Fold, result: Evaluated) -> str:
    done = fold.done
    assert done is not None
    right = f"{done.num_correct} of {done.num_valid} validation pictures right"
    margin = _margin(done.num_correct, done.num_valid)
    matrix = confusion_html(result)
    worst = sheet_html(folder / "worst", "Most confident mistakes (true class → answer)", big=True)
    none_wrong = "<p class='lab-quiet'>No mistakes on the validation pictures.</p>"
    return (
        f'<div class="lab-card"><h3>Trained in {duration(done.seconds)}</h3>'
        f'<p class="big">{percent(done.valid_accuracy)}</p><p>{right}; with other pictures like '
        f"these, expect {margin}.</p>"
        f'<p class="quiet">Best: {text(done.best_epoch)} · learning rate {rate(done.lr)}</p>'
        f'<div class="lab-two"><div>{matrix}</div><div>{worst or none_wrong}</div></div>'
        f"<details><summary class='lab-quiet'>What was done</summary>{_story(fold)}</details></div>"
    )


def _margin(correct: int, total: int) -> str:
    """The 95 % interval of a share: "96.9 to 99.8 %"."""
    low, high = wilson_interval(correct, total)
    return f"{low * 100:.1f} to {percent(high)}"


def confusion_html(result: Evaluated) -> str:
    """Who was taken for whom; the largest confusions alone where there are many classes."""
    names = result.class_names
    if len(names) > MAX_MATRIX:
        return _confusions(result)
    head = "".join(f"<th><span title='{text(n)}'>{text(shorten(n, 14))}</span></th>" for n in names)
    rows = "".join(_matrix_row(result, index) for index in range(len(names)))
    return (
        '<table class="lab-table"><caption class="lab-quiet">Rows: what it is. Columns: what the '
        f"model says.</caption><tr><th></th>{head}<th>found</th></tr>{rows}</table>"
    )


def _matrix_row(result: Evaluated, index: int) -> str:
    row = result.confusion[index]
    total = sum(row) or 1
    cells = "".join(
        f'<td class="{"hit" if column == index else ""}" style="background:'
        f'{_shade(value / total, column == index)}">{value or "·"}</td>'
        for column, value in enumerate(row)
    )
    name = result.class_names[index]
    return (
        f"<tr><th><span title='{text(name)}'>{text(shorten(name, 14))}</span></th>{cells}"
        f"<td>{percent(result.recall[index])}</td></tr>"
    )


def _shade(share: float, hit: bool) -> str:
    colour = "22,145,127" if hit else "200,60,40"
    return f"rgba({colour},{0.55 * share:.2f})"


def _confusions(result: Evaluated) -> str:
    pairs = sorted(
        (
            (value, true, pred)
            for true, row in enumerate(result.confusion)
            for pred, value in enumerate(row)
            if value and true != pred
        ),
        reverse=True,
    )[:15]
    names = result.class_names
    rows = "".join(
        f"<tr><td>{text(shorten(names[t], 30))}</td><td>{text(shorten(names[p], 30))}</td>"
        f"<td>{v}</td></tr>"
        for v, t, p in pairs
    )
    return (
        '<table class="lab-table"><caption class="lab-quiet">The most frequent mistakes</caption>'
        f"<tr><th>What it is</th><th>What the model says</th><th>times</th></tr>{rows}</table>"
    )
