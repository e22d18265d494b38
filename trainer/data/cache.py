"""The cache folder: where it is, how a file gets into it whole or not at all, how large it gets."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from trainer.limits import Limits

FREE = 2_000_000_000
"""Bytes of the disk that the cache leaves free."""

IN_USE_SECONDS = 3600
"""Time since its last use in which a file belongs to a run that has it, or is about to open it."""

STALE_SECONDS = 24 * 3600
"""Age from which a temporary file belongs to no living process."""


def cache_root() -> Path:
    """The folder for caches: `$LRLAB_CACHE`, else `$XDG_CACHE_HOME/lrlab`, else `~/.cache/lrlab`.

    It is not made here; whoever writes makes what is needed.
    """
    own = os.environ.get("LRLAB_CACHE")
    if own:
        return Path(own).expanduser()
    # The XDG specification says that a relative path there is invalid and to be ignored.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = shared if shared.is_absolute() else Path.home() / ".cache"
    return base / "lrlab"


def temporary_sibling(path: Path) -> Path:
    """A name beside `path` that no other process uses, to be moved over `path` when complete."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part.

    Raises:
        OSError: the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_sibling(path)
    try:
        temporary.write_text(json.dumps(value), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, or None where there is none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def make_room(limits: Limits | None = None) -> None:
    """Drop the longest unused decoded pictures and features until the rest is within
    `max_cache_bytes` and the disk has `FREE` bytes.

    What was used within the last hour stays, and a file that is open can be read on.

    A reader touches what it uses, so the time of change is the time of last use.
    """
    limit = (limits or Limits.from_env()).max_cache_bytes
    with suppress(OSError):
        files = sorted(_large_files(), key=lambda file: file[1].st_mtime, reverse=True)
        free = shutil.disk_usage(cache_root()).free
        total = sum(stat.st_size for _, stat in files)
        allowed = min(limit, max(0, total + free - FREE))
        for path, stat in reversed(files):
            if total <= allowed or time.time() - stat.st_mtime < IN_USE_SECONDS:
                return
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _large_files() -> Iterator[tuple[Path, os.stat_result]]:
    """What `make_room` may drop; temporary files that nobody writes any more go at once."""
    for name in ("decoded", "features"):
        folder = cache_root() / name
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):  # another process clears up as well
                stat = path.stat()
                if not path.name.startswith("."):
                    yield path, stat
                elif time.time() - stat.st_mtime > STALE_SECONDS:
                    path.unlink()
