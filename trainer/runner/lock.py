"""The lock of a run folder: one process at a time writes there.

The kernel frees it when its holder ends, however that happens, so none is ever stale; the process
number and the boot id inside tell people whose it is, and which boot a number belongs to.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainer.errors import BusyError

LOCK = ".lock"


@contextmanager
def held(folder: Path, *, seconds: float = 0.0) -> Iterator[None]:
    """Hold the folder's lock.

    Args:
        folder: it must exist.
        seconds: to wait for it: a worker may take some to leave its last checkpoint.

    Raises:
        BusyError: another process holds it.
    """
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + seconds
        while not _taken(handle):
            if time.monotonic() >= deadline:
                raise _busy(folder)
            time.sleep(0.2)
        with suppress(OSError):  # a full disk: the lock holds without the words
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps({"pid": os.getpid(), "boot": boot_id()}).encode(), 0)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether some process holds the folder's lock."""
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _taken(handle)
    finally:
        os.close(handle)


def check_free(folder: Path) -> None:
    """Raise where another process is at work in the folder.

    Raises:
        BusyError: with its process number.
    """
    if is_held(folder):
        raise _busy(folder)


def holder(folder: Path) -> int | None:
    """The process that says it holds the lock; none where it does not, or is of another machine."""
    try:
        words = json.loads((folder / LOCK).read_text())
        return int(words["pid"]) if words["boot"] == boot_id() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def boot_id() -> str:
    """Names this start of the machine; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(folder: Path) -> BusyError:
    pid = holder(folder) or "unknown"
    return BusyError(
        f"Another process (number {pid}) is at work in the run {folder.name}. Wait for it to end, "
        "or stop it, and try again."
    )
