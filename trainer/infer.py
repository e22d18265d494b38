"""Probabilities of many pictures: the one pass that validation, evaluate and predict share."""

import time
from collections.abc import Generator

import numpy as np
import torch
from torch import nn

from trainer.events import Progress
from trainer.features import BATCH_SIZE
from trainer.runtime import Runtime
from trainer.transforms import Preprocess, to_batch


def infer(
    model: nn.Module, images: np.ndarray, preprocess: Preprocess, runtime: Runtime, *, text: str
) -> Generator[Progress, None, np.ndarray]:
    """Softmax of the model's logits for uint8 `images` `[N, S, S, 3]`.

    Yields:
        Progress with `text`, one a batch.

    Returns:
        float32 `[N, num_classes]`.
    """
    model.eval()
    parts = []
    began = time.perf_counter()
    for start in range(0, len(images), BATCH_SIZE):
        batch = to_batch(np.array(images[start : start + BATCH_SIZE])).to(runtime.device)
        with torch.inference_mode(), runtime.autocast():
            logits = model(preprocess.normalize(batch))
        parts.append(logits.float().softmax(dim=1).cpu().numpy())
        done = min(start + BATCH_SIZE, len(images))
        left = (time.perf_counter() - began) / done * (len(images) - done)
        yield Progress(text=text, done=done, total=len(images), seconds_left=left)
    return np.concatenate(parts)
