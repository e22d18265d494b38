"""Whole head trainings at several rates at once, judged on held-out training pictures."""

from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.batches import epoch_batches, seed_for
from trainer.events import Progress
from trainer.folds import FOLDS, split_folds
from trainer.head import Head
from trainer.head_stack import HeadStack
from trainer.learner import Learner
from trainer.model import head_of
from trainer.plan import Phase, num_steps, schedule_for
from trainer.schedule import one_cycle_momentum
from trainer.trials import Trials

MAX_WORK = 4e11
"""Floating-point operations that the trials may take: some ten seconds on two CPU cores. Fixed, so
that the same run gives the same rate on every machine."""

FEW, MAX_ROUNDS = 1000, 3
"""Half of 1,000 pictures are held out in two rounds, a third of them or fewer in three."""


def try_heads(
    learner: Learner, phase: Phase, lrs: Sequence[float]
) -> Generator[Progress, None, Trials]:
    """Train a head at each rate in each fold, as the phase will, and judge it on the held-out part.

    Where the work would be too much, some folds are left out, then pictures.

    Args:
        learner: with features; its model and the random states stay as they are.
        phase: a cached one.
        lrs: C peak rates.
    """
    assert learner.features is not None
    labels, head = learner.train_labels.cpu().numpy(), head_of(learner.model)
    count = num_folds(head, phase, len(lrs), len(labels))
    most = max(2 * len(learner.data.class_names), _affordable(head, phase, len(lrs)))
    folds, seeds = [], []
    for number in range(-(-count // FOLDS)):  # each round with another order of the pictures
        seed = learner.config.seed + number
        folds += split_folds(labels, seed, most=most)
        seeds += [seed] * (len(folds) - len(seeds))
    folds, seeds = folds[:count], seeds[:count]
    parts = [fold.train for fold in folds]
    stack, train_losses = yield from train_heads(learner, phase, lrs, parts, seeds)
    correct, losses = np.zeros((2, len(lrs), len(labels)))
    times = np.zeros(len(labels))
    for number, fold in enumerate(folds):
        where = fold.held_out
        found = stack.judge(number, learner.features.train[0, where], labels[where])
        correct[:, where] += found[0]
        losses[:, where] += found[1]
        times[where] += 1
    judged = np.flatnonzero(times)
    return Trials(
        lrs=tuple(lrs),
        correct=correct[:, judged] / times[judged],
        losses=losses[:, judged] / times[judged],
        train_losses=train_losses,
        held_out=labels[judged],
    )


def train_heads(
    learner: Learner,
    phase: Phase,
    lrs: Sequence[float],
    parts: Sequence[np.ndarray],
    seeds: Sequence[int],
) -> Generator[Progress, None, tuple[HeadStack, np.ndarray]]:
    """Heads at C rates on each of R parts of the training pictures, each trained as `fit` does.

    Args:
        learner: with features.
        phase: a cached one.
        lrs: peak rates.
        parts: indices of training pictures; longer ones are cut to the shortest.
        seeds: of the order of the pictures, one a part.

    Returns:
        The heads, and the training loss of each step, `[C, steps]`, the mean over the parts.
    """
    config = learner.config
    length = min(len(part) for part in parts)
    stack = HeadStack(head_of(learner.model), lrs, len(parts), config)
    schedule, total = schedule_for(phase, config.cycle_len), num_steps(phase, config, length)
    losses: list[Tensor] = []
    for epoch in range(phase.epochs):
        orders = [epoch_batches(length, config.batch_size, s, phase.name, epoch) for s in seeds]
        yield Progress(text="Training heads at several rates", done=len(losses), total=total)
        for index, picks in enumerate(zip(*orders, strict=True)):
            position = len(losses) / total
            momentum = one_cycle_momentum(position) if phase.schedule == "one_cycle" else None
            rows = np.stack([part[pick] for part, pick in zip(parts, picks, strict=True)])
            step_seeds = [seed_for(seed, phase.name, epoch, index) for seed in seeds]
            features, labels = _batch(learner, rows, step_seeds)
            found = stack.step(features, labels, factor=schedule(position), momentum=momentum)
            losses.append(found.mean(0))
    return stack, torch.stack(losses, 1).cpu().numpy()


def num_folds(head: Head, phase: Phase, num_rates: int, num_train: int) -> int:
    """How many folds the trials of so many rates hold out: all five, several times over where the
    pictures are so few that their order matters, or fewer where it would be too much work."""
    rounds = max(1, min(MAX_ROUNDS, FEW // num_train))
    return max(1, min(FOLDS * rounds, _affordable(head, phase, num_rates) // num_train))


def _affordable(head: Head, phase: Phase, num_rates: int) -> int:
    """Pictures, counted once a fold, that the trials may train on."""
    return int(MAX_WORK / (6.0 * phase.epochs * head.linear.weight.numel() * num_rates))


def _batch(learner: Learner, rows: np.ndarray, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The features `[R, B, F]` and labels `[R, B]` that each part's training sees at a step."""
    assert learner.features is not None
    train = learner.features.train
    where = torch.from_numpy(rows).to(train.device)  # [R, B]
    rngs = [torch.Generator().manual_seed(seed) for seed in seeds]
    views = torch.stack([torch.randint(len(train), rows.shape[1:], generator=rng) for rng in rngs])
    return train[views.to(train.device), where], learner.train_labels[where]
