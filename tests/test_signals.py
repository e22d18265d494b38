"""Signals and sudden ends, to the worker and to the app: quick, orderly, resumable, no orphans."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app_server import ROOT, AppServer
from tiny import tiny_config
from trainer.events import Done, Event, Note, PhaseStarted, Progress, Step, Stopped, from_json
from trainer.jobs import Job
from trainer.runner import Runner, recovery
from trainer.runner.folder import Run, create_run, read_folder
from trainer.runner.journal import read_events
from trainer.runner.lane import worker_environment

pytestmark = pytest.mark.timeout(600)
SECONDS = 10.0
"""In which a process must be gone."""
PHASES: dict[str, Callable[[list[Event]], bool]] = {
    "reading pictures": lambda events: any(isinstance(e, Progress) for e in events),
    "starting a phase": lambda events: any(isinstance(e, PhaseStarted) for e in events),
    "training": lambda events: any(isinstance(e, Step) and e.step > 5 for e in events),
}


def _run(root: Path, epochs: int) -> Run:
    config = tiny_config(batch_size=64, epochs=epochs, lr=0.005)
    return create_run(root, Job(kind="train", config=config, dataset="digits"), owner="a")


def _events(run: Run) -> list[Event]:
    return read_events(Path(run.folder))[0]


def _now(run: Run) -> Run:
    found = read_folder(Path(run.folder))
    assert found is not None
    return found


def _wait(what: Callable[[], object], seconds: float = 300) -> float:
    """Until something is so; the seconds it took."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise AssertionError("it did not happen in time")
        time.sleep(0.05)
    return time.monotonic() - began


def _gone(pid: int) -> bool:
    """Whether no process of this group lives; a zombie does not."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
            if int(group) == pid and state != "Z":
                return False
    return True


def _is_consistent(run: Run) -> None:
    """Every line of the journal is an event."""
    text = Path(run.folder, "events.jsonl").read_text()
    assert text.endswith("\n")
    assert all(from_json(line) for line in text.splitlines())


class Worker:
    """The worker process as a lane starts it."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "trainer.runner.worker", "0", str(root / "names.json")]
        self.process = subprocess.Popen(
            command,
            env=worker_environment(),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        self.input = self.process.stdin

    def give(self, run: Run) -> None:
        self.input.write(f"{run.folder}\n".encode())
        self.input.flush()

    def end(self, how: signal.Signals | None) -> float:
        """End it by a signal, or as an app does that dies; the seconds that it took."""
        began = time.monotonic()
        if how is None:
            self.input.close()
        else:
            self.process.send_signal(how)
        self.process.wait(60)
        return time.monotonic() - began


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.process.kill()
    worker.process.wait()
    worker.input.close()


@pytest.mark.parametrize(
    ("phase", "how"),
    [
        ("reading pictures", signal.SIGINT),
        ("starting a phase", signal.SIGHUP),
        ("training", signal.SIGTERM),
        ("training", None),
    ],
)
def test_a_worker_ends_within_seconds_and_its_run_can_go_on(
    phase: str, how: signal.Signals | None, worker: Worker, tmp_path: Path
) -> None:
    run = _run(tmp_path, epochs=500)
    worker.give(run)
    _wait(lambda: PHASES[phase](_events(run)))
    assert worker.end(how) < SECONDS
    assert _gone(worker.process.pid)
    _is_consistent(run)
    now = _now(run)
    assert (now.status, now.interrupted) == ("stopped", True)
    last = _events(run)[-1]
    assert isinstance(last, Stopped)
    if phase == "training":
        assert last.step > 5
        assert Path(run.folder, last.checkpoint, "manifest.json").is_file()


def test_a_worker_can_be_ended_while_it_imports(worker: Worker) -> None:
    time.sleep(1.5)
    assert worker.end(signal.SIGTERM) < SECONDS
    assert _gone(worker.process.pid)


def test_a_worker_that_hangs_is_ended_by_the_next_app_once_its_own_has_gone(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "ADOPT_SECONDS", 1.0)
    runs = tmp_path / "runs"
    run = _run(runs, epochs=500)
    worker.give(run)
    _wait(lambda: PHASES["training"](_events(run)))
    worker.process.send_signal(signal.SIGSTOP)
    runner = Runner(runs)
    runner.recover()
    time.sleep(3)
    assert worker.process.poll() is None  # its app lives: it is that one's to end
    assert _now(run).status == "running"
    worker.input.close()
    _wait(lambda: _now(run).status == "queued", 10)
    assert worker.process.wait(1) == -signal.SIGKILL
    assert runner.position(run.run_id) == 0
    notes = [event.text for event in _events(run) if isinstance(event, Note)]
    assert notes[-1].startswith("The app was started again")
    runner.close()


def test_an_app_that_ends_or_is_killed_goes_on_with_its_runs_when_it_is_back(
    tmp_path: Path,
) -> None:
    """SIGTERM, as a Space does at each restart, then SIGKILL; two visitors' runs go on by
    themselves, in order, and lose no step that was saved."""
    runs = tmp_path / "runs"
    runs.mkdir()
    first, second = _run(runs, epochs=30), _run(runs, epochs=1)
    for number, how in enumerate((signal.SIGTERM, signal.SIGKILL)):
        app = AppServer(tmp_path)
        try:
            reached = _steps(first)[-1] if number else 0
            _wait(lambda r=reached: (steps := _steps(first)) and steps[-1] > r + 25)
            worker, began = _now(first).pid, time.monotonic()
            app.stop(how)
            if how is signal.SIGTERM:
                assert time.monotonic() - began < SECONDS
        finally:
            app.process.kill()
        _wait(lambda w=worker: _gone(w), SECONDS)
        _is_consistent(first)
        assert _now(first).status == "stopped"  # the worker left a checkpoint either way
        assert _now(first).interrupted
        assert _now(second).status == "queued"
    app = AppServer(tmp_path)
    try:
        _wait(lambda: _now(second).status == "done", 300)
    finally:
        app.stop()
    assert _now(first).status == "done"
    assert _steps(first) == list(range(1, 30 * 23 + 1))  # none lost, none twice
    events = _events(first)
    notes = [event.text for event in events if isinstance(event, Note)]
    resumed = [note for note in notes if note.startswith("The app was started again, resuming")]
    assert len(resumed) == 2
    assert isinstance(events[-1], Done)


def _steps(run: Run) -> list[int]:
    return [event.step for event in _events(run) if isinstance(event, Step)]
