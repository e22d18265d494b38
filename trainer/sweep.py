"""The LR sweep: raise the rate each step, watch the loss, put everything back.

LR range test: Smith 2015, arXiv:1506.01186; fast.ai's `lr_find`. It sweeps exactly what a phase
will train: the same inputs, parameter groups with their ratios, optimizer and loss.
"""

import math
import time
from collections.abc import Generator, Iterator

import numpy as np

from trainer.batches import forever, seed_for
from trainer.events import Event, Note, SweepStep, Swept
from trainer.learner import Learner, ensure_features, ensure_training_runtime
from trainer.model import make_optimizer, set_mode
from trainer.plan import Phase
from trainer.restored import restored
from trainer.schedule import lr_ladder
from trainer.suggest import smooth_centered, suggest
from trainer.task import task_for
from trainer.update import update

DIVERGED = 4.0
"""The sweep stops when the smoothed loss exceeds its best by this factor (fastai's value)."""


def sweep(
    learner: Learner, phase: Phase, *, max_steps: int | None = None
) -> Generator[Event, None, Swept]:
    """Sweep the rates of `phase`; on cached features `config.repeats` times with other orders of
    the pictures, else once, because each step costs a pass through the body.

    Weights, buffers, training modes and random states are bit-identical before and after, also
    when it diverges, or is closed to stop it.

    Yields:
        Progress while features are made, a SweepStep a step, at last Swept.

    Returns:
        The Swept event.
    """
    if phase.cached:
        yield from ensure_features(learner)
    elif not phase.frozen:
        yield from ensure_training_runtime(learner)
    began = time.perf_counter()
    config = learner.config
    num_steps = min(config.num_steps, max_steps or config.num_steps)
    ladder = lr_ladder(config.lr_min, config.lr_max, num_steps, config.growth)
    repeats = config.repeats if phase.cached else 1
    curves: list[list[float]] = []
    for repeat in range(repeats):
        curve: list[float] = []
        curves.append(curve)
        with restored(learner.model):
            for event in _one_sweep(learner, phase, ladder, repeat, repeats):
                curve.append(event.loss)
                yield event
    result = _result(ladder, curves, time.perf_counter() - began)
    yield result
    return result


def _one_sweep(
    learner: Learner, phase: Phase, ladder: tuple[float, ...], repeat: int, repeats: int
) -> Iterator[SweepStep]:
    config, task = learner.config, task_for(learner, phase)
    set_mode(learner.model, frozen=phase.frozen, pretrained=config.pretrained)
    optimizer = make_optimizer(task.groups(), config, ladder[0])
    order = forever(learner.num_train, config.batch_size, config.seed, "sweep", repeat)
    mean = best = 0.0
    for step, (lr, indices) in enumerate(zip(ladder, order, strict=False)):
        seed = seed_for(config.seed, "sweep", repeat, step)
        loss = float(update(learner, task, optimizer, indices, lr=lr, seed=seed))
        mean = 0.9 * mean + 0.1 * loss
        smooth = mean / (1 - 0.9 ** (step + 1))
        best = smooth if step == 0 else min(best, smooth)
        yield SweepStep(
            step=repeat * len(ladder) + step + 1,
            total_steps=repeats * len(ladder),
            repeat=repeat,
            lr=lr,
            loss=loss,
            smooth_loss=smooth,
        )
        if not math.isfinite(loss) or (step > 10 and smooth > DIVERGED * best):
            return


def _result(ladder: tuple[float, ...], curves: list[list[float]], seconds: float) -> Swept:
    """The mean curve over the repeats, as far as all of them go."""
    length = min(len(curve) for curve in curves)
    losses = np.mean([curve[:length] for curve in curves], axis=0)
    lrs = ladder[:length]
    found = suggest(lrs, losses.tolist())
    finite = losses[np.isfinite(losses)]
    smooth = smooth_centered(finite) if len(finite) else finite
    return Swept(
        lrs=lrs,
        losses=tuple(float(loss) for loss in losses),
        smooth_losses=tuple(float(loss) for loss in smooth),
        suggestions=found.rules,
        suggested_lr=found.lr,
        reason=found.reason,
        diverged=length < len(ladder),
        seconds=seconds,
    )


def rate_from(swept: Swept, fallback: float) -> tuple[float, Note]:
    """The rate to train with after a sweep, and where it came from, in words."""
    if swept.suggested_lr is None:
        return fallback, Note(text=f"{swept.reason} Training with {fallback:g} instead.")
    return swept.suggested_lr, Note(text=swept.reason)
