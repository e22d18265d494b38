"""Pictures through a model without gradients: the one pass that features, validation, evaluate
and predict share."""

import time
from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainer.events import Progress
from trainer.memory import is_out_of_memory
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
        runtime: device, arithmetic and batch size, which is halved where memory does not suffice.
        text: of the Progress events.
        view: a change to each batch before it is normalized, uint8 `[n, 3, S, S]`.

    Yields:
        Progress, one a batch.

    Returns:
        What `function` gave, float32 `[N, …]` on the runtime's device.
    """
    parts: list[Tensor] = []
    began, done, at_once = time.perf_counter(), 0, runtime.batch_size
    while done < len(images):
        batch = images[done : done + at_once]
        try:
            parts.append(_outputs(function, batch, preprocess, runtime, view))
        except (MemoryError, RuntimeError) as error:
            if at_once == 1 or not is_out_of_memory(error):
                raise
            at_once //= 2
            continue
        done += len(batch)
        left = (time.perf_counter() - began) / done * (len(images) - done)
        yield Progress(text=text, done=done, total=len(images), seconds_left=left)
    # Cloned: tensors made in inference mode cannot take part in a training step.
    return torch.cat(parts).clone()


def _outputs(
    function: Callable[[Tensor], Tensor],
    images: np.ndarray,
    preprocess: Preprocess,
    runtime: Runtime,
    view: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    batch = runtime.inputs(to_batch(np.array(images)))
    seen = batch if view is None else view(batch)
    with torch.inference_mode(), runtime.autocast():
        return function(preprocess.normalize(seen)).float()


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
