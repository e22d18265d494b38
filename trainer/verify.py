"""Check a sweep's reading with trainings at several rates, judged on held-out pictures.

A head on cached features is trained in full at every half decade, so its rate is measured. For
all layers from random weights the time allows short fits around the reading. Once a trained head
stands on a pretrained body no training picture is unseen any more: there the curve has to do.
"""

import time
from collections.abc import Generator

import numpy as np

from trainer.budget import Budget
from trainer.events import Event, Note, Raced, Tried
from trainer.figures import percent, rate
from trainer.head_trials import plan_trials, train_heads, try_heads
from trainer.learner import Learner
from trainer.model import head_of
from trainer.plan import Phase, default_lr, num_steps
from trainer.restored import restored
from trainer.short_fits import fit_briefly, try_fits
from trainer.suggest import Suggestion
from trainer.trials import Trials

FEWEST_STEPS = 24
"""Steps below which a fit says more about the first batches than about the rate."""

AROUND = (0.1, 10**-0.5, 1.0, 10**0.5)
"""Rates of short fits, as multiples of the curve's reading."""

FEW = 200
"""Training pictures below which the usual rate counts too, the more the fewer they are: on 50
pictures it alone loses less than what is measured with them (docs/LOG.md)."""

RACE, RACE_STEPS = 30.0, 300
"""The race's other two rates are so many times lower and higher; and its steps, at most."""

FEWEST_RACE_STEPS = 12


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
        Progress, and Tried with the figures; a Note where they cannot tell.
    """
    began = time.perf_counter()
    trials: Trials | None = None
    what = ""
    if phase.cached:
        affordable = plan_trials(head_of(learner.model), phase, learner.config, learner.num_train)
        if affordable is not None:
            trials = yield from try_heads(learner, phase, affordable)
            what = f"whole trainings of the head ({phase.epochs} epochs)"
    elif not phase.frozen and not learner.config.pretrained and reading.lr is not None:
        lrs = [reading.lr * factor for factor in AROUND]
        all_steps = num_steps(phase, learner.config, learner.num_train)
        steps = min(all_steps, budget.fit_steps(len(lrs), spent))
        if steps >= FEWEST_STEPS:
            trials = yield from try_fits(learner, phase, lrs, steps)
            what = f"trainings of {steps} steps"
    if trials is None:
        return reading
    yield Tried(
        what=f"{what} on four fifths of the pictures",
        lrs=trials.lrs,
        accuracies=tuple(trials.accuracy.tolist()),
        errors=tuple(trials.errors.tolist()),
        losses=tuple(trials.loss.tolist()),
        num_held_out=len(trials.held_out),
        seconds=time.perf_counter() - began,
    )
    verdict = trials.verdict()
    if verdict == "few":
        yield Note(text="Too few pictures to measure the rate; the curve alone has to do.")
        return reading
    if verdict == "chance":
        return _no_better_than_chance(trials, reading)
    weight = min(1.0, learner.num_train / FEW)
    return _measured(trials, what, reading, default_lr(phase, learner.config), weight)


def raced(
    learner: Learner, phase: Phase, lr: float, budget: Budget, spent: float
) -> Generator[Event, None, None]:
    """Three short trainings from the same start: a rate too low, the suggested one, one too high.

    Args:
        learner, phase, budget, spent: as for `verified`.
        lr: the suggested rate.
    """
    lrs, everything = (lr / RACE, lr, lr * RACE), np.arange(learner.num_train)
    if phase.cached:
        seeds = [learner.config.seed]
        found = train_heads(learner, phase, lrs, [everything], seeds, most_steps=RACE_STEPS)
        _, rows = yield from found
        losses = rows.tolist()
    else:
        steps = min(RACE_STEPS, budget.fit_steps(len(lrs), spent))
        if steps < FEWEST_RACE_STEPS:
            return
        losses = []
        for number, tried in enumerate(lrs):
            with restored(learner.model):
                turn = (number, len(lrs))
                fit = fit_briefly(
                    learner, phase, tried, steps, everything, text="The race", turn=turn
                )
                losses.append((yield from fit))
    names = ("too low", "suggested", "too high")
    yield Raced(names=names, lrs=lrs, losses=tuple(tuple(row) for row in losses))


def _no_better_than_chance(trials: Trials, reading: Suggestion) -> Suggestion:
    text = (
        f"No usable signal: even at the best of {len(trials.lrs)} rates only "
        f"{percent(trials.accuracy.max(), 0)} of {len(trials.held_out)} held-out pictures are "
        "right, no more than always guessing the commonest class. Check the labels, or add "
        "pictures."
    )
    return Suggestion(None, text, reading.rules, steep=reading.steep)


def _measured(
    trials: Trials, what: str, reading: Suggestion, usual: float, weight: float
) -> Suggestion:
    """The middle of what was measured, as far as `weight` goes, and else the usual rate."""
    middle, (low, high) = trials.middle(), trials.usable()
    lr = middle**weight * usual ** (1 - weight)
    text = (
        f"Measured by {what} on four fifths of the pictures, judged on the rest: around "
        f"{rate(low)} to {rate(high)} they are as good as the best, which is right on "
        f"{percent(trials.accuracy.max())} of {len(trials.held_out)} held-out pictures. "
    )
    if weight < 1:
        text += (
            f"So few pictures say little, so {rate(lr)} lies between their middle, "
            f"{rate(middle)}, and the usual {rate(usual)}. "
        )
    else:
        text += f"{rate(lr)} is the middle. "
    text += _elsewhere(trials, lr)
    usable = (min(low, lr), max(high, lr))
    return Suggestion(lr, text.strip(), reading.rules, usable, reading.steep, measured=True)


def _elsewhere(trials: Trials, lr: float) -> str:
    """What about ten times less and more gave, where that was tried."""
    words = []
    for factor in (0.1, 10.0):
        distance = np.abs(np.log10(np.array(trials.lrs) / (lr * factor)))
        near = int(distance.argmin())
        if distance[near] > 0.3:
            continue
        if np.isfinite(trials.loss[near]):
            found = (
                f"is right on {percent(trials.accuracy[near])} at a loss of {trials.loss[near]:.3g}"
            )
        else:
            found = "makes the loss blow up"
        words.append(f"{rate(trials.lrs[near])} {found}")
    return f"For comparison, {', and '.join(words)}." if words else ""
