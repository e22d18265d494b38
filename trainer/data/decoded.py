"""The decoded pictures of a split: uint8 `[N, S, S, 3]` in one file, made once, read as needed.

The file is keyed by the pictures, the preprocessing and this file's version; a process that is
killed while it writes leaves only a temporary file that nobody reads. Pictures are read from the
file and not mapped into memory, so that a process does not grow with its dataset.

Large JPEGs that are trained on are decoded at a fraction of their size, in less than half the time.
What is measured or predicted is decoded in full, as everybody does who loads the published model.
"""

import hashlib
import os
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from PIL import Image

from trainer.data.cache import cache_root, temporary_sibling
from trainer.data.dataset import Picture, Split
from trainer.data.picture import DECODER_VERSION, decode
from trainer.data.room import make_room

VERSION = 3
"""Raised when decoding or the preprocessing changes what is stored."""

FOLDER = "decoded"


class View(Protocol):
    """A preprocessing (`transforms.Preprocess`): its repr names everything that matters."""

    @property
    def image_size(self) -> int: ...

    @property
    def min_side(self) -> int: ...

    def view(self, image: Image.Image) -> np.ndarray: ...


class DecodedSplit:
    """The decoded pictures of one split; what is indexed is read, uint8 `[n, S, S, 3]`.

    The file stays open: it can be read also after the cache has dropped it.
    """

    def __init__(self, path: Path, count: int, side: int) -> None:
        self.shape = (count, side, side, 3)
        self._file = path.open("rb", buffering=0)
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: "slice | np.ndarray") -> np.ndarray:
        indices = range(len(self))[which] if isinstance(which, slice) else which
        images = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        size = images[0].nbytes if len(images) else 0
        for row, index in zip(images, indices, strict=True):
            self._file.seek(int(index) * size)
            if self._file.readinto(row.data) != size:
                raise OSError(f"the cache of decoded pictures ends before picture {index}")
        return images


class Writer:
    """Writes a split's file picture by picture; it takes its place only when it is whole."""

    def __init__(self, split_name: str, view: View) -> None:
        self._split_name = split_name
        self._view = view
        self._pictures: list[Picture] = []
        folder = cache_root() / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._making = temporary_sibling(folder / "making")
        self._file = self._making.open("wb")

    def add(self, picture: Picture, image: np.ndarray) -> None:
        """The next picture, uint8 `[S, S, 3]`."""
        self._file.write(image.tobytes())
        self._pictures.append(picture)

    def finish(self) -> None:
        """Put the file in its place, and drop the longest unused ones beyond the limit."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        split = Split(self._split_name, tuple(self._pictures))
        self._making.replace(decoded_path(split, self._view))
        make_room()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._making.unlink(missing_ok=True)


def least_side(split_name: str, view: View) -> int | None:
    """`min_side` of `decode` for the pictures of a split; None: they are decoded in full."""
    return view.min_side if split_name == "train" else None


def decoded_path(split: Split, view: View) -> Path:
    """Where the split's pictures are kept, decoded for this preprocessing."""
    how = f"{VERSION}|{DECODER_VERSION}|{view!r}|{least_side(split.name, view)}"
    key = hashlib.sha256(how.encode())
    for picture in split.pictures:
        key.update(f"|{picture.name}|{picture.stamp}".encode("utf-8", "backslashreplace"))
    return cache_root() / FOLDER / f"{key.hexdigest()[:32]}.u8"


def is_decoded(split: Split, view: View) -> bool:
    """Whether the split's file is there, and as long as it must be."""
    path = decoded_path(split, view)
    try:
        os.utime(path)  # used again: the last one to be cleared away
        return path.stat().st_size == len(split) * view.image_size**2 * 3
    except OSError:
        return False


def decode_split(split: Split, view: View) -> Iterator[tuple[int, int]]:
    """Make the split's file unless it is there; yields (done, total) as it goes.

    Raises:
        PictureError: a picture cannot be decoded; `check.usable` leaves such pictures out.
        OSError: the disk is full or not writable.
    """
    if is_decoded(split, view):
        return

    min_side = least_side(split.name, view)

    def make(picture: Picture) -> np.ndarray:
        return view.view(decode(picture.read(), min_side=min_side))

    with Writer(split.name, view) as writer, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(split), 128):  # what waits to be written stays small
            some = split.pictures[start : start + 128]
            for picture, image in zip(some, pool.map(make, some), strict=True):
                writer.add(picture, image)
            yield start + len(some), len(split)
        writer.finish()


def open_decoded(split: Split, view: View) -> DecodedSplit:
    """The decoded pictures of a split that `decode_split` has made.

    Raises:
        OSError: the file is not there.
    """
    return DecodedSplit(decoded_path(split, view), len(split), view.image_size)
