"""`Task`: how a phase makes inputs from image indices and logits from inputs; a sweep the same.

On a GPU the decoded pictures lie on it whole where they fit, so that no step waits for the host.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.augment import augment
from trainer.data.decoded import DecodedSplit
from trainer.learner import Learner
from trainer.memory import parts
from trainer.model import body_features, head_of, parameter_groups
from trainer.plan import Phase
from trainer.runtime import Runtime
from trainer.transforms import to_batch

MAX_NORM = 1.0
"""For SGD through all layers of a pretrained model: a few batches have gradients a thousand times
as long, and undo what the head has learned (docs/LOG.md). AdamW divides by their size anyway."""

COMPILE_STEPS = 3000
"""Steps of a phase from which `torch.compile` pays on a GPU: it takes a minute or two first."""

GPU_SHARE = 0.3
"""Share of the GPU's free memory that decoded pictures may take."""


@dataclass(frozen=True, slots=True)
class Task:
    inputs: Callable[[np.ndarray, torch.Generator], Tensor]
    logits: Callable[[Tensor], Tensor]
    groups: Callable[[], list[dict[str, object]]]
    max_norm: float | None = None
    """The longest gradient that an update takes as it is; a longer one is scaled to it."""


def task_for(learner: Learner, phase: Phase, *, num_steps: int = 0) -> Task:
    """The phase's inputs, forward pass and parameter groups.

    Args:
        learner: with features where the phase is cached, and with its training runtime where all
            layers train.
        phase: what is trained, and on what.
        num_steps: how long it will be; a long one is compiled on a GPU.
    """
    model, config = learner.model, learner.config

    def groups() -> list[dict[str, object]]:
        return parameter_groups(model, config, frozen=phase.frozen)

    if phase.cached:
        assert learner.features is not None
        return Task(learner.features.pick, head_of(model), groups)
    runtime = learner.runtime if phase.frozen else learner.training_runtime or learner.runtime
    runtime.apply(model)
    source = learner.image_source = learner.image_source or image_source(
        learner.train_images, runtime
    )

    def images(indices: np.ndarray, rng: torch.Generator) -> Tensor:
        """Augmented, normalized images, `[B, 3, S, S]`."""
        changed = augment(source(indices), learner.augmentation, rng)
        return runtime.inputs(learner.preprocess.normalize(changed))

    def features(indices: np.ndarray, rng: torch.Generator) -> Tensor:
        """The frozen body's features of augmented images, `[B, F]`."""
        inputs = images(indices, rng)
        with torch.no_grad(), runtime.autocast():
            some = [body_features(model, part) for part in parts(inputs, learner.at_once)]
        return torch.cat(some) if len(some) > 1 else some[0]

    if phase.frozen:
        return Task(features, head_of(model), groups)
    forward = torch.compile(model) if compile_pays(runtime, num_steps) else model

    def logits(inputs: Tensor) -> Tensor:
        with runtime.autocast():
            return forward(inputs).float()

    clipped = config.pretrained and config.optimizer == "sgd"
    return Task(images, logits, groups, MAX_NORM if clipped else None)


def image_source(images: DecodedSplit, runtime: Runtime) -> Callable[[np.ndarray], Tensor]:
    """Batches of pictures by index, uint8 `[B, 3, S, S]` on the runtime's device."""
    device = runtime.device
    if device.type != "cuda":
        return lambda indices: to_batch(images[indices])
    size = int(np.prod(images.shape))
    if size > GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        return lambda indices: to_batch(images[indices]).pin_memory().to(device, non_blocking=True)
    return resident(images, device)


def resident(images: DecodedSplit, device: torch.device) -> Callable[[np.ndarray], Tensor]:
    """All pictures copied to the device once, batches picked from them there."""
    everything = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), 1024):
        part = torch.from_numpy(images[start : start + 1024])
        everything[start : start + len(part)] = part.to(device)

    def pick(indices: np.ndarray) -> Tensor:
        where = torch.from_numpy(indices).to(device, non_blocking=True)
        return everything[where].permute(0, 3, 1, 2)

    return pick


def compile_pays(runtime: Runtime, num_steps: int) -> bool:
    """Whether the phase is long enough; never on ZeroGPU, where each call is a new process."""
    on_zero = bool(os.environ.get("SPACES_ZERO_GPU"))
    return runtime.device.type == "cuda" and num_steps >= COMPILE_STEPS and not on_zero
