"""A process that the app starts: its log, priority and limits, and its end when the app's comes.

The app keeps the other end of its standard input: when the app ends, however that happens, the
input does.
"""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

from trainer.limits import Limits
from trainer.redact import redact_output

ABANDONED = 75
"""Exit code of a process that could not stop in time (EX_TEMPFAIL)."""

FIRST_TO_GO = "500"
"""What Linux adds to the score by which it chooses whom to end, in thousandths of the memory."""


def open_log(path: Path) -> TextIO:
    """The log of such processes, to be added to; nobody else on the machine may read it.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with suppress(OSError):  # it is older than this rule
        os.fchmod(handle, 0o600)
    return os.fdopen(handle, "a")


def confine(niceness: int, *secrets: str) -> None:
    """At its beginning: give way to others, write no huge file, print no secret.

    Where the memory of the whole machine ends, the system ends this process rather than the app.

    Args:
        niceness: added to the app's.
        secrets: what is never printed, besides what looks like a token.
    """
    os.nice(niceness)
    with suppress(OSError):  # a system without it
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    _limit_files()
    redact_output(*secrets)


def ends_with_input(seconds: float) -> Callable[[], bool]:
    """Watch standard input, of which everything has been read, for its end.

    Args:
        seconds: that the process has from then on; it ends after them, whatever it does.

    Returns:
        Tells whether the input has ended.
    """
    ended = threading.Event()
    threading.Thread(target=_end, args=(ended, seconds), daemon=True, name="end").start()
    return ended.is_set


def leave(code: int = 0) -> NoReturn:
    """End this process, whose work is done and on the disk.

    Not through the interpreter's own end: with torch imported that takes seconds on a busy
    machine, in which no thread could end it any more.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody listens any more
            stream.flush()
    os._exit(code)


def _end(ended: threading.Event, seconds: float) -> None:
    # Not through `sys.stdin`: its lock would be held at the interpreter's end.
    with suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    ended.set()
    time.sleep(seconds)
    os._exit(ABANDONED)


def _limit_files() -> None:
    """No single file may fill the disk; Python turns the signal into an OSError."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = Limits.from_env().max_file_bytes
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
