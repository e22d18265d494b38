"""Pictures through a model without gradients: the one pass that features, validation, evaluate
and predict share."""

import time
from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainer.events import Progress
from trainer.runtime import Runtime
from trainer.transforms import Preprocess, to_batch


class Images(Protocol):
    """Decoded pictures: an array uint8 `[N, S, S, 3]`, or one that reads from disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice, /) -> np.ndarray: ...


def run_through(
    function: Callable[[Tensor], Tensor],
    images: Images,
    preprocess: Preprocess,
    runtime: Runtime,
    *,
    text: str,
    view: Callable[[Tensor], Tensor] | None = None,
) -> Generator[Progress, None, Tensor]:
    """`function` of every picture, batch by batch, under the runtime's arithmetic.

    Args:
        function: of the model's normalized input `[n, 3, S, S]`.
        images: uint8.
        preprocess: scales them to the model's mean and deviation.
        runtime: device, arithmetic and batch size.
        text: of the Progress events.
        view: a change to each batch before it is normalized, uint8 `[n, 3, S, S]`.

    Yields:
        Progress, one a batch.

    Returns:
        What `function` gave, float32 `[N, …]` on the runtime's device.
    """
    parts: list[Tensor] = []
    began = time.perf_counter()
    for start in range(0, len(images), runtime.batch_size):
        batch = runtime.inputs(to_batch(np.array(images[start : start + runtime.batch_size])))
        seen = batch if view is None else view(batch)
        with torch.inference_mode(), runtime.autocast():
            parts.append(function(preprocess.normalize(seen)).float())
        done = min(start + runtime.batch_size, len(images))
        left = (time.perf_counter() - began) / done * (len(images) - done)
        yield Progress(text=text, done=done, total=len(images), seconds_left=left)
    # Cloned: tensors made in inference mode cannot take part in a training step.
    return torch.cat(parts).clone()


def infer(
    model: nn.Module, images: Images, preprocess: Preprocess, runtime: Runtime, *, text: str
) -> Generator[Progress, None, np.ndarray]:
    """Softmax of the model's logits.

    Yields:
        Progress with `text`, one a batch.

    Returns:
        float32 `[N, num_classes]`.
    """
    model.eval()
    runtime.apply(model)
    logits = yield from run_through(model, images, preprocess, runtime, text=text)
    return logits.softmax(dim=1).cpu().numpy()
