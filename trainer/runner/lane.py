"""A lane: one queue of runs and the one warm worker process that carries them out in turn."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from trainer.events import Note
from trainer.limits import Limits
from trainer.redact import SECRET_NAME
from trainer.runner.child import open_log
from trainer.runner.folder import Run, read_folder, request_stop
from trainer.runner.journal import append_event
from trainer.runner.restart import after_death, in_words
from trainer.runner.turns import Waiting, in_turn
from trainer.runner.vitals import Vitals, machine_memory, memory_of

RESTART_SECONDS = 5.0
"""Wait before the next worker where one did not get as far as its first run."""

LOOK_SECONDS = 1.0
"""Between two looks at the worker's vital signs."""


def worker_environment() -> dict[str, str]:
    """The environment without tokens: a worker reads public things only."""
    kept = {name: value for name, value in os.environ.items() if not SECRET_NAME.search(name)}
    return kept | {
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "HF_TOKEN_PATH": os.devnull,  # nor the login that lies on the disk
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_VERBOSITY": "error",  # a warning may quote an address that is itself a key
        "PYTHONUNBUFFERED": "1",
    }


class Lane:
    """Runs wait here, visitors in turn; one at a time is carried out.

    One thread listens to the worker, hands it the next run and replaces it when it dies; another
    watches its vital signs. Everything they share is behind `self._changed`.
    """

    def __init__(
        self,
        name: str,
        *,
        niceness: int,
        max_seconds: float,
        limits: Limits,
        home: tuple[Path, Path],
    ) -> None:
        """Make a lane that is not started.

        Args:
            name: of its threads.
            niceness: of the worker.
            max_seconds: of wall-clock time for one run.
            limits: of memory, silence and restarts.
            home: where the worker writes down timm's model names, and its log.
        """
        self.name = name
        self.device = ""
        """What the worker computes on, in words; empty until it is ready."""
        self._niceness = niceness
        self._max_seconds = max_seconds
        self._limits = limits
        self._names_path, self._log = home
        self._waiting: list[Waiting] = []
        self._current: Waiting | None = None
        self._last: str | None = None
        """The owner of the run that was handed out last, who has had a turn."""
        self._closed = threading.Event()
        self._ready = False
        self._process: subprocess.Popen[str] | None = None
        self._vitals: Vitals | None = None
        self._why = ""
        """Why the worker was ended by us; empty where it was not."""
        self._dead: list[tuple[Waiting, str, bool]] = []
        """Runs whose worker has died, why, and whether it had much memory: to be written down."""
        self._told = False
        """Whether somebody has read that this cannot be done now."""
        self._changed = threading.RLock()
        self._thread = threading.Thread(target=self._serve, name=f"lane-{name}", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        """Start the worker; runs that were added before are carried out once it is warm."""
        self._thread.start()
        self._watcher.start()

    @property
    def ready(self) -> bool:
        """Whether the worker has imported what a run needs."""
        return self._ready

    def add(self, folder: Path, *, owner: str, again: bool = False, sender: str = "") -> None:
        """Put a run into the queue; before all others where it goes on `again`."""
        with self._changed:
            self._waiting.append(Waiting(folder, owner, again, sender))
            self._hand_out()

    def queue(self) -> list[Waiting]:
        """The run that is carried out, then those that wait, in order."""
        with self._changed:
            current = [self._current] if self._current else []
            return current + in_turn(self._waiting, self._last)

    def current(self) -> Path | None:
        """The folder of the run that is carried out."""
        with self._changed:
            return self._current.folder if self._current else None

    def drop(self, folder: Path) -> Waiting | None:
        """Take a waiting run out of the queue; none if it does not wait."""
        with self._changed:
            found = next((each for each in self._waiting if each.folder == folder), None)
            if found is not None:
                self._waiting.remove(found)
            return found

    def kill(self, folder: Path) -> None:
        """End the worker if it carries out this run; a new one takes its place."""
        with self._changed:
            if self.current() == folder and self._process is not None:
                self._process.kill()

    def begin_close(self) -> None:
        """Ask the running run to leave a checkpoint, and the worker to end."""
        with self._changed:
            self._closed.set()
            process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()  # the worker sees the end of its input and stops

    def close(self, seconds: float = 7.0) -> None:
        """End the worker; what it does gets `seconds` to leave a checkpoint."""
        self.begin_close()
        process = self._process
        if process is None:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._thread.join(1.0)  # it marks a run that had to be killed

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                process = self._start()
            except OSError as error:
                sys.stderr.write(f"No worker can be started now ({error}); it is tried again.\n")
                self._closed.wait(RESTART_SECONDS)
                continue
            if process is None:
                return
            assert process.stdout is not None
            for line in process.stdout:
                self._hear(line)
            code = process.wait()
            self._bury(process)
            with self._changed:
                died_in, why = self._current, self._why or in_words(code)
                big = self._vitals is None or self._vitals.peak > machine_memory() / 2
                was_ready, self._ready, self._current, self._vitals = self._ready, False, None, None
            if died_in is not None:
                self._after_death(died_in, why, big=big)
            if not was_ready:  # it died while it started: the next one may fare no better
                self._closed.wait(RESTART_SECONDS)

    def _start(self) -> "subprocess.Popen[str] | None":
        with self._changed:
            if self._closed.is_set():
                return None
            with open_log(self._log) as log:
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
            self._vitals, self._why = Vitals(self._process.pid), ""
            return self._process

    def _hear(self, line: str) -> None:
        """Take in what the worker says: `ready DEVICE`, `beat EVENTS` or `ended RUN`."""
        word, _, rest = line.strip().partition(" ")
        with self._changed:
            if self._vitals is None:
                return
            self._vitals.beat(time.monotonic(), int(rest) if rest.isdecimal() else -1)
            if word == "ready":
                self._ready, self.device = True, rest
            elif word == "ended":
                self._current = None
                self._vitals.end()
            self._hand_out()

    def _hand_out(self) -> None:
        """Give the worker the next run, if it is warm and free."""
        free = self._ready and self._current is None and not self._closed.is_set()
        if not free or not self._waiting:
            return
        assert self._process is not None and self._process.stdin is not None and self._vitals
        self._current = in_turn(self._waiting, self._last)[0]
        self._last = self._current.owner
        self._waiting.remove(self._current)
        self._vitals.begin(time.monotonic())
        with contextlib.suppress(OSError, ValueError):  # it died: the listening thread finds out
            self._process.stdin.write(f"{self._current.folder}\n")
            self._process.stdin.flush()

    def _watch(self) -> None:
        room = machine_memory()
        while not self._closed.wait(LOOK_SECONDS):
            self._write_down()
            with self._changed:
                vitals, process = self._vitals, self._process
                if vitals is None or process is None:
                    continue
                now, memory = time.monotonic(), memory_of(vitals.pid)
                vitals.peak = max(vitals.peak, memory)
                why = vitals.trouble(now, self._limits, ready=self._ready, memory=memory, room=room)
                if why:
                    self._why = why
                    process.kill()
                elif vitals.overdue(now, self._max_seconds):
                    vitals.stop_asked = now
                    self._stop_for_time()

    def _stop_for_time(self) -> None:
        assert self._current is not None
        hours = self._max_seconds / 3600
        text = f"A run may take {hours:.3g} hours here, and this one has; it is stopped."
        with contextlib.suppress(OSError):
            append_event(self._current.folder, Note(text=text))
            request_stop(self._current.folder)

    def _after_death(self, died_in: Waiting, why: str, *, big: bool) -> None:
        with self._changed:
            self._dead.append((died_in, why, big))
        self._write_down()

    def _write_down(self) -> None:
        """Write down how the runs stand whose worker has died; those that the disk does not take
        are tried again."""
        with self._changed:
            dead, self._dead = self._dead, []
            for died_in, why, big in dead:
                closing = self._closed.is_set()
                try:
                    run = _read(died_in.folder)
                    again = run and after_death(run, why, self._limits, closing=closing, big=big)
                except OSError as error:
                    if not closing:  # else `Runner.recover` finds it at the next start
                        self._dead.append((died_in, why, big))
                    if not self._told:
                        name = died_in.folder.name
                        sys.stderr.write(f"The end of run {name} cannot be written: {error}\n")
                    self._told = True
                    continue
                self._told = False
                if again:
                    self.add(died_in.folder, owner=died_in.owner, again=True, sender=died_in.sender)

    def _bury(self, process: "subprocess.Popen[str]") -> None:
        """Close a dead worker's pipes, and end what it had started."""
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # what was not sent any more
                assert pipe is not None
                pipe.close()
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def _read(folder: Path) -> Run | None:
    """The run of a folder; none where it was removed.

    Raises:
        OSError: it cannot be read now.
    """
    run = read_folder(folder)
    if run is None and (folder / "run.json").exists():
        raise OSError(f"{folder.name}/run.json cannot be read")
    return run
