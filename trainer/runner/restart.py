"""What becomes of a run whose process has died: it is begun again a few times, or it has ended."""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer.events import Event, Failed, Note, Stopped
from trainer.limits import Limits
from trainer.runner.folder import Run, holds_checkpoint, stop_requested, write_run
from trainer.runner.journal import append_once
from trainer.runner.vitals import LACK_OF_MEMORY

_STEP = re.compile(r"(?:\.replaced-)?ckpt-(\d+)")
AGAIN = ("sweep", "train")
"""Kinds that are begun again; the others answer somebody who waits, and may die of a picture."""

FEWEST = 2
"""Images at once below which a run does not go: BatchNorm cannot measure one alone."""
_TIMES = {2: "second", 3: "third"}
KILLED = "it ran out of memory or was killed"


def after_death(
    run: Run, why: str, limits: Limits, *, closing: bool = False, big: bool = True
) -> bool:
    """Write down how a run stands whose process has died.

    Args:
        run: as its folder has it; one that ended well stays as it is.
        why: the reason in words.
        limits: how often a run is begun again.
        closing: the app ends: it goes on when the app is started again.
        big: whether its process had so much memory that this may be why it was killed.

    Returns:
        Whether it waits again, to go on from its last checkpoint.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(run.folder)
    if run.status in ("done", "failed") or (run.status == "stopped" and not run.interrupted):
        return False
    if stop_requested(folder):
        kept = "; its last checkpoint is kept" if holds_checkpoint(folder) else ""
        message = f"The run was ended at once{kept}."
        _end(run, Stopped(step=0, total_steps=0, message=message), "stopped")
        return False
    if closing:
        if run.status != "stopped":
            later = "; it goes on when the app is back" if run.kind in AGAIN else ""
            message = f"The app ended before this run did{later}."
            _end(run, Stopped(step=0, total_steps=0, message=message), "stopped", interrupted=True)
        return False
    # One that was killed may have been too big for the system; the first time it may not.
    big = big or run.restarts >= limits.max_restarts - 1  # somebody else's memory may be why
    less_memory = why == LACK_OF_MEMORY or (why == KILLED and run.restarts > 0 and big)
    counts = why != LACK_OF_MEMORY or _at_once(run.job) <= FEWEST
    if run.kind not in AGAIN or (counts and run.restarts >= limits.max_restarts):
        _end(run, _failure(run, why), "failed")
        return False
    begin_again(run, f"The worker died ({why})", less_memory=less_memory, counts=counts)
    return True


def begin_again(run: Run, what: str, *, less_memory: bool = False, counts: bool = True) -> Run:
    """Mark a run as waiting to go on, and say so in its journal.

    Args:
        run: any that has not ended by itself.
        what: happened, in words.
        less_memory: take half as many images at once.
        counts: whether this is one of the restarts that are limited.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(run.folder)
    resume = run.kind == "train" and holds_checkpoint(folder)
    job = {**run.job, "resume": resume}
    if less_memory:
        job["at_once"] = max(FEWEST, _at_once(job) // 2)
    where = f"resuming from step {last_step(folder)}" if resume else "beginning again"
    if less_memory:
        where += f" with {job['at_once']} images at once"
    restarts = run.restarts + counts
    if counts and restarts > 1:
        where += f", for the {_TIMES.get(restarts, f'{restarts}th')} time"
    append_once(folder, Note(text=f"{what}, {where}."))
    again = replace(run, status="queued", job=job, restarts=restarts, interrupted=False)
    return write_run(again)


def can_go_on(run: Run) -> bool:
    """Whether somebody may have a run go on."""
    return run.kind == "train" and run.status in ("stopped", "failed")


def go_on(run: Run) -> Run:
    """Mark a training that has ended as waiting again, because somebody asked for it.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(run.folder)
    (folder / "stop").unlink(missing_ok=True)
    job = {**run.job, "resume": holds_checkpoint(folder)}
    run = replace(run, status="queued", job=job, pid=os.getpid(), restarts=0, interrupted=False)
    return write_run(run)


def last_step(folder: Path) -> int:
    """The step of a run's newest checkpoint; 0 without one."""
    found = (_STEP.fullmatch(path.name) for path in folder.glob("*ckpt-*"))
    return max((int(match[1]) for match in found if match), default=0)


def in_words(code: int) -> str:
    """The reason that an exit code tells."""
    if code == -9:
        return KILLED
    if code == 0:
        return "somebody asked it to end"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _at_once(job: dict[str, Any]) -> int:
    return job.get("at_once") or job["config"]["batch_size"]


def _failure(run: Run, why: str) -> Failed:
    tried = f" It was begun again {run.restarts} times." if run.restarts else ""
    advice = "Try again, with a smaller batch size." if run.kind == "train" else "Try again."
    if holds_checkpoint(Path(run.folder)):
        advice = "Its last checkpoint is kept: go on from it, or train anew with smaller batches."
    return Failed(
        error="WorkerDied",
        message=f"The process that carried out this run ended unexpectedly ({why}).{tried} "
        f"{advice}",
    )


def _end(run: Run, event: Event, status: str, *, interrupted: bool = False) -> None:
    append_once(Path(run.folder), event)
    write_run(replace(run, status=status, interrupted=interrupted))
