"""Check a sweep's reading with trainings at several rates, judged on held-out pictures.

A head on cached features is trained in full at every half decade, so its rate is measured. For
all layers from random weights the time allows short fits around the reading. Once a trained head
stands on a pretrained body no training picture is unseen any more: there the curve has to do.
"""

import time
from collections.abc import Generator, Sequence

import numpy as np

from trainer.budget import Budget
from trainer.events import Event, Raced, Tried
from trainer.head_trials import train_heads, try_heads
from trainer.learner import Learner
from trainer.plan import Phase, num_steps
from trainer.restored import restored
from trainer.short_fits import fit_briefly, try_fits
from trainer.suggest import Suggestion, short
from trainer.trials import Trials

HEAD_RATES = {
    "adamw": tuple(float(10**x) for x in np.arange(-5, 0.1, 0.5)),
    "sgd": tuple(float(10**x) for x in np.arange(-4, 1.1, 0.5)),
}
"""Peak rates tried for a head: the half decades between nothing learned and blown up."""

MIN_STEPS = 24
"""Steps below which a fit says more about the first batches than about the rate."""

AROUND = (0.1, 10**-0.5, 1.0, 10**0.5)
"""Rates of short fits, as multiples of the curve's reading."""

RACE = 30.0
"""The race's other two are so many times lower and higher."""


def verified(
    learner: Learner, phase: Phase, reading: Suggestion, budget: Budget, spent: float
) -> Generator[Event, None, Suggestion]:
    """The reading of the curve, checked; as it was where there is no way or no time to check it.

    Args:
        learner: its model is put back as it was.
        phase: what was swept.
        reading: of the curve.
        budget: for the whole search.
        spent: seconds of it that the sweep took.

    Yields:
        Progress, and Tried with the figures.
    """
    if phase.cached:
        began = time.perf_counter()
        trials = yield from try_heads(learner, phase, HEAD_RATES[learner.config.optimizer])
        what = f"whole trainings of the head ({phase.epochs} epochs) on four fifths of the pictures"
        return (yield from _report(trials, what, reading, began))
    if phase.frozen or learner.config.pretrained or reading.lr is None:
        return reading
    lrs = [reading.lr * factor for factor in AROUND]
    all_steps = num_steps(phase, learner.config, learner.num_train)
    steps = min(all_steps, budget.fit_steps(len(lrs), spent))
    if steps < MIN_STEPS:
        return reading
    began = time.perf_counter()
    trials = yield from try_fits(learner, phase, lrs, steps)
    what = f"trainings of {steps} steps on four fifths of the pictures"
    return (yield from _report(trials, what, reading, began))


def raced(
    learner: Learner, phase: Phase, lr: float, budget: Budget, spent: float
) -> Generator[Event, None, None]:
    """Three trainings drawn together: a rate too low, the suggested one, one too high."""
    lrs = (lr / RACE, lr, lr * RACE)
    if phase.cached:
        everything = np.arange(learner.num_train)
        seeds = [learner.config.seed]
        _, losses = yield from train_heads(learner, phase, lrs, [everything], seeds)
    else:
        steps = min(40, budget.fit_steps(len(lrs), spent))
        if steps < 12:
            return
        losses = []
        for rate in lrs:
            with restored(learner.model):
                everything = np.arange(learner.num_train)
                losses.append(list(fit_briefly(learner, phase, rate, steps, everything)))
    rows = tuple(tuple(float(loss) for loss in row) for row in losses)
    yield Raced(names=("too low", "suggested", "too high"), lrs=lrs, losses=rows)


def _report(
    trials: Trials, what: str, reading: Suggestion, began: float
) -> Generator[Event, None, Suggestion]:
    """Tell the figures, and what follows from them."""
    accuracies, losses = trials.accuracy, trials.loss
    count = len(trials.held_out)
    yield Tried(
        what=what,
        lrs=trials.lrs,
        accuracies=tuple(float(value) for value in accuracies),
        errors=tuple(float(value) for value in np.sqrt(accuracies * (1 - accuracies) / count)),
        losses=tuple(float(value) for value in losses),
        num_held_out=count,
        seconds=time.perf_counter() - began,
    )
    usable = trials.usable()
    if usable is None:
        text = (
            f"No usable signal: at the best of {len(trials.lrs)} rates {accuracies.max():.0%} of "
            f"{count} held-out pictures are right, no more than always guessing the commonest "
            "class. Check the labels, or add pictures."
        )
        return Suggestion(None, text, reading.rules, steep=reading.steep)
    lr, (low, high) = trials.middle(), usable
    text = (
        f"Measured by {what}, judged on the rest: from {short(low)} to {short(high)} they are as "
        f"good as the best, which is right on {accuracies.max():.1%} of {count} held-out pictures. "
        f"{short(lr)} is the middle of these. {_elsewhere(trials, lr)}"
    )
    return Suggestion(lr, text.strip(), reading.rules, usable, reading.steep, measured=True)


def _elsewhere(trials: Trials, lr: float) -> str:
    """What ten times less and more gave, where that was tried."""
    words = []
    for factor, name in ((0.1, "Ten times less"), (10.0, "ten times more")):
        near = _nearest(trials.lrs, lr * factor)
        if near is None:
            continue
        if np.isfinite(trials.loss[near]):
            words.append(
                f"{name} gives {trials.accuracy[near]:.1%} at a loss of {trials.loss[near]:.2f}"
            )
        else:
            words.append(f"{name} breaks down")
    return f"{', '.join(words)}." if words else ""


def _nearest(lrs: Sequence[float], lr: float) -> int | None:
    """The index of the nearest rate; none within a quarter of a decade."""
    distance = np.abs(np.log10(np.array(lrs) / lr))
    return int(distance.argmin()) if distance.min() <= 0.26 else None
