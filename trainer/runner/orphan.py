"""A worker that hangs and outlives its app: it never sees the end of its input, and is ended here.

It is known by three things: it says that it holds the run's lock and has that file open, its
command line is a worker's, and nobody has the other end of its standard input any more. A number
alone would not do: in another container it belongs to another process.
Not covered: a system without /proc, where such a run stays as it is until its worker ends.
"""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from trainer.runner.lock import LOCK, holder

MODULES = (b"trainer.runner.worker", b"trainer.runner.publishing")


def end_orphan(folder: Path) -> None:
    """End the process that holds a run folder's lock if it is a worker whose app has gone."""
    pid = holder(folder)
    with suppress(OSError):  # it has just ended, is somebody else's, or the system does not tell
        if pid is not None and _is_worker(pid) and _has_open(pid, folder / LOCK) and _is_left(pid):
            os.killpg(pid, signal.SIGKILL)  # with what it had started


def _is_worker(pid: int) -> bool:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return any(module in words for module in MODULES)


def _has_open(pid: int, path: Path) -> bool:
    wanted = path.stat()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since
            if os.path.samestat(link.stat(), wanted):
                return True
    return False


def _is_left(pid: int) -> bool:
    """Whether the other end of its standard input is closed; nothing is read from it."""
    handle = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        poll = select.poll()
        poll.register(handle, 0)
        return any(happened & select.POLLHUP for _, happened in poll.poll(0))
    finally:
        os.close(handle)
