"""A walk over a folder of pictures: what is there, what is left out, and why.

Nothing outside the folder is opened: links that lead elsewhere are left out, and so is whatever
is neither a file nor a folder, for reading a pipe would wait for ever.
"""

import os
import stat
from pathlib import Path

from trainer.data.dataset import Skipped
from trainer.data.names import (
    ARCHIVE_SUFFIXES,
    is_litter,
    is_picture_name,
    megabytes,
    natural_key,
    printable,
)
from trainer.errors import DatasetError
from trainer.limits import Limits


class Tree:
    """One walk; `skipped` gathers what it left out, each name once."""

    def __init__(self, root: Path, *, title: str, limits: Limits) -> None:
        self.root = root
        self.title = title
        self._limits = limits
        self._reasons: dict[str, str] = {}
        self._num_seen = 0
        self._num_pictures = 0

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was left out so far, sorted by name."""
        return tuple(Skipped(name, reason) for name, reason in sorted(self._reasons.items()))

    def name(self, path: Path) -> str:
        """The path below the root, for people."""
        return printable(path.relative_to(self.root).as_posix())

    def skip(self, path: Path, reason: str) -> None:
        """Leave a path out for a reason; the first reason stays."""
        self._reasons.setdefault(self.name(path), reason)

    def entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The files and the folders directly in a folder, without litter, in natural order.

        Raises:
            DatasetError: there are far more entries than the limits allow pictures.
        """
        files: list[Path] = []
        folders: list[Path] = []
        try:
            names = sorted((entry.name for entry in os.scandir(folder)), key=natural_key)
        except OSError as error:
            self.skip(folder, f"cannot be opened ({error.strerror})")
            return files, folders
        self._count(len(names))
        for name in names:
            if is_litter(name):
                continue
            path = folder / name
            kind = self._kind(path)
            if kind == "folder":
                folders.append(path)
            elif kind == "file":
                files.append(path)
        return files, folders

    def pictures(self, folder: Path) -> list[tuple[Path, str]]:
        """The usable pictures in a folder and all folders below it, each with its stamp.

        Raises:
            DatasetError: there are more pictures than the limits allow.
        """
        found: list[tuple[Path, str]] = []
        waiting = [folder]
        while waiting:
            files, folders = self.entries(waiting.pop())
            waiting.extend(folders)
            for path in files:
                stamp = self._stamp(path)
                if stamp:
                    found.append((path, stamp))
        self._num_pictures += len(found)
        if self._num_pictures > self._limits.max_pictures:
            raise DatasetError(
                f"{self.title!r} holds more than {self._limits.max_pictures:,} pictures. "
                "Keep fewer, or raise the limit LRLAB_MAX_PICTURES on your own machine."
            )
        return found

    def skip_loose(self, files: list[Path]) -> int:
        """Leave out files that lie beside class folders; return how many look like pictures."""
        num_pictures = 0
        for path in files:
            if is_picture_name(path.name):
                num_pictures += 1
                self.skip(path, "is not in a class folder")
            else:
                self.skip(path, _not_a_picture(path))
        return num_pictures

    def _count(self, num_entries: int) -> None:
        self._num_seen += num_entries
        if self._num_seen > 4 * self._limits.max_pictures:
            raise DatasetError(
                f"{self.title!r} holds far too many files to be a folder of pictures "
                f"(more than {4 * self._limits.max_pictures:,}). Choose the folder that holds "
                "the class folders."
            )

    def _kind(self, path: Path) -> str:
        """`file`, `folder`, or empty for what was left out."""
        try:
            linked = path.is_symlink()
            mode = path.stat().st_mode
            outside = linked and not path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):
            self.skip(path, "is a link that leads nowhere")
            return ""
        if outside:
            self.skip(path, "is a link that leads outside the folder")
        elif linked and stat.S_ISDIR(mode):
            self.skip(path, "is a link to another folder")
        elif stat.S_ISDIR(mode):
            return "folder"
        elif stat.S_ISREG(mode):
            return "file"
        else:
            self.skip(path, "is not a file")
        return ""

    def _stamp(self, path: Path) -> str:
        """Size and time of change of a picture file, or empty for one that is left out."""
        if not is_picture_name(path.name):
            self.skip(path, _not_a_picture(path))
            return ""
        status = path.stat()
        if status.st_size == 0:
            self.skip(path, "is empty")
            return ""
        if status.st_size > self._limits.max_picture_bytes:
            limit = megabytes(self._limits.max_picture_bytes)
            self.skip(path, f"is too large ({megabytes(status.st_size)}; the limit is {limit})")
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"


def _not_a_picture(path: Path) -> str:
    if path.suffix.lower() in ARCHIVE_SUFFIXES:
        return "is an archive within the dataset; unpack it first"
    return "is not a picture"
