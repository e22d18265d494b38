"""`Recovery`: at the app's start, takes up the runs that an earlier app left unfinished."""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from trainer.errors import BusyError
from trainer.events import Stopped
from trainer.jobs import PUBLISHING
from trainer.limits import Limits
from trainer.runner.folder import (
    ENDED,
    Run,
    holds_checkpoint,
    read_folder,
    stop_requested,
    write_run,
)
from trainer.runner.journal import append_event
from trainer.runner.lane import Lane
from trainer.runner.lock import held, is_held
from trainer.runner.orphan import end_orphan
from trainer.runner.owner import COMMAND_LINE
from trainer.runner.publisher import UNFINISHED, clear_scratch
from trainer.runner.restart import AGAIN, begin_again

ADOPT_SECONDS = 30.0
"""For the workers of an app that was killed to leave their checkpoints and end by themselves."""


class Recovery:
    """What is unfinished in one folder of runs, which it holds until it is closed."""

    def __init__(
        self, root: Path, *, lane_for: Callable[[str], Lane], limits: Limits, own: set[str]
    ) -> None:
        """Get ready.

        Args:
            root: the folder of runs.
            lane_for: the lane of a kind of run.
            limits: of restarts and of what may wait.
            own: the ids of the runs that this app has begun or resumed, which are left alone;
                those that are taken up are added.
        """
        self._root = root
        self._lane_for = lane_for
        self._limits = limits
        self._own = own
        self._closed = threading.Event()
        self._locks = ExitStack()

    def begin(self) -> None:
        """Take up what is left, in the order it came; where a process is still at work on a run,
        as soon as it has ended.

        A sweep or training that ran or waited goes on; others, and those that have been begun
        again too often, are marked as stopped. Where another living app has this folder of runs,
        nothing is done; one that is just ending is waited for.
        """
        try:
            self._locks.enter_context(held(self._root))
        except BusyError as error:
            sys.stderr.write(f"Unfinished runs are left alone: {error}\n")
            threading.Thread(target=self._begin_later, daemon=True).start()
            return
        self._take_up_all()

    def _begin_later(self) -> None:
        """Take up the runs of an app that was still ending; not those of one that stays."""
        deadline = time.monotonic() + ADOPT_SECONDS
        while time.monotonic() < deadline and not self._closed.wait(0.5):
            with suppress(BusyError):
                self._locks.enter_context(held(self._root))
                self._take_up_all()
                return

    def _take_up_all(self) -> None:
        found = [run for folder in self._root.iterdir() if (run := read_folder(folder))]
        for run in found:
            if run.status in ENDED and run.kind in PUBLISHING and not is_held(Path(run.folder)):
                clear_scratch(run)
        unfinished = [run for run in found if self._is_left(run)]
        left = sorted(unfinished, key=lambda run: run.created)
        ending = [Path(run.folder) for run in left if not self._take_up(run)]
        if ending:
            threading.Thread(target=self._adopt, args=(ending,), daemon=True).start()

    def _is_left(self, run: Run) -> bool:
        """Whether a run is unfinished, and none of this app's own.

        Not by when it was begun: a clock may be set back, and another app may have begun it later.
        """
        return run.run_id not in self._own and (run.status not in ENDED or run.interrupted)

    def close(self) -> None:
        """Let go of the folder."""
        self._closed.set()
        self._locks.close()

    def _take_up(self, run: Run) -> bool:
        """Go on with an unfinished run, or mark it; False if a process is still at work on it."""
        folder = Path(run.folder)
        mine = run.owner == COMMAND_LINE
        if mine and (run.status in ENDED or (run.status == "queued" and _alive(run.pid))):
            return True  # stopped by Ctrl-C, which is its end; or about to begin
        try:
            with suppress(OSError), held(folder):  # a full disk: at the next start
                now = read_folder(folder)
                if now is not None and self._is_left(now):
                    self._go_on(now)
        except BusyError:
            return mine
        return True

    def _go_on(self, run: Run) -> None:
        folder = Path(run.folder)
        clear_scratch(run)
        lane = self._lane_for(run.kind)
        began = run.status != "queued"
        tired = began and not run.interrupted and run.restarts >= self._limits.max_restarts
        full = len(lane.queue()) >= self._limits.max_waiting
        mine = run.owner == COMMAND_LINE
        if mine or run.kind not in AGAIN or tired or full or stop_requested(folder):
            append_event(folder, Stopped(step=0, total_steps=0, message=_message(run)))
            write_run(replace(run, status="stopped", interrupted=False))
            return
        if began:
            run = begin_again(run, "The app was started again", counts=not run.interrupted)
        write_run(replace(run, pid=os.getpid()))
        self._own.add(run.run_id)
        lane.add(folder, owner=run.owner, again=began)

    def _adopt(self, folders: list[Path]) -> None:
        """Take up runs whose worker outlives its app by some seconds, or hangs and is ended."""
        deadline = time.monotonic() + ADOPT_SECONDS
        while folders and not self._closed.wait(0.5):
            if time.monotonic() > deadline:
                for folder in folders:
                    end_orphan(folder)
            runs = [run for folder in folders if (run := read_folder(folder))]
            folders = [
                Path(run.folder) for run in runs if self._is_left(run) and not self._take_up(run)
            ]


def _message(run: Run) -> str:
    message = "The app ended before this run did"
    if run.kind in PUBLISHING:
        return f"{message}. {UNFINISHED}"
    kept = holds_checkpoint(Path(run.folder))
    return message + ("; it can go on from its last checkpoint." if kept else ".")


def _alive(pid: int) -> bool:
    """Whether a process with this number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()
