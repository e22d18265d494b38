"""A full disk: how it is told from other errors, and how long somebody waits for room."""

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("os error {})", "[Errno {}]")
"""How errors without a number of their own quote one: safetensors', and those of a copied tree."""

RETRY_SECONDS = 2.0
"""Between two looks whether there is room again."""

PATIENCE_SECONDS = 1800.0
"""How long a run waits for room before it fails; its last checkpoint is kept either way."""


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that there is no room or no quota left."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(words.format(number) in str(error) for words in _WORDS for number in FULL):
            return True
        error = error.__cause__
    return False


def patiently(write: Callable[[], object]) -> None:
    """Do a small write; where the disk is full, again and again for `PATIENCE_SECONDS`.

    Raises:
        OSError: the last failure, or one that waiting does not mend.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            write()
            return
        except OSError as error:
            if not is_full(error) or time.monotonic() > deadline:
                raise
        time.sleep(RETRY_SECONDS)


def free_bytes(folder: Path) -> int:
    """Room on the folder's disk."""
    return shutil.disk_usage(folder).free
