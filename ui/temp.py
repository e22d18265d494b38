"""The folder of what is kept for a short while: uploaded pictures, and files made for a download.

Gradio forgets a file that came only in part, and what an earlier process left.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

PARTIAL_SECONDS = 60.0
"""After so long without a byte an unfinished upload is taken for aborted."""
SWEEP_SECONDS = 30.0


def temp_root() -> Path:
    """Where gradio puts uploads and what handlers return."""
    root = os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio"
    return Path(root).resolve()


def received(path: object) -> Path | None:
    """The file at a path that a browser sent; none where it is no upload.

    Gradio looks at some of the paths in a request and not at all of them: a picture may name any
    file of this machine.
    """
    try:
        source = Path(path).resolve() if isinstance(path, str) else None
        return source if source and temp_root() in source.parents and source.is_file() else None
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, a circle of links
        return None


def new_folder() -> Path:
    """An empty folder for a file that somebody is about to download; it is swept with the rest."""
    root = temp_root()
    root.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="lrlab-", dir=root))


def sweep(root: Path, *, max_seconds: float, now: float | None = None) -> int:
    """Remove what is older than `max_seconds`, and unfinished uploads; return the bytes freed.

    Links are removed, never followed.
    """
    now = time.time() if now is None else now
    freed = 0
    for folder, _, names in os.walk(root, topdown=False):
        place = Path(folder)
        for name in names:
            # An upload that comes in is a file right under the root, and moves when it is whole.
            limit = min(PARTIAL_SECONDS, max_seconds) if place == root else max_seconds
            freed += _remove_old(place / name, now - limit)
        if place != root:
            with suppress(OSError):  # not empty, or gone already
                if place.stat().st_mtime < now - PARTIAL_SECONDS:
                    place.rmdir()
    return freed


def sweep_folders(
    root: Path,
    *,
    max_seconds: float,
    needed: Callable[[], set[Path]] = set,
    now: float | None = None,
) -> None:
    """Remove each folder right under `root` that is older than `max_seconds`, whole, but those
    that are needed."""
    now = time.time() if now is None else now
    kept = needed()
    for folder in root.iterdir() if root.is_dir() else ():
        with suppress(OSError):
            old = folder.lstat().st_mtime < now - max_seconds
            if old and folder.is_dir() and folder not in kept:
                shutil.rmtree(folder)


def keep_swept(
    chores: Sequence[Callable[[], object]], *, closing: threading.Event
) -> threading.Thread:
    """Start a thread that does the chores at once, and again until `closing` is set."""

    def serve() -> None:
        while True:
            for chore in chores:
                with suppress(OSError):  # too many open files, perhaps: at the next turn
                    chore()
            if closing.wait(SWEEP_SECONDS):
                return

    thread = threading.Thread(target=serve, name="sweeper", daemon=True)
    thread.start()
    return thread


def _remove_old(path: Path, before: float) -> int:
    with suppress(OSError):  # gradio may remove it just now
        state = path.lstat()
        if max(state.st_mtime, state.st_ctime) < before:
            path.unlink()
            return state.st_size
    return 0
