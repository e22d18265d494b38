"""One optimizer update, what a sweep and a fit do at every step; and the reading of its loss."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.errors import ConfigError
from trainer.learner import Learner
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

    An update whose loss is not finite is not made; that is decided on the device, so that a GPU
    never waits for the host.

    Returns:
        The loss before the update, a scalar on the device.
    """
    torch.manual_seed(seed)  # dropout and stochastic depth, if the model has any
    inputs = task.inputs(indices, torch.Generator().manual_seed(seed))
    where = torch.from_numpy(indices).to(learner.runtime.device, non_blocking=True)
    logits = task.logits(inputs)
    smoothing = learner.config.label_smoothing
    loss = functional.cross_entropy(logits, learner.train_labels[where], label_smoothing=smoothing)
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if task.max_norm is not None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, task.max_norm, foreach=True)
    # The fused optimizers leave everything as it is where this is 1, as for torch.amp's scaler.
    optimizer.found_inf = (~torch.isfinite(loss.detach())).float()  # pyright: ignore[reportAttributeAccessIssue]
    optimizer.step()
    return loss.detach()


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
                f"The loss is not a number at step {step}, at the rate {lr:.2g}: the rate "
                "is too high for this model. Train again with a tenth of it."
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
