"""The LR sweep: raise the rate each step, watch the loss, put everything back.

LR range test: Smith 2015, arXiv:1506.01186; fast.ai's `lr_find`. It sweeps exactly what a phase
will train: the same inputs, parameter groups with their ratios, optimizer and loss.
"""

import math
import random
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn import functional

from trainer.batches import forever, seed_for
from trainer.events import Event, Note, SweepStep, Swept
from trainer.learner import Learner, Task, ensure_features, task_for
from trainer.model import make_optimizer, set_mode
from trainer.plan import Phase
from trainer.schedule import lr_ladder
from trainer.suggest import smooth_centered, suggest

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
    began = time.perf_counter()
    config = learner.config
    num_steps = min(config.num_steps, max_steps or config.num_steps)
    ladder = lr_ladder(config.lr_min, config.lr_max, num_steps, config.growth)
    repeats = config.repeats if phase.cached else 1
    curves: list[list[float]] = []
    for repeat in range(repeats):
        curve: list[float] = []
        curves.append(curve)
        with restored(learner):
            for event in _one_sweep(learner, phase, ladder, repeat, repeats):
                curve.append(event.loss)
                yield event
    result = _result(ladder, curves, time.perf_counter() - began)
    yield result
    return result


@contextmanager
def restored(learner: Learner) -> Iterator[None]:
    """Put weights, buffers, modes and random states back at the end, whatever happens."""
    model = learner.model
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [(module, module.training) for module in model.modules()]
    grads = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    rng = (torch.get_rng_state(), np.random.get_state(), random.getstate())
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    try:
        yield
    finally:
        model.load_state_dict(state)
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in grads:
            parameter.requires_grad_(requires_grad)
            parameter.grad = None
        torch.set_rng_state(rng[0])
        np.random.set_state(rng[1])
        random.setstate(rng[2])
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


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
        loss = train_step(learner, task, optimizer, indices, lr=lr, seed=seed)
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


def train_step(
    learner: Learner,
    task: Task,
    optimizer: torch.optim.Optimizer,
    indices: np.ndarray,
    *,
    lr: float,
    seed: int,
) -> float:
    """One optimizer update at `lr`; all its randomness comes from `seed`. Returns the loss.

    An update whose loss is not finite is not made.
    """
    torch.manual_seed(seed)  # dropout and stochastic depth, if the model has any
    inputs = task.inputs(indices, torch.Generator().manual_seed(seed))
    labels = learner.train_labels[torch.from_numpy(indices).to(learner.runtime.device)]
    logits = task.logits(inputs)
    loss = functional.cross_entropy(logits, labels, label_smoothing=learner.config.label_smoothing)
    value = float(loss.detach())
    if math.isfinite(value):
        for group in optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return value


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
