"""What is cleared up of old runs and uploads, and what never is."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tiny import tiny_config
from trainer.errors import DiskFullError
from trainer.jobs import Job
from trainer.limits import Limits
from trainer.runner import Run, Runner, runner
from trainer.runner.cleaning import clean
from trainer.runner.folder import create_run, write_run
from trainer.runner.lock import held, is_held

DAY = 86_400.0
NOW = 2_000_000_000.0


def _run(root: Path, kind: str, days: float, *, status: str = "done", **changes: object) -> Run:
    """A run that ended so many days ago."""
    dataset = str(changes.pop("dataset", "digits"))
    job = Job(kind=kind, config=tiny_config(), dataset=dataset)
    run = create_run(root, job, owner=str(changes.pop("owner", "a")))
    run = write_run(replace(run, status=status, **changes))  # pyright: ignore[reportArgumentType]
    ended = NOW - days * DAY
    os.utime(Path(run.folder, "run.json"), (ended, ended))
    return run


def _left(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name != "uploads"}


def test_old_runs_go_and_quick_ones_sooner(tmp_path: Path) -> None:
    kept = [
        _run(tmp_path, "train", 29),
        _run(tmp_path, "sweep", 29, status="failed"),
        _run(tmp_path, "check", 0.9),
        _run(tmp_path, "train", 99, status="running"),
        _run(tmp_path, "train", 99, status="queued"),
        _run(tmp_path, "train", 99, status="stopped", interrupted=True),
        _run(tmp_path, "train", 99, owner="cli"),
    ]
    working = _run(tmp_path, "train", 99)
    for kind, days in (("train", 31.0), ("sweep", 31.0), ("check", 1.1), ("predict", 1.1)):
        _run(tmp_path, kind, days)
    (tmp_path / "junk").mkdir()
    with held(Path(working.folder)):
        removed = clean(tmp_path, Limits(), now=NOW)
    assert len(removed) == 4
    assert _left(tmp_path) == {run.run_id for run in [*kept, working]} | {"junk"}


def test_a_visitor_who_calls_themselves_cli_is_a_visitor_all_the_same(tmp_path: Path) -> None:
    runner = Runner(tmp_path)  # not started: what is asked for waits
    job = Job(kind="train", config=tiny_config(), dataset="digits")
    run = runner.submit(job, owner="cli")
    stopped = write_run(replace(run, status="stopped"))
    clean(tmp_path, Limits(), now=time.time() + 31 * DAY)
    assert not Path(stopped.folder).exists()


def test_a_run_of_cli_that_an_app_left_is_not_taken_for_the_machine_owners(tmp_path: Path) -> None:
    job = Job(kind="train", config=tiny_config(), dataset="digits")
    run = Runner(tmp_path).submit(job, owner="cli")
    again = Runner(tmp_path)
    again.recover()  # a run of the command line would be marked as stopped
    found = again.get(run.run_id)
    assert found is not None
    assert found.status == "queued"
    again.close()


def test_too_much_goes_from_the_oldest_on_but_nothing_that_is_new(tmp_path: Path) -> None:
    runs = [_run(tmp_path, "train", days) for days in (3, 2, 1, 0.01)]
    for run in runs:
        Path(run.folder, "model").mkdir()
        Path(run.folder, "model", "weights").write_bytes(b"0" * 1000)
    clean(tmp_path, Limits(max_runs_bytes=4500), now=NOW)
    assert _left(tmp_path) == {run.run_id for run in runs[2:]}
    clean(tmp_path, Limits(max_runs_bytes=1), now=NOW)
    assert _left(tmp_path) == {runs[3].run_id}


def _stopped_with_checkpoint(root: Path, name: str, days: float) -> Run:
    dataset = str(root / "uploads" / name / "photos.zip")
    run = _run(root, "train", days, status="stopped", dataset=dataset)
    for path in (Path(run.folder, "ckpt-00000007"), Path(dataset).parent):
        path.mkdir(parents=True)
        (path / "some").write_bytes(b"0" * 1000)
        os.utime(path, (NOW - days * DAY, NOW - days * DAY))
    return run


def test_a_run_that_goes_on_is_not_removed_to_make_room_for_itself(tmp_path: Path) -> None:
    runner = Runner(tmp_path, limits=Limits(min_free_bytes=2**60, max_runs_bytes=1))
    ago = (NOW - time.time()) / DAY
    run, old = (_stopped_with_checkpoint(tmp_path, name, ago + 3) for name in ("mine", "old"))
    with pytest.raises(DiskFullError, match="nearly full"):
        runner.resume(run.run_id, owner="a")
    assert Path(run.folder, "ckpt-00000007", "some").exists()
    assert Path(run.job["dataset"]).parent.exists()
    assert not Path(old.folder).exists()
    assert not is_held(Path(run.folder))


def test_a_run_that_is_resumed_while_others_are_removed_stays_with_its_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(tmp_path)  # not started
    old, run = (_stopped_with_checkpoint(tmp_path, str(days), days) for days in (50, 40))
    remove = shutil.rmtree

    def meanwhile(path: Path, *, ignore_errors: bool) -> None:
        if path == Path(old.folder):
            assert runner.resume(run.run_id, owner="a") is not None
            assert runner.resume(old.run_id, owner="a") is None
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", meanwhile)
    removed = clean(tmp_path, Limits(), now=NOW)
    assert removed == [Path(old.folder), Path(old.job["dataset"]).parent]
    assert Path(run.folder, "ckpt-00000007", "some").exists()
    assert Path(run.job["dataset"]).parent.exists()


def test_uploads_stay_while_a_run_refers_to_them_or_they_are_new(tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    for name, days in (("used", 5.0), ("unused", 5.0), ("new", 0.5)):
        (uploads / name).mkdir(parents=True)
        (uploads / name / "photos.zip").write_bytes(b"zip")
        os.utime(uploads / name, (NOW - days * DAY, NOW - days * DAY))
    run = _run(tmp_path, "train", 3, dataset=str(uploads / "used" / "photos.zip"))
    clean(tmp_path, Limits(), now=NOW)
    assert {path.name for path in uploads.iterdir()} == {"used", "new"}
    clean(tmp_path, Limits(), now=NOW + 40 * DAY)
    assert list(uploads.iterdir()) == []
    assert not Path(run.folder).exists()


def test_without_room_no_run_begins_and_the_message_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(kind="check", config=tiny_config(), dataset="digits")
    tidy = Runner(tmp_path, limits=Limits(min_free_bytes=2**60))
    old = _run(tmp_path, "train", (NOW - time.time()) / DAY + 40)
    with pytest.raises(DiskFullError, match="nearly full"):
        tidy.submit(job, owner="a")
    assert not Path(old.folder).exists()  # room was sought first
    monkeypatch.setattr(runner, "free_bytes", lambda _: 2**61)
    assert tidy.submit(job, owner="a").status == "queued"
