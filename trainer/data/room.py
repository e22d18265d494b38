"""Room in the cache: what has been unused for longest goes first, whole.

Besides our own cache, on a Space also the Hub's: elsewhere that one is other programs' too.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from trainer.data.cache import cache_root, temporary_sibling
from trainer.data.names import megabytes
from trainer.disk import free_bytes
from trainer.errors import DiskFullError
from trainer.limits import Limits

FREE = 2_000_000_000
"""Bytes of the disk that the cache leaves free."""

IN_USE_SECONDS = 3600
"""Time since its last use in which an entry belongs to a run that has it or is about to open it."""

STALE_SECONDS = 24 * 3600
"""Age from which what is temporary belongs to no living process."""

_PLACES = ("decoded/*", "features/*", "zips/*", "hub/*/*", "hub-models/*/*")
"""Where the entries lie: files, and folders of an archive or of a commit of a dataset or model."""
_SIZE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    used: float
    """Unix time of its last use: whoever uses one touches it."""
    size: int


def touch(path: Path) -> None:
    """Say that an entry is used now."""
    with suppress(OSError):
        os.utime(path)


def ensure_room(num_bytes: int, what: str, limits: Limits | None = None) -> None:
    """Make room for what is about to be downloaded or unpacked.

    Args:
        num_bytes: that it takes.
        what: it is, in words.
        limits: from the environment by default.

    Raises:
        DiskFullError: there is not enough, whatever is dropped.
    """
    if not num_bytes:
        return
    limits = limits or Limits.from_env()
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    make_room(limits, num_bytes)
    free = free_bytes(root)
    if free - num_bytes < limits.min_free_bytes:
        raise DiskFullError(
            f"There is not enough room on the disk for {what}: it takes {megabytes(num_bytes)}, "
            f"{megabytes(free)} are free, and {megabytes(limits.min_free_bytes)} of them are kept "
            "for the runs (LRLAB_MIN_FREE_BYTES). Choose a smaller one, make room, or try again in "
            "an hour."
        )


def make_room(limits: Limits | None = None, num_bytes: int = 0) -> None:
    """Drop the longest unused entries until the rest and `num_bytes` more are within
    `max_cache_bytes` and leave the disk `FREE` bytes.

    What was used within the last hour stays, and a file that is open can be read on.
    """
    limit = (limits or Limits.from_env()).max_cache_bytes
    with suppress(OSError):
        entries = sorted(_entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries)
        free = free_bytes(cache_root())
        allowed = max(0, min(limit, total + free - FREE) - num_bytes)
        for entry in entries:
            if total <= allowed or time.time() - entry.used < IN_USE_SECONDS:
                return
            _drop(entry.path)
            total -= entry.size


def _entries() -> Iterator[_Entry]:
    """What `make_room` may drop; what is temporary and nobody writes any more goes at once."""
    for place in _PLACES:
        for path in cache_root().glob(place):
            with suppress(OSError):  # another process clears up as well
                stat = path.stat()
                if path.is_dir():
                    size = _size(path, int(time.time() // _SIZE_SECONDS))
                else:
                    size = stat.st_size
                if not path.name.startswith("."):
                    yield _Entry(path, stat.st_mtime, size)
                elif time.time() - stat.st_mtime > STALE_SECONDS:
                    _drop(path)
    if os.environ.get("SPACE_ID"):
        yield from _of_the_hub()


def _of_the_hub() -> Iterator[_Entry]:
    """The repositories in the Hub's own cache."""
    from huggingface_hub import CacheNotFound, constants, scan_cache_dir

    with suppress(CacheNotFound):
        for repo in scan_cache_dir(constants.HF_HUB_CACHE).repos:
            used = max(repo.last_accessed, repo.last_modified)
            yield _Entry(repo.repo_path, used, repo.size_on_disk)


@lru_cache(maxsize=10_000)
def _size(folder: Path, _now: int) -> int:
    """Bytes of a folder on the disk, where a small file takes a block; looked at now and then."""
    stats = (path.lstat() for path in folder.rglob("*"))
    return sum(max(stat.st_size, stat.st_blocks * 512) for stat in stats)


def _drop(path: Path) -> None:
    """Remove an entry, so that nobody sees a part of it."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    going = path if path.name.startswith(".") else path.rename(temporary_sibling(path))
    shutil.rmtree(going, ignore_errors=True)
