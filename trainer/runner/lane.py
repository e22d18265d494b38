"""A lane: one queue of runs and the one warm worker process that carries them out in turn."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path

from trainer.events import Failed, Stopped
from trainer.runner.folder import read_folder, request_stop, write_run
from trainer.runner.journal import append_event

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|API_?KEY|ACCESS_KEY", re.IGNORECASE)

RESTART_SECONDS = 5.0
"""Wait before the next worker where one did not get as far as its first run."""


def worker_environment() -> dict[str, str]:
    """The environment without tokens: a worker reads public things only."""
    kept = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    return kept | {
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_TOKEN_PATH": os.devnull,  # nor the login that lies on the disk
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONUNBUFFERED": "1",
    }


class Lane:
    """Runs wait here in the order they came; one at a time is carried out.

    The thread that feeds the worker belongs to the lane; everything it shares is behind
    `self._changed`.
    """

    def __init__(self, name: str, *, niceness: int, names_path: Path, log: Path) -> None:
        self.name = name
        self.device = ""
        """What the worker computes on, in words; empty until it is ready."""
        self._niceness = niceness
        self._names_path = names_path
        self._log = log
        self._waiting: deque[Path] = deque()
        self._current: Path | None = None
        self._closed = False
        self._ready = False
        self._process: subprocess.Popen[str] | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name=f"lane-{name}", daemon=True)

    def start(self) -> None:
        """Start the worker; runs that were added before are carried out once it is warm."""
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Whether the worker has imported what a run needs."""
        return self._ready

    def add(self, folder: Path) -> None:
        """Put a run at the end of the queue."""
        with self._changed:
            self._waiting.append(folder)
            self._changed.notify_all()

    def folders(self) -> list[Path]:
        """The run that is carried out, then those that wait, in order."""
        with self._changed:
            return ([self._current] if self._current else []) + list(self._waiting)

    def drop(self, folder: Path) -> bool:
        """Take a waiting run out of the queue; False if it does not wait."""
        with self._changed:
            if folder not in self._waiting:
                return False
            self._waiting.remove(folder)
            return True

    def kill(self, folder: Path) -> None:
        """End the worker if it carries out this run; a new one takes its place."""
        with self._changed:
            if self._current == folder and self._process is not None:
                self._process.kill()

    def close(self, seconds: float = 8.0) -> None:
        """Ask the running run to leave a checkpoint, end the worker, give it `seconds`."""
        with self._changed:
            self._closed = True
            process = self._process
            self._changed.notify_all()
        if process is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()  # the worker sees the end of its input and stops
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._thread.join(seconds)  # it marks a run that had to be killed

    def _serve(self) -> None:
        while True:
            process = self._start()
            if process is None:
                return
            died_at = self._feed(process)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was not sent any more
                    assert pipe is not None
                    pipe.close()
            if died_at is not None:
                self._report_death(died_at, process.returncode)
            with self._changed:
                if not self._ready:  # it died while it started: the next one may fare no better
                    self._changed.wait(timeout=RESTART_SECONDS)
                self._current, self._ready = None, False
                self._changed.notify_all()

    def _start(self) -> "subprocess.Popen[str] | None":
        with self._changed:
            if self._closed:
                return None
            with self._log.open("a") as log:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "trainer.runner.worker"),
                        *(str(self._niceness), str(self._names_path)),
                    ],
                    env=worker_environment(),
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    start_new_session=True,  # Ctrl-C in the terminal is for the app alone
                )
            return self._process

    def _feed(self, process: "subprocess.Popen[str]") -> Path | None:
        """Hand runs to one worker until it ends; returns the run that it died in, if any."""
        assert process.stdin is not None and process.stdout is not None
        sent = False
        while True:
            folder = self._take() if self._ready else None
            if self._ready and folder is None:
                return None
            if folder is not None:
                with contextlib.suppress(OSError, ValueError):  # it died, or the lane was closed
                    process.stdin.write(f"{folder}\n")
                    process.stdin.flush()
                sent = True
            line = process.stdout.readline()
            if not line:
                return self._current if sent else None
            if line.startswith("ready"):
                self._ready, self.device = True, line.removeprefix("ready").strip()
            with self._changed:
                self._current = None

    def _take(self) -> Path | None:
        """The next run; waits for one; none once the lane is closed."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait(timeout=5)
                if self._process is not None and self._process.poll() is not None:
                    return None
            if self._closed:
                return None
            self._current = self._waiting.popleft()
            return self._current

    def _report_death(self, folder: Path, code: int) -> None:
        run = read_folder(folder)
        if run is None or run.status not in ("queued", "running"):
            return
        if (folder / "stop").exists():
            message = "The run was ended at once; its last checkpoint is kept."
            append_event(folder, Stopped(step=0, total_steps=0, message=message))
            write_run(replace(run, status="stopped"))
            return
        reason = "it ran out of memory or was killed" if code == -9 else f"exit code {code}"
        append_event(
            folder,
            Failed(
                error="WorkerDied",
                message=f"The process that carried out this run ended unexpectedly ({reason}). "
                "Its last checkpoint is kept: resume it, perhaps with a smaller batch size.",
            ),
        )
        write_run(replace(run, status="failed"))


def ask_to_stop(lane: Lane, folder: Path) -> None:
    """Stop a run: one that waits leaves the queue, one that runs stops at its next step."""
    if lane.drop(folder):
        run = read_folder(folder)
        if run is not None:
            message = "It was taken out of the queue before it began."
            append_event(folder, Stopped(step=0, total_steps=0, message=message))
            write_run(replace(run, status="stopped"))
        return
    request_stop(folder)
