"""The runner with its real worker processes: queue, stop, resume, and a worker that dies."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_config
from trainer.errors import BusyError
from trainer.events import Done, Evaluated, Event, Failed, Note, Started, Step, Stopped, to_json
from trainer.jobs import Job, job_from_dict
from trainer.limits import Limits
from trainer.runner import Run, Runner
from trainer.runner.folder import (
    create_run,
    new_run_id,
    read_folder,
    read_run,
    record,
    request_stop,
    write_run,
)
from trainer.runner.journal import append_event, read_events
from trainer.runner.lane import worker_environment

SECRETS = {
    "HF_TOKEN": "hf_secret",
    "HUGGING_FACE_HUB_TOKEN": "hf_secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "MY_API_KEY": "secret",
    "DB_PASSWORD": "secret",
}
LONG = 500
"""Epochs of a training that does not end by itself within a test."""


def _train(epochs: int) -> Job:
    config = tiny_config(batch_size=64, epochs=epochs, lr=0.005)
    return Job(kind="train", config=config, dataset="digits")


def _wait(what: Callable[[], Any], seconds: float = 120) -> Any:
    """The first true answer of `what`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def _ended(runner: Runner, run: Run) -> Run:
    def ended() -> Run | None:
        now = runner.get(run.run_id)
        return now if now and now.status in ("done", "stopped", "failed") else None

    return _wait(ended)


def _steps(runner: Runner, run: Run) -> list[int]:
    return [e.step for e in runner.events(run.run_id)[0] if isinstance(e, Step)]


def _now(runner: Runner, run: Run) -> Run:
    found = runner.get(run.run_id)
    assert found is not None
    return found


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Two warm workers, room for four runs and two of each visitor."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        runner = Runner(
            tmp_path_factory.mktemp("runs"), limits=Limits(max_waiting=4, max_waiting_each=2)
        )
        runner.start()
        yield runner
        runner.close()


@pytest.fixture(scope="module")
def finished(runner: Runner) -> tuple[Run, list[Event]]:
    """A short training, followed by offset until it ended."""
    run = runner.submit(_train(2), owner="a")
    assert run.status == "queued"
    followed: list[Event] = []
    offset = 0

    def ended() -> bool:
        nonlocal offset
        events, offset = runner.events(run.run_id, offset)
        followed.extend(events)
        return isinstance(followed[-1:] and followed[-1], Done | Failed)

    _wait(ended)
    return _ended(runner, run), followed


def test_a_run_is_followed_by_offset_and_ends_with_its_model(
    runner: Runner, finished: tuple[Run, list[Event]]
) -> None:
    run, followed = finished
    assert run.status == "done"
    assert followed == runner.events(run.run_id)[0]
    kinds = [type(event).__name__ for event in followed]
    assert kinds.index("Started") < kinds.index("PhaseStarted") < kinds.index("Step")
    assert [e.step for e in followed if isinstance(e, Step)] == list(range(1, 47))
    done = followed[-1]
    assert isinstance(done, Done)
    assert Path(done.model_dir, "model.safetensors").is_file()
    assert runner.ready("train")
    assert "CPU core" in runner.device()
    assert "tf_efficientnet_lite0.in1k" in runner.model_names()


def test_a_worker_has_no_tokens_in_its_environment(finished: tuple[Run, list[Event]]) -> None:
    run, _ = finished
    assert run.pid != os.getpid()
    environ = Path(f"/proc/{run.pid}/environ").read_text()
    assert "LRLAB_CACHE" in environ
    assert "secret" not in environ
    for name in SECRETS:
        assert f"\0{name}=" not in f"\0{environ}"
        assert name not in worker_environment()


def test_the_queue_is_in_order_and_fair_and_quick_runs_do_not_wait(
    runner: Runner, finished: tuple[Run, list[Event]]
) -> None:
    first = runner.submit(_train(LONG), owner="a")
    second = runner.submit(_train(LONG), owner="b")
    third = runner.submit(_train(LONG), owner="a")
    _wait(lambda: _steps(runner, first))
    assert [runner.position(run.run_id) for run in (first, second, third)] == [0, 1, 2]
    with pytest.raises(BusyError, match="You have 2 runs"):
        runner.submit(_train(1), owner="a")
    fourth = runner.submit(_train(LONG), owner="d")
    with pytest.raises(BusyError, match="4 runs wait already"):
        runner.submit(_train(1), owner="e")
    job = Job(kind="evaluate", config=tiny_config(), model=finished[0].folder, dataset="digits")
    quick = _ended(runner, runner.submit(job, owner="a"))
    assert quick.status == "done"
    result = runner.events(quick.run_id)[0][-1]
    assert isinstance(result, Evaluated)
    done = finished[1][-1]
    assert isinstance(done, Done)
    assert result.accuracy == done.valid_accuracy
    assert _now(runner, first).status == "running"
    runner.stop(second.run_id)
    assert _now(runner, second).status == "stopped"
    out = runner.events(second.run_id)[0]
    assert len(out) == 1
    assert isinstance(out[0], Stopped)
    assert "queue" in out[0].message
    assert [runner.position(run.run_id) for run in (third, fourth)] == [1, 2]
    for run in (third, fourth, first):
        runner.stop(run.run_id)
    stopped = _ended(runner, first)
    assert stopped.status == "stopped"
    last = runner.events(first.run_id)[0][-1]
    assert isinstance(last, Stopped)
    assert Path(first.folder, last.checkpoint, "manifest.json").is_file()
    assert not runner.events(third.run_id)[0][0:-1]  # it never began


def test_a_stopped_run_goes_on_where_it_was(runner: Runner) -> None:
    run = runner.submit(_train(3), owner="a")
    _wait(lambda: _steps(runner, run))
    runner.stop(run.run_id)
    assert _ended(runner, run).status == "stopped"
    before = len(_steps(runner, run))
    assert before < 69
    assert runner.resume("no-such-run-id", owner="a") is None
    resumed = runner.resume(run.run_id, owner="a")
    assert resumed is not None
    assert resumed.run_id == run.run_id
    assert runner.resume(run.run_id, owner="a") is None  # it waits already
    assert _ended(runner, run).status == "done"
    assert _steps(runner, run) == list(range(1, 70))


def test_a_run_that_is_ended_at_once_is_marked_and_its_worker_replaced(runner: Runner) -> None:
    run = runner.submit(_train(LONG), owner="a")
    _wait(lambda: _steps(runner, run))
    pid = _now(runner, run).pid
    runner.stop(run.run_id, at_once=True)
    assert _ended(runner, run).status == "stopped"
    last = runner.events(run.run_id)[0][-1]
    assert isinstance(last, Stopped)
    _wait(lambda: _gone(pid))
    other = runner.submit(_train(1), owner="b")
    ended = _ended(runner, other)
    assert ended.status == "done"
    assert ended.pid != pid


def test_a_worker_that_is_killed_loses_nothing_but_its_last_steps(runner: Runner) -> None:
    run = runner.submit(_train(4), owner="a")
    _wait(lambda: list(Path(run.folder).glob("ckpt-*")))
    os.kill(_now(runner, run).pid, signal.SIGKILL)
    assert _ended(runner, run).status == "failed"
    died = runner.events(run.run_id)[0][-1]
    assert isinstance(died, Failed)
    assert died.error == "WorkerDied"
    assert "resume" in died.message
    assert runner.resume(run.run_id, owner="a") is not None
    assert _ended(runner, run).status == "done"
    steps = _steps(runner, run)
    assert steps[-1] == 92
    assert set(steps) == set(range(1, 93))
    notes = [e.text for e in runner.events(run.run_id)[0] if isinstance(e, Note)]
    assert any(note.startswith("Going on from step") for note in notes)


def test_an_error_of_the_user_ends_the_run_in_words_and_not_the_worker(runner: Runner) -> None:
    job = Job(kind="check", config=tiny_config(), dataset="/nowhere")
    failed, again = (_ended(runner, runner.submit(job, owner="a")) for _ in range(2))
    assert failed.status == again.status == "failed"
    last = runner.events(failed.run_id)[0][-1]
    assert isinstance(last, Failed)
    assert last.error == "DatasetError"
    assert failed.pid == again.pid


def test_close_leaves_a_checkpoint_and_no_process(runner: Runner) -> None:
    run = runner.submit(_train(LONG), owner="a")
    _wait(lambda: _steps(runner, run))
    pids = {_now(runner, run).pid}
    check = Job(kind="check", config=tiny_config(), dataset="digits")
    pids.add(_ended(runner, runner.submit(check, owner="b")).pid)
    assert len(pids) == 2
    runner.close()
    assert all(_gone(pid) for pid in pids)
    assert _now(runner, run).status == "stopped"
    last = runner.events(run.run_id)[0][-1]
    assert isinstance(last, Stopped)
    assert Path(run.folder, last.checkpoint, "manifest.json").is_file()


# What needs no worker: the run folder.


def _unfinished(root: Path, *, pid: int, status: str = "running") -> Run:
    return write_run(replace(create_run(root, _train(1), owner="a"), pid=pid, status=status))


def test_runs_of_an_app_that_died_are_marked_and_those_of_a_living_one_left(
    tmp_path: Path,
) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    living = subprocess.Popen(["sleep", "60"])
    try:
        lost = [_unfinished(tmp_path, pid=dead.pid, status=s) for s in ("running", "queued")]
        # After a restart in a container, the app has the number that it had before.
        lost.append(_unfinished(tmp_path, pid=os.getpid()))
        kept = _unfinished(tmp_path, pid=living.pid)
        done = _unfinished(tmp_path, pid=dead.pid, status="done")
        (tmp_path / "junk").mkdir()
        runner = Runner(tmp_path)  # not started
        runner.recover()
    finally:
        living.kill()
        living.wait()
    for run in lost:
        assert _now(runner, run).status == "stopped"
        (event,) = runner.events(run.run_id)[0]
        assert isinstance(event, Stopped)
    assert _now(runner, kept).status == "running"
    assert _now(runner, done).status == "done"
    assert runner.events(kept.run_id)[0] == runner.events(done.run_id)[0] == []


def test_a_stop_that_comes_before_the_worker_began_is_not_lost(tmp_path: Path) -> None:
    run = create_run(tmp_path, _train(LONG), owner="a")
    request_stop(Path(run.folder))
    events = list(record(run))
    assert isinstance(events[-1], Stopped)
    assert not any(isinstance(event, Started) for event in events)
    found = read_folder(Path(run.folder))
    assert found is not None
    assert found.status == "stopped"


def test_an_unexpected_error_becomes_a_failed_event_and_a_log(tmp_path: Path) -> None:
    job = replace(_train(1), dataset=3)  # pyright: ignore[reportArgumentType] a defect of ours
    run = create_run(tmp_path, replace(job, dataset="digits"), owner="a")
    run = write_run(replace(run, job=job.to_dict()))
    (event,) = [event for event in record(run) if isinstance(event, Failed)]
    assert event.error == "AttributeError"
    assert "error.log" in event.message
    assert "Traceback" in Path(run.folder, "error.log").read_text()


def test_an_id_is_long_random_and_the_only_way_to_a_run(tmp_path: Path) -> None:
    ids = {new_run_id() for _ in range(100)}
    assert len(ids) == 100
    assert min(map(len, ids)) >= 22
    run = create_run(tmp_path, _train(1), owner="a")
    found = read_run(tmp_path, run.run_id)
    assert found is not None
    assert (found.run_id, found.owner, found.status) == (run.run_id, "a", "queued")
    for text in ("", ".", "..", "../" + run.run_id, run.run_id + "/", "x" * 100, "a\0b" * 5):
        assert read_run(tmp_path, text) is None


def test_a_job_survives_its_folder(tmp_path: Path) -> None:
    job = replace(_train(2), images=("a.png", "b.png"), top=3, resume=True)
    run = create_run(tmp_path, job, owner="a")
    values = json.loads((tmp_path / run.run_id / "run.json").read_text())
    assert job_from_dict(values["job"]) == job
    assert os.listdir(tmp_path / run.run_id) == ["run.json"]  # noqa: PTH208 names are enough


def test_events_are_read_from_an_offset_and_half_a_line_is_left_for_later(tmp_path: Path) -> None:
    assert read_events(tmp_path) == ([], 0)
    notes = [Note(text=f"größe {index}") for index in range(3)]
    append_event(tmp_path, notes[0])
    events, offset = read_events(tmp_path)
    assert events == notes[:1]
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write("a damaged line\n")
        file.write(to_json(notes[1])[:10])
    assert read_events(tmp_path, offset)[0] == []
    _, offset = read_events(tmp_path, offset)
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(to_json(notes[1])[10:] + "\n")
    append_event(tmp_path, notes[2])
    assert read_events(tmp_path, offset)[0] == notes[1:]
    assert read_events(tmp_path)[0] == notes
