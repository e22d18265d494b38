"""`Publisher`: publications, each in a process of its own that is handed the visitor's token.

The token travels through the process's standard input: it is in no environment, on no command line,
in no file. Here nothing is kept of it but a digest, in memory, while the process runs.
"""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainer.disk import patiently
from trainer.errors import BusyError
from trainer.events import Failed, Stopped
from trainer.figures import duration
from trainer.jobs import Job
from trainer.limits import Limits
from trainer.runner.child import open_log
from trainer.runner.folder import (
    ENDED,
    Run,
    create_run,
    new_run_id,
    read_folder,
    request_stop,
    stop_requested,
    write_run,
)
from trainer.runner.journal import append_once
from trainer.runner.lane import LOOK_SECONDS, worker_environment
from trainer.runner.vitals import LACK_OF_MEMORY, machine_memory, memory_of

SCRATCH = "tmp"
"""Folder within the run's for what is made on the way; private, as what is published may be."""
UNFINISHED = "A commit is on the Hub whole or not at all; publish again to make sure."
CLOSE_SECONDS = 1.0
"""For killed publications to be marked and cleared up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """What may be done at the same time, and for how long."""

    what: str
    at_once: int
    max_seconds: float
    niceness: int


QUESTIONS = Places(what="asking the Hub", at_once=6, max_seconds=60.0, niceness=0)
PUBLICATIONS = Places(what="publishing", at_once=3, max_seconds=1800.0, niceness=5)
"""A publication that takes longer is ended; what was committed is whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """A place that a run has."""

    run: Run
    login: bytes = field(repr=False)
    """Digest of its token."""
    process: "subprocess.Popen[str]"

    @property
    def places(self) -> Places:
        return _places_for(self.run.kind)

    @property
    def namespace(self) -> str:
        """Whose name it is published in; empty where that is not known yet."""
        return _namespace(str(self.run.job["repo_id"]))


class Publisher:
    """The publications in progress; everything shared is behind `self._lock`."""

    def __init__(self, root: Path, *, limits: Limits, log: Path, own: set[str]) -> None:
        """Begin without any.

        Args:
            root: the folder of runs.
            limits: of memory.
            log: what the processes print.
            own: the ids of this app's runs, to which those here are added.
        """
        self._root, self._limits, self._log, self._own = root, limits, log, own
        self._lock = threading.Lock()
        self._taken: dict[str, _Taken] = {}

    def publish(self, job: Job, *, owner: str, token: str) -> Run:
        """Carry out a job of publishing with this token.

        Raises:
            BusyError: there is no room, or no process can be started.
            DiskFullError: there is no room for its folder.
        """
        run_id, login = new_run_id(), hashlib.sha256(token.encode()).digest()
        with self._lock, contextlib.ExitStack() as undo:
            self._check_room(job, owner, login)
            undo.callback(shutil.rmtree, self._root / run_id, ignore_errors=True)
            self._own.add(run_id)  # before anybody can see it
            run = create_run(self._root, job, owner=owner, run_id=run_id)
            process = self._start(run)
            undo.callback(process.kill)
            taken = _Taken(run=run, login=login, process=process)
            threading.Thread(
                target=self._wait, args=(taken,), daemon=True, name="publication"
            ).start()
            self._taken[run_id] = taken
            undo.pop_all()
        assert process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it died at once; the thread says so
            process.stdin.write(f"{run.folder}\n{token}\n")
            process.stdin.flush()  # it stays open: its end tells the process that the app has ended
        return run

    def stop(self, run: Run, *, at_once: bool) -> None:
        """Ask a publication to stop, or end its process."""
        request_stop(Path(run.folder))
        with self._lock:
            taken = self._taken.get(run.run_id)
        if at_once and taken is not None:
            taken.process.kill()

    def close(self) -> None:
        """End what is in progress."""
        with self._lock:
            processes = [taken.process for taken in self._taken.values()]
        for process in processes:
            process.kill()
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._taken and time.monotonic() < deadline:
            time.sleep(0.02)

    def _check_room(self, job: Job, owner: str, login: bytes) -> None:
        """Refuse a second of one visitor, login or namespace, and too many of all.

        A visitor's name is theirs to choose, a login is not; and a confirmed publication is in a
        namespace that the Hub has named as the login's.
        """
        places, namespace = _places_for(job.kind), _namespace(job.repo_id)
        # A process takes a moment to end after its run has.
        others = [each for each in self._taken.values() if not _has_ended(each.run)]
        others = [each for each in others if each.places is places]
        for each in others:
            same = bool(namespace) and each.namespace == namespace and places is PUBLICATIONS
            if same or each.run.owner == owner or each.login == login:
                raise BusyError(f"You are {places.what} already. Wait for it to end.")
        if len(others) >= places.at_once:
            raise BusyError(
                f"Others are {places.what} just now. Try again in a minute; nothing is lost."
            )

    def _start(self, run: Run) -> "subprocess.Popen[str]":
        scratch = Path(run.folder) / SCRATCH
        niceness = str(_places_for(run.kind).niceness)
        try:
            scratch.mkdir(mode=0o700)
            with open_log(self._log) as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "trainer.runner.publishing", niceness],
                    env={**worker_environment(), "TMPDIR": str(scratch)},
                    cwd=Path(__file__).parents[2],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    text=True,
                    start_new_session=True,
                )
        except OSError as error:
            raise BusyError(
                f"No process can be started for it now ({error.strerror}). Try again in a minute; "
                "nothing is lost."
            ) from error

    def _wait(self, taken: _Taken) -> None:
        why = self._watch(taken)
        assert taken.process.stdin is not None
        with contextlib.suppress(OSError):  # what was not sent any more
            taken.process.stdin.close()
        clear_scratch(taken.run)
        with contextlib.suppress(OSError):  # else the next app finds the run
            patiently(lambda: _mark(taken.run, why))
        with self._lock:
            self._taken.pop(taken.run.run_id, None)

    def _watch(self, taken: _Taken) -> str:
        """Wait for its end; why it had to be ended, or nothing."""
        deadline, process = time.monotonic() + taken.places.max_seconds, taken.process
        room = machine_memory() * self._limits.max_memory_percent / 100
        why = ""
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_SECONDS)
                return why
            if room and memory_of(process.pid) > room:
                why = LACK_OF_MEMORY
            elif time.monotonic() > deadline:
                why = f"it took more than {duration(taken.places.max_seconds)}"
            if why:
                process.kill()


def clear_scratch(run: Run) -> None:
    """Remove what a publication made on the way and could not remove itself."""
    shutil.rmtree(Path(run.folder) / SCRATCH, ignore_errors=True)


def _places_for(kind: str) -> Places:
    return QUESTIONS if kind == "preflight" else PUBLICATIONS


def _namespace(repo_id: str) -> str:
    owner, slash, _ = repo_id.partition("/")
    return owner.lower() if slash else ""


def _mark(run: Run, why: str) -> None:
    """Say how a run ended whose process did not."""
    left = read_folder(Path(run.folder))
    if left is None or left.status in ENDED:
        return
    asked = _places_for(run.kind) is QUESTIONS
    what, advice = ("question", "Try again.") if asked else ("publication", UNFINISHED)
    message = f"The {what} did not finish{f' ({why})' if why else ''}. {advice}"
    stopped = stop_requested(Path(run.folder))
    event = Stopped(step=0, total_steps=0, message=message)
    append_once(Path(run.folder), event if stopped else Failed(error="HubError", message=message))
    write_run(replace(left, status="stopped" if stopped else "failed"))


def _has_ended(run: Run) -> bool:
    now = read_folder(Path(run.folder))
    return now is None or now.status in ENDED
