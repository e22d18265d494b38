"""`Publisher`: publications, each in a process of its own that is handed the visitor's token.

The token travels through the process's standard input: it is in no environment, on no command line,
in no file. Here it is forgotten as soon as it is handed over.
"""

import contextlib
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from trainer.errors import BusyError
from trainer.events import Failed, Stopped
from trainer.runner.folder import (
    ENDED,
    Run,
    read_folder,
    request_stop,
    write_run,
)
from trainer.runner.journal import append_event
from trainer.runner.lane import worker_environment

MAX_AT_ONCE = 3
MAX_SECONDS = 1800.0
"""A publication that takes longer is ended; what was committed is whole."""


class Publisher:
    """The publications in progress; everything shared is behind `self._lock`."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._runs: dict[str, Run] = {}

    def check_room(self, owner: str) -> None:
        """Refuse a second publication of one visitor, and too many of all.

        Raises:
            BusyError: there is no room.
        """
        with self._lock:
            # A process takes a moment to end after its run has.
            runs = [run for run in self._runs.values() if not _has_ended(run)]
            if owner in [run.owner for run in runs]:
                raise BusyError("You are publishing something already. Wait for it to end.")
            if len(runs) >= MAX_AT_ONCE:
                raise BusyError("Others are publishing. Try again in a minute; nothing is lost.")

    def start(self, run: Run, token: str) -> None:
        """Carry out a run of publishing with this token.

        Raises:
            BusyError: there is no room.
        """
        self.check_room(run.owner)
        with self._lock:
            with self._log.open("a") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "trainer.runner.publishing", run.folder],
                    env=worker_environment(),
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
            self._processes[run.run_id], self._runs[run.run_id] = process, run
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it died at once; the thread below says so
            process.stdin.write(f"{token}\n")
            process.stdin.close()
        threading.Thread(
            target=self._wait, args=(run, process), daemon=True, name="publication"
        ).start()

    def stop(self, run: Run, *, at_once: bool) -> None:
        """Ask a publication to stop, or end its process."""
        request_stop(Path(run.folder))
        with self._lock:
            process = self._processes.get(run.run_id)
        if at_once and process is not None:
            process.kill()

    def close(self) -> None:
        """End what is in progress."""
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process.kill()

    def _wait(self, run: Run, process: "subprocess.Popen[str]") -> None:
        try:
            process.wait(MAX_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        folder = Path(run.folder)
        left = read_folder(folder)
        if left is not None and left.status not in ENDED:
            stopped = (folder / "stop").exists()
            message = (
                "The publication ended before it was over. A commit is on the Hub whole or not at "
                "all; publish again to make sure."
            )
            event = Stopped(step=0, total_steps=0, message=message)
            append_event(folder, event if stopped else Failed(error="HubError", message=message))
            write_run(replace(left, status="stopped" if stopped else "failed"))
        with self._lock:
            self._processes.pop(run.run_id, None)
            self._runs.pop(run.run_id, None)


def _has_ended(run: Run) -> bool:
    now = read_folder(Path(run.folder))
    return now is None or now.status in ENDED
