"""Whole head trainings at several rates at once, judged on held-out training pictures."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from trainer.batches import epoch_batches, seed_for
from trainer.config import Config
from trainer.events import Progress
from trainer.folds import FOLDS, split_folds
from trainer.head import Head
from trainer.head_stack import HeadStack
from trainer.learner import Learner
from trainer.model import head_of
from trainer.plan import Phase, momentum_for, num_steps, schedule_for
from trainer.trials import Trials

HEAD_RATES = {
    "adamw": tuple(float(10**x) for x in np.arange(-5, 0.1, 0.5)),
    "sgd": tuple(float(10**x) for x in np.arange(-4, 1.1, 0.5)),
}
"""Peak rates tried for a head: the half decades between nothing learned and blown up."""

MAX_WORK, WORK_PER_PICTURE = 4e11, 5e7
"""Floating-point operations that the trials may take: some ten seconds on two CPU cores, or a
quarter of what the frozen body takes for the pictures. Fixed: the same seed, the same rate."""

UPDATE_WORK = 150
"""What an optimizer's update of one weight costs, in the same measure."""

MAX_WEIGHTS = 2e7
"""Weights of all heads together: half a gigabyte with gradients and the optimizer's state."""

FEW, MAX_ROUNDS = 1000, 3
"""Half of 1,000 pictures are held out in two rounds, a third of them or fewer in three."""

EVERY = 50
"""Steps between two reports, at which the trials can be stopped."""


@dataclass(frozen=True, slots=True)
class TrialPlan:
    """Trainings of a head at C rates in R folds."""

    lrs: tuple[float, ...]
    num_folds: int
    num_steps: int
    """Of each training."""


def plan_trials(head: Head, phase: Phase, config: Config, num_train: int) -> TrialPlan | None:
    """As many folds as can be afforded: all five, several times over where the pictures are so few
    that their order matters; then only whole decades; none where even that would be too much.

    Args:
        head: its size counts.
        phase: a cached one.
        config: the run's.
        num_train: training pictures.
    """
    rates = HEAD_RATES[config.optimizer]
    steps = num_steps(phase, config, max(1, num_train * (FOLDS - 1) // FOLDS))
    allowed = max(MAX_WORK, WORK_PER_PICTURE * num_train)
    for lrs in (rates, rates[::2]):
        weights = head.linear.weight.numel() * len(lrs)  # of a fold
        work = steps * weights * (6 * config.batch_size + UPDATE_WORK)
        affordable = int(min(allowed / work, MAX_WEIGHTS / weights))
        if affordable:
            rounds = max(1, min(MAX_ROUNDS, FEW // num_train))
            return TrialPlan(lrs, min(FOLDS * rounds, affordable), steps)
    return None


def try_heads(
    learner: Learner, phase: Phase, trials: TrialPlan
) -> Generator[Progress, None, Trials | None]:
    """Train a head at each rate in each fold, as the phase will, and judge it on the held-out part.

    Args:
        learner: with features; its model and the random states stay as they are.
        phase: a cached one.
        trials: what can be afforded.

    Returns:
        None where there are too few pictures to hold any out.
    """
    assert learner.features is not None
    labels = learner.train_labels.cpu().numpy()
    folds, seeds = [], []
    for number in range(-(-trials.num_folds // FOLDS)):  # each round has its own order
        found = split_folds(labels, learner.config.seed + number)
        folds += found
        seeds += [learner.config.seed + number] * len(found)
    folds, seeds = folds[: trials.num_folds], seeds[: trials.num_folds]
    if not folds:
        return None
    parts, rates = [fold.train for fold in folds], trials.lrs
    stack, _ = yield from train_heads(learner, phase, rates, parts, seeds)
    correct, losses = np.zeros((2, len(rates), len(labels)))
    times = np.zeros(len(labels))
    for number, fold in enumerate(folds):
        where = fold.held_out
        right, loss = stack.judge(number, learner.features.train[0, where], labels[where])
        correct[:, where] += right
        losses[:, where] += loss
        times[where] += 1
    judged = np.flatnonzero(times)
    return Trials(
        lrs=rates,
        correct=correct[:, judged] / times[judged],
        losses=losses[:, judged] / times[judged],
        held_out=labels[judged],
    )


def train_heads(
    learner: Learner,
    phase: Phase,
    lrs: Sequence[float],
    parts: Sequence[np.ndarray],
    seeds: Sequence[int],
    *,
    most_steps: int | None = None,
) -> Generator[Progress, None, tuple[HeadStack, np.ndarray]]:
    """Heads at C rates on each of R parts of the training pictures, each trained as `fit` does.

    Args:
        learner: with features.
        phase: a cached one.
        lrs: peak rates.
        parts: indices of training pictures; longer ones are cut to the shortest.
        seeds: of the order of the pictures, one a part.
        most_steps: a shorter training, with the schedule compressed into so many steps.

    Returns:
        The heads, and the training loss of each step, `[C, steps]`, the mean over the parts.
    """
    config = learner.config
    length = min(len(part) for part in parts)
    stack = HeadStack(head_of(learner.model), lrs, len(parts), config)
    schedule = schedule_for(phase, config.cycle_len)
    total = num_steps(phase, config, length)
    total = min(total, most_steps or total)
    losses: list[Tensor] = []
    for epoch in range(phase.epochs):
        orders = [epoch_batches(length, config.batch_size, s, phase.name, epoch) for s in seeds]
        for index, picks in enumerate(islice(zip(*orders, strict=True), total - len(losses))):
            if len(losses) % EVERY == 0:
                yield Progress(text="Trying rates on the head", done=len(losses), total=total)
            position = len(losses) / total
            momentum = momentum_for(phase, position)
            rows = np.stack([part[pick] for part, pick in zip(parts, picks, strict=True)])
            step_seeds = [seed_for(seed, phase.name, epoch, index) for seed in seeds]
            features, labels = _batch(learner, rows, step_seeds)
            found = stack.step(features, labels, factor=schedule(position), momentum=momentum)
            losses.append(found.mean(0))
    return stack, torch.stack(losses, 1).cpu().numpy()


def _batch(learner: Learner, rows: np.ndarray, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The features `[R, B, F]` and labels `[R, B]` that each part's training sees at a step."""
    assert learner.features is not None
    picked = [
        learner.features.pick(row, torch.Generator().manual_seed(seed))
        for row, seed in zip(rows, seeds, strict=True)
    ]
    where = torch.from_numpy(rows).to(learner.train_labels.device)
    return torch.stack(picked), learner.train_labels[where]
