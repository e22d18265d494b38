"""Stopping a run, wherever it is: in its lane's queue, in a process, or in neither."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from trainer.errors import BusyError, DiskFullError
from trainer.events import Stopped
from trainer.runner.folder import ENDED, read_folder, request_stop, write_run
from trainer.runner.journal import append_event
from trainer.runner.lane import Lane
from trainer.runner.lock import held


def ask_to_stop(lane: Lane, folder: Path) -> None:
    """Stop a run: one that waits leaves the queue, one that runs stops at its next step, and one
    that no process carries out is marked at once.

    Raises:
        DiskFullError: that cannot be written.
    """
    waiting = lane.drop(folder)
    try:
        if waiting is not None:
            _mark(folder, "It was taken out of the queue before it began.")
            return
        request_stop(folder)  # first: whoever begins with it meanwhile stops at once
        if lane.current() != folder:
            with suppress(BusyError), held(folder):
                _mark(folder, "No process was carrying it out any more; it is stopped.")
    except OSError as error:
        if waiting is not None:  # else it would wait in no queue
            lane.add(folder, owner=waiting.owner, again=waiting.again, sender=waiting.sender)
        raise DiskFullError(
            f"The run cannot be stopped now ({error.strerror}). Make room on the disk, and stop it "
            "again."
        ) from error


def _mark(folder: Path, message: str) -> None:
    run = read_folder(folder)
    if run is not None and run.status not in ENDED:
        write_run(replace(run, status="stopped"))
        append_event(folder, Stopped(step=0, total_steps=0, message=message))
