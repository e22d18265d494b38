"""Whether two forms of one model agree: the same fixed random images, and the largest difference.

Probabilities alone would prove little: on random images a trained head is often so sure that they
are 0 and 1 whatever happens to the weights. So the logits count too, relative to their size. And
logits in the thousands, of a body with random weights, are rounded by float32 so coarsely that two
exact copies answer an image between two classes by more than `MAX_GAP` apart.
"""

import torch
from torch import Tensor

from trainer.export import LoadedModel

MAX_GAP = 1e-4
"""Largest gap at which two forms of a model count as the same, in float32."""

_LARGEST_LOGIT = 50.0
"""Larger ones are scaled down to this before they become probabilities."""


def fixed_images(loaded: LoadedModel, count: int) -> Tensor:
    """The same random images each time, normalized, float32 `[count, 3, S, S]` on the CPU."""
    size = loaded.preprocess.image_size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))


def logits_of(loaded: LoadedModel, images: Tensor) -> Tensor:
    """The model's own answer, float32 `[N, num_classes]`."""
    with torch.inference_mode():
        return loaded.model(images)


def gap(answer: Tensor, truth: Tensor) -> float:
    """The largest difference of two sets of logits `[N, num_classes]`; NaN where one is NaN.

    Returns:
        The larger one of two: the difference of a probability, and that of a logit divided by
        the largest logit (at least 1). Logits beyond `_LARGEST_LOGIT` are scaled down first.
    """
    largest = truth.abs().max()
    scale = (largest / _LARGEST_LOGIT).clamp(min=1)
    probs = ((answer / scale).softmax(dim=1) - (truth / scale).softmax(dim=1)).abs().max()
    logits = (answer - truth).abs().max() / largest.clamp(min=1)
    return float(torch.maximum(probs, logits))
