"""The LR sweep: raise the rate each step, watch the loss, put everything back.

LR range test: Smith 2015, arXiv:1506.01186; fast.ai's `lr_find`. It sweeps exactly what a phase
will train: the same inputs, parameter groups with their ratios, optimizer and loss.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional

from trainer.batches import forever, seed_for
from trainer.budget import Budget, budget_for
from trainer.events import Event, Note, SweepStep, Swept
from trainer.figures import rate
from trainer.learner import Learner, ensure_features, ensure_training_runtime
from trainer.model import body_features, head_of, make_optimizer, set_mode
from trainer.plan import Phase
from trainer.restored import restored
from trainer.schedule import lr_ladder
from trainer.suggest import Suggestion, smooth_centered, suggest
from trainer.task import Task, task_for
from trainer.transforms import to_batch
from trainer.update import parts_words, update
from trainer.verify import raced, verified

DIVERGED = 4.0
"""The sweep stops when the smoothed loss exceeds its best by this factor (fastai's value), and half
the loss of guessing: four times nearly nothing is still nothing."""

PROBED_STEP = 1.4
"""A step of a small net with augmentation and optimizer, in passes as the probe measures them."""

VALID_IMAGES, VALID_FEATURES = 64, 512
"""Validation images whose loss a sweep watches, where that is asked for."""


@dataclass(slots=True)
class _Curves:
    """The raw losses of each repeat."""

    ladder: tuple[float, ...]
    losses: list[list[float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return sum(map(len, self.losses))

    def complete(self) -> np.ndarray:
        """`[repeats, steps]`, as far as all of them go."""
        length = min(map(len, self.losses))
        return np.array([curve[:length] for curve in self.losses])


def sweep(learner: Learner, phase: Phase, *, race: bool = False) -> Generator[Event, None, Swept]:
    """Sweep the rates of `phase` with several orders of the pictures, and check the reading.

    On cached features there are `config.repeats` sweeps of `config.num_steps`; where a step costs
    a pass through the body, as many steps and sweeps as half the budget buys, at least one of 40.
    Weights, buffers, training modes and random states are bit-identical before and after, also when
    it diverges, or is closed to stop it.

    Args:
        learner: its model is put back as it was.
        phase: what will be trained.
        race: also draw the suggested rate against two others.

    Yields:
        Progress while features are made, a SweepStep a step, Tried, Raced, at last Swept.

    Returns:
        The Swept event.
    """
    if phase.cached:
        yield from ensure_features(learner)
    elif not phase.frozen:
        yield from ensure_training_runtime(learner)
    began, config = time.perf_counter(), learner.config
    budget = _budget(learner, phase)
    steps = config.num_steps if budget is None else budget.sweep_steps(config)
    ladder = lr_ladder(config.lr_min, config.lr_max, steps, config.growth)
    if steps < config.num_steps and config.growth == "exponential":
        yield Note(text=f"Sweeping in {steps} steps, because each is slow here.")
    curves = _Curves(ladder)
    for repeat in range(config.repeats):
        after = (curves.steps + len(ladder)) * (budget.step if budget else 0.0)
        if repeat and budget is not None and after > budget.total / 2:
            break
        yield from _one_sweep(learner, phase, curves, repeat)
    losses = curves.complete()
    reading = suggest(ladder, losses.mean(0).tolist())
    if config.verify:
        if budget is None:  # the speed of the steps is known only now
            step = (time.perf_counter() - began) / curves.steps
            budget = budget_for(phase, config, learner.num_train, step=step)
        spent = curves.steps * budget.step
        kept_back = budget.total / 4 if race else 0.0
        reading = yield from verified(learner, phase, reading, budget, spent + kept_back)
        if race and reading.lr is not None:
            yield from raced(learner, phase, reading.lr, budget, budget.total - kept_back)
    result = _result(ladder, losses, reading, time.perf_counter() - began)
    yield result
    return result


def _budget(learner: Learner, phase: Phase) -> Budget | None:
    """What finding the rate may take, by the probe's speed, so that it does not depend on what
    else the machine does; none for cached features, and where nothing was probed."""
    runtime = learner.runtime if phase.frozen else learner.training_runtime
    if phase.cached or runtime is None or not runtime.images_per_second:
        return None
    config = learner.config
    step = PROBED_STEP * config.batch_size / runtime.images_per_second
    return budget_for(phase, config, learner.num_train, step=step)


def _one_sweep(learner: Learner, phase: Phase, curves: _Curves, repeat: int) -> Iterator[Event]:
    """One climb of the ladder; its losses go to `curves`."""
    config, ladder = learner.config, curves.ladder
    repeats = config.repeats if phase.cached else repeat + 1
    curve: list[float] = []
    at_once = learner.at_once
    curves.losses.append(curve)
    with restored(learner.model):
        task = task_for(learner, phase)
        seen_loss = _valid_loss(learner, phase, task) if config.sweep_loss == "valid" else None
        set_mode(learner.model, frozen=phase.frozen, pretrained=config.pretrained)
        optimizer = make_optimizer(task.groups(), config, ladder[0])
        order = forever(learner.num_train, config.batch_size, config.seed, "sweep", repeat)
        guessing = math.log(len(learner.data.class_names))
        mean = best = 0.0
        for step, (lr, indices) in enumerate(zip(ladder, order, strict=False)):
            seed = seed_for(config.seed, "sweep", repeat, step)
            loss = float(update(learner, task, optimizer, indices, lr=lr, seed=seed))
            if seen_loss is not None and math.isfinite(loss):
                loss = seen_loss()
            mean = 0.9 * mean + 0.1 * loss
            smooth = mean / (1 - 0.9 ** (step + 1))
            best = smooth if step == 0 else min(best, smooth)
            curve.append(loss)
            yield SweepStep(
                step=repeat * len(ladder) + step + 1,
                total_steps=repeats * len(ladder),
                repeat=repeat,
                lr=lr,
                loss=loss,
                smooth_loss=smooth,
            )
            if learner.at_once != at_once:
                at_once = learner.at_once
                yield Note(text=parts_words(learner))
            if not math.isfinite(loss) or (
                step > 10 and smooth > max(DIVERGED * best, guessing / 2)
            ):
                return


def _valid_loss(learner: Learner, phase: Phase, task: Task) -> Callable[[], float]:
    """How the loss of some validation images is computed."""
    model, config = learner.model, learner.config
    runtime = learner.training_runtime or learner.runtime
    most = VALID_FEATURES if phase.cached else VALID_IMAGES
    chosen = np.unique(np.linspace(0, len(learner.valid_labels) - 1, most).astype(int))
    labels = learner.valid_labels[chosen]
    if phase.cached:
        assert learner.features is not None
        inputs = learner.features.valid[torch.from_numpy(chosen).to(runtime.device)]
    else:
        images = to_batch(learner.valid_images[chosen]).to(runtime.device)
        inputs = runtime.inputs(learner.preprocess.normalize(images))
    if phase.frozen and not phase.cached:
        with torch.no_grad(), runtime.autocast():
            inputs = body_features(model.eval(), inputs)
    forward = head_of(model) if phase.frozen else task.logits
    targets = torch.from_numpy(labels).to(inputs.device)

    def loss() -> float:
        model.eval()
        with torch.no_grad():
            found = functional.cross_entropy(forward(inputs), targets)
        set_mode(model, frozen=phase.frozen, pretrained=config.pretrained)
        return float(found)

    return loss


def _result(
    ladder: tuple[float, ...], losses: np.ndarray, found: Suggestion, seconds: float
) -> Swept:
    """The mean curve over the repeats, and the band between them."""
    length = losses.shape[1]
    mean = losses.mean(0)
    finite = int(np.isfinite(mean).argmin()) if not np.isfinite(mean).all() else length
    smooth, *each = (
        smooth_centered(curve[:finite]) if finite else np.empty(0) for curve in (mean, *losses)
    )
    repeated = len(each) > 1
    return Swept(
        lrs=ladder[:length],
        losses=tuple(mean.tolist()),
        smooth_losses=tuple(smooth.tolist()),
        band_low=tuple(np.min(each, axis=0).tolist()) if repeated else (),
        band_high=tuple(np.max(each, axis=0).tolist()) if repeated else (),
        suggestions=found.rules,
        suggested_lr=found.lr,
        usable=found.usable,
        steep=found.steep,
        ceiling=found.ceiling,
        measured=found.measured,
        reason=found.reason,
        diverged=length < len(ladder),
        seconds=seconds,
    )


def rate_from(swept: Swept, fallback: float) -> tuple[float, Note]:
    """The rate to train with after a sweep, and where it came from, in words.

    Without a suggestion it is the fallback, or a third of where the loss only rises if that is
    less: the usual rate of one model wipes out another.
    """
    if swept.suggested_lr is not None:
        return swept.suggested_lr, Note(text=swept.reason)
    if swept.ceiling is not None and swept.ceiling / 3 < fallback:
        lr, top = swept.ceiling / 3, rate(swept.ceiling)
        text = f"Training with {rate(lr)}, a third of {top}, from where the loss only rises."
        return lr, Note(text=f"{swept.reason} {text}")
    return fallback, Note(text=f"{swept.reason} Training with {rate(fallback)} instead.")
