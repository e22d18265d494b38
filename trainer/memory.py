"""Running out of memory: how it is told from other errors, and how a step is made in parts.

The gradients of a batch's parts, each weighted by its share, add up to the batch's gradient; so the
effective batch stays, and with it what the rate means. Not covered: BatchNorm that measures its
statistics during the training (random weights): it measures them over each part.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the runner uses this file without torch
    from torch import Tensor

_WORDS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not create a primitive",  # oneDNN's words; PyTorch passes them on
)


class TooBigError(MemoryError):
    """Not even one image at a time fits; the message is for the person."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is Python's error, or one of PyTorch's for a CPU or a GPU."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _WORDS)


def smaller(at_once: int, batch_size: int, *, fewest: int = 1) -> int:
    """Half as many images at once.

    Raises:
        TooBigError: it is `fewest` already.
    """
    if at_once <= fewest:
        count = "one image" if at_once == 1 else f"{at_once} images"
        raise TooBigError(
            f"There is not enough memory even for {count} at a time, the smallest part that a "
            f"step of {batch_size} images can be split into. Try a smaller image_size or a "
            "smaller model."
        )
    return max(fewest, at_once // 2)


def parts(tensor: "Tensor", at_once: int | None, *, fewest: int = 1) -> tuple["Tensor", ...]:
    """The batch `[B, …]` in parts of about the same size, none larger than `at_once`.

    Args:
        tensor: of a batch.
        at_once: images in a part; none: all.
        fewest: images in a part, also where it is then larger.
    """
    count = 1 if at_once is None else -(-len(tensor) // at_once)
    return tensor.tensor_split(min(count, max(1, len(tensor) // fewest)))
