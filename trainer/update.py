"""One optimizer update, what a sweep and a fit do at every step; and the reading of its loss."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.errors import ConfigError
from trainer.figures import rate
from trainer.learner import Learner
from trainer.memory import is_out_of_memory, parts, smaller
from trainer.task import Task

READ_EVERY = 8
"""Steps after which the losses are read together where that waits for the device."""


def update(
    learner: Learner,
    task: Task,
    optimizer: torch.optim.Optimizer,
    indices: np.ndarray,
    *,
    lr: float,
    seed: int,
) -> Tensor:
    """One update at `lr`; all its randomness comes from `seed`.

    Where the memory does not suffice, this step and those after it are made in parts, down to
    one image (two with BatchNorm in training mode) at a time: `learner.at_once`.

    Returns:
        The loss before the update, a scalar on the device; not a number where it or its gradient
        is not finite: then the update is not made. That is decided on the device, so that a GPU
        never waits for the host.

    Raises:
        TooBigError: not even one image fits.
    """
    statistics = _moving_statistics(learner)
    kept = [value.clone() for value in statistics]
    fresh = not optimizer.state
    while True:
        try:
            return _attempt(learner, task, optimizer, indices, lr=lr, seed=seed)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler: its error holds the frames, and these the tensors.
        batch_size = learner.config.batch_size
        learner.at_once = smaller(
            learner.at_once or batch_size, batch_size, fewest=fewest_at_once(learner)
        )
        _start_over(optimizer, fresh=fresh)
        for value, before in zip(statistics, kept, strict=True):
            value.copy_(before)


def _attempt(
    learner: Learner,
    task: Task,
    optimizer: torch.optim.Optimizer,
    indices: np.ndarray,
    *,
    lr: float,
    seed: int,
) -> Tensor:
    torch.manual_seed(seed)  # dropout and stochastic depth, if the model has any
    inputs = task.inputs(indices, torch.Generator().manual_seed(seed))
    where = torch.from_numpy(indices).to(learner.runtime.device, non_blocking=True)
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    optimizer.zero_grad(set_to_none=True)
    loss = _accumulate(learner, task, inputs, learner.train_labels[where])
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if task.max_norm is not None:
        norm = torch.nn.utils.clip_grad_norm_(parameters, task.max_norm, foreach=True)
    else:
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
    finite = torch.isfinite(loss) & torch.isfinite(norm)
    # The fused optimizers leave everything as it is where this is 1, as for torch.amp's scaler.
    optimizer.found_inf = (~finite).float()  # pyright: ignore[reportAttributeAccessIssue]
    optimizer.step()
    return torch.where(finite, loss, torch.nan)


def _accumulate(learner: Learner, task: Task, inputs: Tensor, labels: Tensor) -> Tensor:
    """The gradients of a batch, part by part; returns its mean loss."""
    smoothing, fewest = learner.config.label_smoothing, fewest_at_once(learner)
    total = torch.zeros((), device=labels.device)
    for part, targets in zip(
        parts(inputs, learner.at_once, fewest=fewest),
        parts(labels, learner.at_once, fewest=fewest),
        strict=True,
    ):
        loss = functional.cross_entropy(task.logits(part), targets, label_smoothing=smoothing)
        loss = loss * (len(targets) / len(labels))
        loss.backward()
        total += loss.detach()
    return total


def fewest_at_once(learner: Learner) -> int:
    """Images that a part needs: BatchNorm in training mode cannot measure one alone."""
    return 1 if learner.config.pretrained else 2


def parts_words(learner: Learner) -> str:
    """What it means that a step is made in parts."""
    count = learner.at_once
    words = (
        f"There was not enough memory for {learner.config.batch_size} images at once. Each step "
        f"now takes them {count} at a time and adds up their gradients"
    )
    if learner.config.pretrained:
        return f"{words}, which is the same update."
    return f"{words}; BatchNorm measures {count} at a time, so the course differs a little."


def _moving_statistics(learner: Learner) -> list[Tensor]:
    """The buffers that a forward pass changes: of BatchNorm, from random weights."""
    return [] if learner.config.pretrained else list(learner.model.buffers())


def _start_over(optimizer: torch.optim.Optimizer, *, fresh: bool) -> None:
    """Free what an attempt left; a first one may have made only a part of the optimizer's state."""
    optimizer.zero_grad(set_to_none=True)
    if fresh:
        optimizer.state.clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def reads_together(device: torch.device) -> bool:
    """Whether losses are read every few steps: where reading one would wait for the device."""
    return device.type == "cuda"


def read_losses(pending: list[tuple[int, float, Tensor]]) -> list[float]:
    """The losses of some steps, given as (step, rate, loss).

    Raises:
        ConfigError: one is not finite; the message names the first such step and its rate.
    """
    losses = torch.stack([loss for _, _, loss in pending]).tolist()
    for (step, lr, _), loss in zip(pending, losses, strict=True):
        if not math.isfinite(loss):
            raise ConfigError(
                f"The loss or its gradient is not a number at step {step}, at the rate {rate(lr)}: "
                "the rate is too high for this model. Train again with a tenth of it."
            )
    return losses


def set_momentum(optimizer: torch.optim.Optimizer, momentum: float | None) -> None:
    """SGD's momentum or AdamW's beta1, where the schedule sets it."""
    if momentum is None:
        return
    for group in optimizer.param_groups:
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif group["momentum"] > 0:
            group["momentum"] = momentum
