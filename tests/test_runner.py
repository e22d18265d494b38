"""The runner with its real worker processes: queue, stop, resume, and a worker that dies."""

import errno
import io
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tiny import tiny_config
from trainer.errors import BusyError, DiskFullError
from trainer.events import Done, Evaluated, Event, Failed, Note, Started, Step, Stopped, to_json
from trainer.jobs import Job, job_from_dict
from trainer.limits import Limits
from trainer.runner import Run, Runner, vitals, worker
from trainer.runner.folder import (
    DEVICE_LOST,
    create_run,
    new_run_id,
    read_folder,
    read_run,
    record,
    request_stop,
    stop_requested,
    write_run,
)
from trainer.runner.journal import append_event, last_events, read_events
from trainer.runner.lane import Lane, worker_environment
from trainer.runner.lock import boot_id, held, is_held
from trainer.runner.restart import after_death, in_words
from trainer.runner.turns import Waiting, in_turn

SECRETS = {
    "HF_TOKEN": "hf_secret",
    "HUGGING_FACE_HUB_TOKEN": "hf_secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "MY_API_KEY": "secret",
    "DB_PASSWORD": "secret",
    "PGPASSWD": "secret",
    "DEPLOY_PRIVATE_KEY": "secret",
}
LONG = 500
"""Epochs of a training that does not end by itself within a test."""


def _train(epochs: int) -> Job:
    config = tiny_config(batch_size=64, epochs=epochs, lr=0.005)
    return Job(kind="train", config=config, dataset="digits")


def _wait(what: Callable[[], Any], seconds: float = 300) -> Any:
    """The first true answer of `what`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def _ended(
    runner: Runner, run: Run, *, wait_for: tuple[str, ...] = ("done", "stopped", "failed")
) -> Run:
    def ended() -> Run | None:
        now = runner.get(run.run_id)
        return now if now and now.status in wait_for else None

    return _wait(ended)


def _steps(runner: Runner, run: Run) -> list[int]:
    return [e.step for e in runner.events(run.run_id)[0] if isinstance(e, Step)]


def _notes(runner: Runner, run: Run) -> list[str]:
    return [e.text for e in runner.events(run.run_id)[0] if isinstance(e, Note)]


def _restarts(runner: Runner, run: Run) -> list[str]:
    return [note for note in _notes(runner, run) if note.startswith("The worker died")]


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


def test_an_estimate_gives_way_to_whoever_asked_for_something(tmp_path: Path) -> None:
    runner = Runner(tmp_path)  # not started: everything waits
    config = tiny_config()
    for kind, left in (("train", "queued"), ("check", "stopped"), ("predict", "stopped")):
        estimate = runner.submit(Job(kind="estimate", config=config, dataset="digits"), owner="a")
        runner.submit(Job(kind=kind, config=config, dataset="digits"), owner="b")
        now = runner.get(estimate.run_id)
        assert now is not None
        assert now.status == left
        runner.stop(estimate.run_id)
    runner.close()


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
    assert Path(f"/proc/{run.pid}/oom_score_adj").read_text().strip() == "500"  # before the app
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
    with pytest.raises(BusyError, match="may have at once, running or waiting: 2"):
        runner.submit(_train(1), owner="a")
    fourth = runner.submit(_train(LONG), owner="d")
    with pytest.raises(BusyError, match="4 runs are already waiting"):
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
    # The visitor whose turn it is goes before the one who has a run already.
    assert [runner.position(run.run_id) for run in (fourth, third)] == [1, 2]
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
    killed = time.monotonic()
    os.kill(_now(runner, run).pid, signal.SIGKILL)
    _wait(lambda: _restarts(runner, run))
    assert time.monotonic() - killed < 5
    assert _ended(runner, run).status == "done"
    steps = _steps(runner, run)
    assert steps[-1] == 92
    assert set(steps) == set(range(1, 93))
    assert re.search(r"died \(.*killed\), resuming from step \d+\.", _restarts(runner, run)[0])
    assert any(note.startswith("Going on from step") for note in _notes(runner, run))


def test_a_worker_that_hangs_is_found_and_replaced(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "SILENT_SECONDS", 4.0)
    run = runner.submit(_train(3), owner="a")
    _wait(lambda: _steps(runner, run))
    os.kill(_now(runner, run).pid, signal.SIGSTOP)
    stopped = time.monotonic()
    _wait(lambda: _restarts(runner, run))
    assert time.monotonic() - stopped < 15
    assert "no sign of life" in _restarts(runner, run)[0]
    monkeypatch.undo()  # the next one may be slow to import
    assert _ended(runner, run).status == "done"


def test_a_worker_that_is_asked_to_end_leaves_a_checkpoint_and_its_run_goes_on(
    runner: Runner,
) -> None:
    run = runner.submit(_train(3), owner="a")
    _wait(lambda: _steps(runner, run))
    pid = _now(runner, run).pid
    os.kill(pid, signal.SIGTERM)
    _wait(lambda: _gone(pid), 10)
    assert _ended(runner, run, wait_for=("done", "failed")).status == "done"
    assert _steps(runner, run) == list(range(1, 70))  # it lost none


def test_a_run_that_has_had_its_time_is_stopped_with_a_checkpoint(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = runner._lanes["train"]
    monkeypatch.setattr(lane, "_max_seconds", 3.0)
    run = _ended(runner, runner.submit(_train(LONG), owner="a"))
    assert run.status == "stopped"
    assert any("A run may take" in note for note in _notes(runner, run))
    last = runner.events(run.run_id)[0][-1]
    assert isinstance(last, Stopped)
    assert Path(run.folder, last.checkpoint, "manifest.json").is_file()


def test_many_that_submit_at_once_do_not_take_more_places_than_there_are(runner: Runner) -> None:
    taken: list[Run] = []

    def submit(number: int) -> None:
        try:
            taken.append(runner.submit(_train(LONG), owner=f"v{number % 3}"))
        except BusyError:
            return

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 4  # the fixture's limit
    assert max(Counter(run.owner for run in taken).values()) <= 2
    for run in taken:
        runner.stop(run.run_id)
    for run in taken:
        _ended(runner, run)


def test_the_order_that_is_shown_is_the_one_that_is_carried_out(tmp_path: Path) -> None:
    lane = Lane(
        "x", niceness=0, max_seconds=1.0, limits=Limits(), home=(tmp_path / "names", tmp_path)
    )
    process: Any = SimpleNamespace(stdin=io.StringIO())
    lane._process, lane._vitals, lane._ready = process, vitals.Vitals(0), True
    for name in ("ada 1", "ada 2", "bob 1", "ada 3", "bob 2"):
        lane.add(Path(name), owner=name[:3])
    shown = [each.folder.name for each in lane.queue()]
    for name in shown:
        lane._hear(f"ended {name}\n")
    assert process.stdin.getvalue().splitlines() == shown
    assert shown == ["ada 1", "bob 1", "ada 2", "bob 2", "ada 3"]


def test_a_worker_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def refused(*_: object, **__: object) -> None:
        tries.append(time.monotonic())
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr("trainer.runner.lane.subprocess.Popen", refused)
    monkeypatch.setattr("trainer.runner.lane.RESTART_SECONDS", 0.01)
    lane = Lane(
        "x",
        niceness=0,
        max_seconds=1.0,
        limits=Limits(),
        home=(tmp_path / "names", tmp_path / "log"),
    )
    lane.start()
    _wait(lambda: len(tries) > 2)
    lane.close()
    assert "Cannot allocate memory" in capfd.readouterr().err


def test_one_address_leaves_room_for_others_and_for_predictions(tmp_path: Path) -> None:
    """A visitor's name is theirs to choose, so that one could take all places under many."""
    runner = Runner(tmp_path / "runs", limits=Limits(max_waiting=8))
    check = Job(kind="check", config=tiny_config(), dataset="digits")
    predict = Job(kind="predict", config=tiny_config(), model="none", images=("none.png",))
    for job in (_train(LONG), check):
        for number in range(4):
            runner.submit(job, owner=f"eve {number}", sender="203.0.113.9")
        with pytest.raises(BusyError, match="4 runs from your network are already waiting"):
            runner.submit(job, owner="eve again", sender="203.0.113.9")
        runner.submit(job, owner="ada", sender="198.51.100.1")
    runner.submit(predict, owner="pupil:predict", sender="203.0.113.9")
    with pytest.raises(BusyError, match="6 runs from your network are already waiting"):
        for number in range(8):
            runner.submit(predict, owner=f"eve {number}:predict", sender="203.0.113.9")
    runner.submit(predict, owner="ada:predict", sender="198.51.100.1")
    for number in range(3):  # at this machine nobody is counted
        runner.submit(_train(LONG), owner=f"here {number}")
    with pytest.raises(BusyError, match="8 runs are already waiting"):
        runner.submit(_train(LONG), owner="last")


def test_a_look_at_a_dataset_does_not_hold_up_a_prediction(runner: Runner, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    for number in range(120):
        path = pictures / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("1", (4000, 4000))
        image.putpixel((number, 0), 1)
        image.save(path)
    look = runner.submit(
        Job(kind="check", config=tiny_config(), dataset=str(pictures)), owner="eve"
    )
    _wait(lambda: _now(runner, look).status == "running")
    predict = Job(kind="predict", config=tiny_config(), model="none", images=("none.png",))
    answered = _ended(runner, runner.submit(predict, owner="ada:predict"))
    assert answered.status == "failed"  # there is no such model, and that is an answer
    assert _now(runner, look).status == "running"
    runner.stop(look.run_id)


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


def test_runs_of_an_app_that_died_go_on_in_order_and_those_of_a_living_process_are_left(
    tmp_path: Path,
) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    lost = [_unfinished(tmp_path, pid=dead.pid, status=s) for s in ("queued", "running", "queued")]
    # After a restart in a container, the app has the number that it had before.
    lost.append(_unfinished(tmp_path, pid=os.getpid()))
    check = Job(kind="check", config=tiny_config(), dataset="digits")
    asked = create_run(tmp_path, check, owner="b")
    mine = write_run(replace(create_run(tmp_path, _train(1), owner="cli"), pid=dead.pid))
    tired = write_run(replace(_unfinished(tmp_path, pid=dead.pid), restarts=3))
    kept = _unfinished(tmp_path, pid=dead.pid)
    done = _unfinished(tmp_path, pid=dead.pid, status="done")
    (tmp_path / "junk").mkdir()
    runner = Runner(tmp_path)  # not started
    with held(Path(kept.folder)):
        runner.recover()
        again = Runner(tmp_path)
        again.recover()  # the folder of runs is the first one's
        again.close()
    assert [runner.position(run.run_id) for run in lost] == [2, 0, 3, 1]
    assert [_now(runner, run).status for run in lost] == ["queued"] * 4
    assert [_now(runner, run).restarts for run in lost] == [0, 1, 0, 1]
    for run in (lost[1], lost[3]):
        assert _notes(runner, run) == ["The app was started again, beginning again."]
    assert _notes(runner, lost[0]) == []
    for run in (asked, mine, tired):
        assert _now(runner, run).status == "stopped"
        (event,) = runner.events(run.run_id)[0]
        assert isinstance(event, Stopped)
    assert _now(runner, kept).status == "running"
    assert _now(runner, done).status == "done"
    assert runner.events(kept.run_id)[0] == runner.events(done.run_id)[0] == []
    runner.close()


def test_a_run_whose_worker_dies_again_and_again_is_not_begun_again_for_ever(
    tmp_path: Path,
) -> None:
    run = _unfinished(tmp_path, pid=1)
    (tmp_path / run.run_id / "ckpt-00000007").mkdir()
    for count in (1, 2, 3):
        assert after_death(run, "signal 11", Limits())
        found = read_folder(Path(run.folder))
        assert found is not None
        assert (found.status, found.restarts, found.job["resume"]) == ("queued", count, True)
        run = write_run(replace(found, status="running"))
    assert not after_death(run, "signal 11", Limits())
    *notes, died = read_events(Path(run.folder))[0]
    note = "The worker died (signal 11), resuming from step 7"
    times = ("", ", for the second time", ", for the third time")
    assert notes == [Note(text=f"{note}{time}.") for time in times]
    assert isinstance(died, Failed)
    assert died.error == "WorkerDied"
    assert "begun again 3 times" in died.message
    assert "go on from it" in died.message


def test_after_a_lack_of_memory_a_run_takes_half_as_many_images_at_once(tmp_path: Path) -> None:
    run = _unfinished(tmp_path, pid=1)
    # Each of the first is a step ahead; only at the fewest images is it the same again.
    for at_once, restarts in ((32, 0), (16, 0), (8, 0), (4, 0), (2, 0), (2, 1), (2, 2), (2, 3)):
        assert after_death(run, vitals.LACK_OF_MEMORY, Limits())
        found = read_folder(Path(run.folder))
        assert found is not None
        assert (job_from_dict(found.job).at_once, found.restarts) == (at_once, restarts)
        run = write_run(replace(found, status="running"))
    assert not after_death(run, vitals.LACK_OF_MEMORY, Limits())


def test_a_run_that_is_killed_again_takes_half_as_many_images_at_once(tmp_path: Path) -> None:
    run = _unfinished(tmp_path, pid=1)
    for at_once in (None, 32, 16):  # the first kill may have had another reason
        assert after_death(run, in_words(-9), Limits())
        found = read_folder(Path(run.folder))
        assert found is not None
        assert job_from_dict(found.job).at_once == at_once
        run = write_run(replace(found, status="running"))
    assert not after_death(run, in_words(-9), Limits())


def test_a_run_that_was_killed_with_little_memory_keeps_its_course(tmp_path: Path) -> None:
    """Half as many images at once round otherwise; kill -9 has other reasons too."""
    run = _unfinished(tmp_path, pid=1)
    for at_once in (None, None, 32):  # the last time as if it had had much
        assert after_death(run, in_words(-9), Limits(), big=False)
        found = read_folder(Path(run.folder))
        assert found is not None
        assert job_from_dict(found.job).at_once == at_once
        run = write_run(replace(found, status="running"))


def test_a_death_that_the_disk_does_not_take_is_written_down_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else the run would stand there as running, in no queue, until the app is started again."""
    run = _unfinished(tmp_path, pid=1)
    lane = Lane("x", niceness=0, max_seconds=1.0, limits=Limits(), home=(tmp_path, tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("trainer.runner.restart.write_run", _full)
        lane._after_death(Waiting(Path(run.folder), "a"), "signal 11", big=False)
        for _ in range(3):
            lane._write_down()
        assert lane.queue() == []
        assert capfd.readouterr().err.count("cannot be written") == 1
    lane._write_down()
    assert len(read_events(Path(run.folder))[0]) == 1
    assert [each.folder for each in lane.queue()] == [Path(run.folder)]
    assert _now_of(run).status == "queued"
    lane._write_down()
    assert len(lane.queue()) == 1


def test_a_waiting_run_that_cannot_be_stopped_on_a_full_disk_waits_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(tmp_path)
    run = runner.submit(_train(1), owner="a")
    with monkeypatch.context() as patch:
        patch.setattr("trainer.runner.stopping.write_run", _full)
        with pytest.raises(DiskFullError, match="cannot be stopped now"):
            runner.stop(run.run_id)
    assert [each.folder for each in runner._lanes["train"].queue()] == [Path(run.folder)]
    runner.stop(run.run_id)
    assert (_now_of(run).status, runner._lanes["train"].queue()) == ("stopped", [])
    assert len(read_events(Path(run.folder))[0]) == 1


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _now_of(run: Run) -> Run:
    found = read_folder(Path(run.folder))
    assert found is not None
    return found


def test_a_gpu_that_reports_an_error_costs_one_run_and_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error stays with the process: every run after it would fail at its first step."""
    monkeypatch.setattr("trainer.runner.folder.execute", _without_gpu)
    run = create_run(tmp_path, _train(1), owner="a")
    answers = worker.Answers(io.StringIO())
    assert worker._carry_out(run, Path(run.folder), threading.Event(), answers)
    failed = read_events(Path(run.folder))[0][-1]
    assert isinstance(failed, Failed)
    assert (failed.error, _now_of(run).status) == (DEVICE_LOST, "failed")


def test_a_training_in_its_last_restart_goes_on_after_an_orderly_end_of_the_app(
    tmp_path: Path,
) -> None:
    run = _unfinished(tmp_path, pid=1, status="stopped")
    run = write_run(replace(run, restarts=3, interrupted=True))
    runner = Runner(tmp_path)
    runner.recover()
    assert [each.folder for each in runner._lanes["train"].queue()] == [Path(run.folder)]
    assert _now_of(run).restarts == 3
    runner.close()


def test_an_app_that_is_started_while_the_last_one_ends_takes_up_its_runs(tmp_path: Path) -> None:
    first, second = Runner(tmp_path), Runner(tmp_path)
    first.recover()
    run = _unfinished(tmp_path, pid=1)
    second.recover()
    own = second.submit(_train(1), owner="b")
    check = second.submit(Job(kind="check", config=tiny_config(), dataset="digits"), owner="b")
    first.close()
    lane = second._lanes["train"]
    _wait(lambda: len(lane.queue()) > 1, 30)
    assert [each.folder.name for each in lane.queue()] == [run.run_id, own.run_id]
    assert [_now_of(each).status for each in (own, check, run)] == ["queued"] * 3
    assert len(second._lanes["look"].queue()) == 1
    second.close()


def test_a_run_that_another_app_began_meanwhile_or_a_wrong_clock_dates_is_taken_up(
    tmp_path: Path,
) -> None:
    first, second = Runner(tmp_path), Runner(tmp_path)
    first.recover()
    second.recover()
    own = second.submit(_train(1), owner="b")
    late = first.submit(_train(1), owner="a")
    ahead = write_run(replace(_unfinished(tmp_path, pid=1), created=time.time() + 600))
    first.close()
    lane = second._lanes["train"]
    _wait(lambda: len(lane.queue()) == 3, 30)
    assert [each.folder.name for each in lane.queue()] == [ahead.run_id, own.run_id, late.run_id]
    second.close()


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_run_that_nobody_carries_out_is_stopped_at_once_and_can_go_on(
    status: str, tmp_path: Path
) -> None:
    runner = Runner(tmp_path)
    run = _unfinished(tmp_path, pid=1, status=status)
    runner.stop(run.run_id)
    assert _now_of(run).status == "stopped"
    (event,) = read_events(Path(run.folder))[0]
    assert isinstance(event, Stopped)
    assert "No process" in event.message
    resumed = runner.resume(run.run_id, owner="a")
    assert resumed is not None
    assert [each.folder for each in runner._lanes["train"].queue()] == [Path(run.folder)]


def test_a_run_that_another_process_carries_out_is_asked_to_stop(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    run = _unfinished(tmp_path, pid=1)
    with held(Path(run.folder)):
        runner.stop(run.run_id)
    assert _now_of(run).status == "running"
    assert stop_requested(Path(run.folder))
    assert read_events(Path(run.folder))[0] == []


def test_uploads_that_a_run_works_on_or_will_are_needed(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    wanted = set()
    for status, interrupted, needed in (
        ("queued", False, True),
        ("running", False, True),
        ("stopped", True, True),
        ("stopped", False, False),
        ("done", False, False),
    ):
        folder = runner.uploads / f"{status}-{interrupted}"
        job = replace(_train(1), dataset=str(folder / "pets.zip"))
        run = create_run(runner.root, job, owner="a")
        write_run(replace(run, status=status, interrupted=interrupted))
        wanted |= {folder} if needed else set()
    assert runner.needed_uploads() == wanted


@pytest.mark.parametrize(
    ("kind", "status", "stop", "closing", "expected"),
    [
        ("train", "done", False, False, "done"),
        ("train", "stopped", True, False, "stopped"),
        ("train", "running", True, False, "stopped"),
        ("train", "running", False, True, "stopped"),
        ("sweep", "running", False, False, "queued"),
        ("check", "running", False, False, "failed"),
        ("predict", "queued", False, False, "failed"),
    ],
)
def test_what_becomes_of_a_run_whose_worker_died(
    tmp_path: Path, kind: str, status: str, *, stop: bool, closing: bool, expected: str
) -> None:
    run = write_run(replace(_unfinished(tmp_path, pid=1, status=status), kind=kind))
    if stop:
        request_stop(Path(run.folder))
    again = after_death(run, "exit code 1", Limits(), closing=closing)
    found = read_folder(Path(run.folder))
    assert found is not None
    assert (again, found.status) == (expected == "queued", expected)
    assert found.interrupted == closing  # and so it goes on when the app is back


@pytest.mark.parametrize("how", ["ended at once", "died", "left by an app", "GPU lost"])
@pytest.mark.parametrize(("kind", "kept"), [("train", True), ("train", False), ("sweep", False)])
def test_only_of_a_run_with_a_checkpoint_it_is_said_that_one_is_kept(
    how: str, kind: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(replace(_unfinished(tmp_path, pid=1), kind=kind, restarts=3))
    if kept:
        Path(run.folder, "ckpt-00000007").mkdir()
    if how == "left by an app":
        runner = Runner(tmp_path)
        runner.recover()
        runner.close()
    elif how == "GPU lost":
        monkeypatch.setattr("trainer.runner.folder.execute", _without_gpu)
        list(record(run))
    else:
        if how == "ended at once":
            request_stop(Path(run.folder))
        after_death(run, "exit code 1", Limits())
    last = read_events(Path(run.folder))[0][-1]
    assert isinstance(last, Stopped | Failed)
    assert ("last checkpoint" in last.message) == kept


def _without_gpu(*_: object, **__: object) -> Iterator[Event]:
    yield Note(text="began")
    raise RuntimeError("CUDA error: device-side assert triggered")


def test_a_worker_is_ended_for_a_reason_in_words() -> None:
    limits = Limits(max_silent_seconds=60, max_memory_percent=50)
    vitals_of = vitals.Vitals(1, beat_at=0.0)

    def trouble(now: float, *, memory: int = 0, ready: bool = True) -> str:
        return vitals_of.trouble(now, limits, ready=ready, memory=memory, room=100)

    assert trouble(29) == ""
    assert "no sign of life" in trouble(31)
    assert trouble(31, ready=False) == ""
    assert trouble(1, memory=90) == ""  # it carries out no run
    vitals_of.begin(0.0)
    assert trouble(1, memory=50) == ""
    assert trouble(1, memory=51) == vitals.LACK_OF_MEMORY
    for now in range(0, 60, 2):
        vitals_of.beat(now, 3)
    assert trouble(59) == ""
    vitals_of.beat(61, 3)
    assert "no progress" in trouble(61)
    vitals_of.beat(61, 4)
    assert trouble(62) == ""
    assert vitals_of.overdue(62, 61)
    assert not vitals_of.overdue(62, 63)
    vitals_of.stop_asked = 62.0
    assert not vitals_of.overdue(63, 61)
    vitals_of.beat(183, 5)
    assert "did not stop" in trouble(183)


def test_memory_is_read_where_the_system_tells() -> None:
    assert 1e7 < vitals.memory_of(os.getpid()) < vitals.machine_memory() < 1e14
    assert vitals.memory_of(2**22 + 1) == 0


def test_two_processes_do_not_carry_out_the_same_run(tmp_path: Path) -> None:
    run = create_run(tmp_path, _train(1), owner="cli")
    before = Path(run.folder, "run.json").read_text()
    with held(Path(run.folder)):
        assert is_held(Path(run.folder))
        with pytest.raises(BusyError, match=f"number {os.getpid()}"):
            create_run(tmp_path, _train(2), owner="cli", run_id=run.run_id)
    assert Path(run.folder, "run.json").read_text() == before
    assert json.loads(Path(run.folder, ".lock").read_text())["boot"] == boot_id()
    assert not is_held(Path(run.folder))  # though the file is there: its holder let go
    create_run(tmp_path, _train(2), owner="cli", run_id=run.run_id)


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


def test_what_an_unexpected_error_quotes_is_logged_without_secrets(tmp_path: Path) -> None:
    address = "https://s3/x?X-Amz-Signature=0a1b2c3d4e5f&y"
    run = create_run(tmp_path, _train(1), owner="a")
    unknown = f"{address} hf_AbCdEfGhIjKlMn"
    run = write_run(replace(run, job={**run.job, "kind": unknown}))
    list(record(run))
    log = Path(run.folder, "error.log").read_text()
    assert "KeyError" in log
    assert "[secret]" in log
    assert "0a1b2c3d4e5f" not in log
    assert "AbCdEfGhIjKlMn" not in log


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


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    notes = [Note(text=f"{index}") for index in range(3)]
    append_event(tmp_path, notes[0])
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(to_json(notes[1])[:20])  # the disk was full, or the power went
    _, offset = read_events(tmp_path)
    append_event(tmp_path, notes[2])
    assert read_events(tmp_path)[0] == [notes[0], notes[2]]
    assert read_events(tmp_path, offset)[0] == [notes[2]]
    assert last_events(tmp_path, 60) == [notes[2]]


def test_visitors_take_turns(tmp_path: Path) -> None:
    def turns(names: str, running: str | None = None) -> str:
        queue = [Waiting(tmp_path / str(index), name) for index, name in enumerate(names)]
        return "".join(each.owner + each.folder.name for each in in_turn(queue, running))

    assert turns("aab") == "a0b2a1"
    assert turns("aab", "a") == "b2a0a1"
    assert turns("abcab") == "a0b1c2a3b4"
    assert turns("") == ""
    again = [Waiting(tmp_path, "a"), Waiting(tmp_path, "b", again=True)]
    assert [each.owner for each in in_turn(again, "b")] == ["b", "a"]


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
