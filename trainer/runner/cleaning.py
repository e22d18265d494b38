"""Clearing up: ended runs that are old or too many, and uploads that no run refers to.

What runs or waits is never touched, nor what somebody made on the command line.
"""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import BusyError
from trainer.limits import Limits
from trainer.runner.folder import ENDED, Run, read_folder
from trainer.runner.lock import held, is_held
from trainer.runner.owner import COMMAND_LINE

KEPT = ("sweep", "train")
"""Kinds that are kept for days; the others answered somebody who has read the answer."""
NEW_SECONDS = 3600.0
"""Nothing is removed for its size within so long after its end: somebody looks at it."""
_DAY, _HOUR = 86_400, 3_600


@dataclass(frozen=True, slots=True)
class _Ended:
    run: Run
    ended: float
    size: int


def clean(root: Path, limits: Limits, *, now: float | None = None) -> list[Path]:
    """Remove what is over the limits, the oldest first.

    Args:
        root: the folder of runs.
        limits: of age and size.
        now: Unix time.

    Returns:
        What was removed.
    """
    now = time.time() if now is None else now
    ended = sorted(_ended(_runs(root)), key=lambda each: each.ended)
    old = [each for each in ended if now - each.ended > _kept_seconds(each.run, limits)]
    rest = [each for each in ended if each not in old]
    total = sum(each.size for each in rest)
    for each in rest:
        if total <= limits.max_runs_bytes or now - each.ended < NEW_SECONDS:
            break
        old.append(each)
        total -= each.size
    removed = [Path(each.run.folder) for each in old if _remove(each.run)]
    needed = {str(run.job.get("dataset", "")) for run in _runs(root)}  # some go on by now
    unused = _unused_uploads(root / "uploads", needed, now - limits.max_quick_run_hours * _HOUR)
    for path in unused:
        shutil.rmtree(path, ignore_errors=True)
    return removed + unused


def _runs(root: Path) -> list[Run]:
    return [run for folder in sorted(root.iterdir()) if (run := read_folder(folder))]


def _remove(run: Run) -> bool:
    """Remove a run's folder, unless somebody has gone on with it since it was looked at."""
    folder = Path(run.folder)
    with suppress(BusyError, OSError), held(folder):
        if read_folder(folder) == run:
            (folder / "run.json").unlink()  # from here on it is no run that could go on
            shutil.rmtree(folder, ignore_errors=True)
            return True
    return False


def _kept_seconds(run: Run, limits: Limits) -> float:
    if run.kind in KEPT:
        return limits.max_run_days * _DAY
    return limits.max_quick_run_hours * _HOUR


def _ended(runs: list[Run]) -> list[_Ended]:
    """Those that may be removed, with the time of their end and their size."""
    found = []
    for run in runs:
        folder = Path(run.folder)
        waits = run.status not in ENDED or run.interrupted or is_held(folder)
        if not waits and run.owner != COMMAND_LINE:
            with suppress(OSError):  # somebody removes it just now
                found.append(_Ended(run, (folder / "run.json").stat().st_mtime, _size(folder)))
    return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _unused_uploads(uploads: Path, needed: set[str], before: float) -> list[Path]:
    """Old folders of uploads in which no run's dataset lies."""
    found = []
    for folder in sorted(uploads.iterdir()) if uploads.is_dir() else ():
        with suppress(OSError):
            used = any(dataset.startswith(f"{folder}/") for dataset in needed)
            if folder.is_dir() and not used and folder.stat().st_mtime < before:
                found.append(folder)
    return found
