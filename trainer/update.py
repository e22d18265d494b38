"""One optimizer update: what a sweep and a fit do at every step."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.learner import Learner
from trainer.task import Task


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
    # The fused optimizers leave everything as it is where this is 1, as for torch.amp's scaler.
    optimizer.found_inf = (~torch.isfinite(loss.detach())).float()  # pyright: ignore[reportAttributeAccessIssue]
    optimizer.step()
    return loss.detach()
