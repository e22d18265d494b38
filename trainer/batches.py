"""The order of the training images: a permutation an epoch from (seed, phase, epoch) alone.

So a position in a run is an integer, and a resumed run goes on with the same batches.
"""

import hashlib
from collections.abc import Iterator

import numpy as np


def seed_for(*parts: int | str) -> int:
    """A 63-bit seed from the parts; the same on every machine."""
    text = ":".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def num_batches(num_images: int, batch_size: int) -> int:
    """Steps of an epoch; a last batch of one image is left out, BatchNorm cannot use it."""
    full, rest = divmod(num_images, batch_size)
    return max(1, full + (rest > 1))


def epoch_batches(num_images: int, batch_size: int, *seed: int | str) -> list[np.ndarray]:
    """The batches of one epoch as index arrays, the last one may be smaller."""
    order = np.random.default_rng(seed_for(*seed)).permutation(num_images)
    count = num_batches(num_images, batch_size)
    return [order[i * batch_size : (i + 1) * batch_size] for i in range(count)]


def forever(num_images: int, batch_size: int, *seed: int | str) -> Iterator[np.ndarray]:
    """Batches of epoch after epoch, for a sweep that is longer than one."""
    epoch = 0
    while True:
        yield from epoch_batches(num_images, batch_size, *seed, epoch)
        epoch += 1
