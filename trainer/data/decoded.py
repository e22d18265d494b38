"""The decoded pictures of a split: uint8 `[N, S, S, 3]` in a memory-mapped file, made once.

The file is keyed by the pictures, the preprocessing and this file's version; a process that is
killed while it writes leaves only a temporary file that nobody reads.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from trainer.data.cache import cache_root
from trainer.data.dataset import Split
from trainer.data.picture import DECODER_VERSION, decode

VERSION = 1
"""Raised when decoding or the preprocessing changes what is stored."""


class View(Protocol):
    """A preprocessing (`transforms.Preprocess`): its repr names everything that matters."""

    @property
    def image_size(self) -> int: ...

    def view(self, image: Image.Image) -> np.ndarray: ...


def decoded_path(split: Split, view: View) -> Path:
    """Where the split's decoded pictures are kept for this preprocessing."""
    key = hashlib.sha256(f"{VERSION}|{DECODER_VERSION}|{view!r}".encode())
    for picture in split.pictures:
        key.update(f"|{picture.name}|{picture.stamp}".encode())
    return cache_root() / "decoded" / f"{key.hexdigest()[:32]}.npy"


def decode_split(split: Split, view: View) -> Iterator[tuple[int, int]]:
    """Make the split's file unless it exists; yields (done, total) as it goes.

    Raises:
        PictureError: a picture cannot be decoded; `check.usable` leaves such pictures out.
        OSError: the disk is full or not writable.
    """
    path = decoded_path(split, view)
    if path.exists():
        os.utime(path)  # used again: the last one to be cleared away
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".making-", suffix=".npy")
    os.close(handle)
    try:
        yield from _fill(Path(name), split, view)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def open_decoded(split: Split, view: View) -> np.ndarray:
    """The decoded pictures, uint8 `[N, S, S, 3]`, read from disk as they are used."""
    return np.load(decoded_path(split, view), mmap_mode="r")


def _fill(path: Path, split: Split, view: View) -> Iterator[tuple[int, int]]:
    total = len(split)
    shape = (total, view.image_size, view.image_size, 3)
    images = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)

    def make(index: int) -> None:
        images[index] = view.view(decode(split.pictures[index].read()))

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the GIL
        for start in range(0, total, 64):
            some = range(start, min(start + 64, total))
            list(pool.map(make, some))
            yield some.stop, total
    images.flush()
    with path.open("rb") as file:
        os.fsync(file.fileno())
