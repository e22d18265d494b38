"""The frozen body's outputs for every picture: computed once, then read by each head step.

fast.ai 0.7 called it `precompute=True`. The features live in memory for the length of a run:
F floats a picture and view, 5 kB for lite0. Not covered: keeping them between runs.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainer.augment import mirrored
from trainer.events import Progress
from trainer.model import TimmModel, body_features
from trainer.runtime import Runtime
from trainer.transforms import Preprocess, to_batch

BATCH_SIZE = 64
"""Images a forward pass without gradients takes at once."""


@dataclass(frozen=True, slots=True)
class Features:
    train: Tensor
    """float32 `[views, N, F]`; view 0 is the picture, view 1 its mirror image."""
    valid: Tensor
    """float32 `[N, F]`."""


def compute_features(
    model: TimmModel,
    images: np.ndarray,
    preprocess: Preprocess,
    runtime: Runtime,
    *,
    views: int = 1,
    text: str,
) -> Generator[Progress, None, Tensor]:
    """One pass of the body over `images`, uint8 `[N, S, S, 3]`.

    Yields:
        Progress with `text`.

    Returns:
        float32 `[views, N, F]` on the run's device.
    """
    model.eval()
    parts: list[list[Tensor]] = [[] for _ in range(views)]
    began = time.perf_counter()
    for start in range(0, len(images), BATCH_SIZE):
        batch = to_batch(np.array(images[start : start + BATCH_SIZE])).to(runtime.device)
        for view in range(views):
            seen = mirrored(batch) if view else batch
            with torch.inference_mode(), runtime.autocast():
                parts[view].append(body_features(model, preprocess.normalize(seen)))
        done = min(start + BATCH_SIZE, len(images))
        left = (time.perf_counter() - began) / done * (len(images) - done)
        yield Progress(text=text, done=done, total=len(images), seconds_left=left)
    # Cloned: tensors made in inference mode cannot take part in a training step.
    return torch.stack([torch.cat(part) for part in parts]).clone()
