"""Publishing processes as the app starts them: real ones, against the Hub emulator or no Hub."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app_server import ROOT
from hub_emulator import HubEmulator
from tiny import tiny_config
from trainer.errors import BusyError
from trainer.events import Event, Failed, Preflight, Stopped
from trainer.jobs import Job
from trainer.limits import Limits
from trainer.runner import Run, Runner, publisher, recovery
from trainer.runner.folder import create_run, read_folder, write_run
from trainer.runner.journal import read_events
from trainer.runner.lane import worker_environment
from trainer.runner.lock import held
from trainer.runner.publisher import SCRATCH

ADA, BOB = "hf_canaryTokenOfAda", "hf_canaryTokenOfBob"
SECRET = "0123456789abcdef0123456789abcdef"


MODEL = tempfile.TemporaryDirectory(prefix="lrlab-test-")
"""A folder that passes for a model's until the Hub has answered."""
Path(MODEL.name, "config.json").write_text("{}", encoding="utf-8")


def _job(kind: str = "preflight", repo_id: str = "ada/new", model: str = MODEL.name) -> Job:
    config, parts = tiny_config(), ("push-demo",)
    return Job(kind=kind, config=config, repo_id=repo_id, model=model, parts=parts)


def _wait(what: Callable[[], object], seconds: float = 60) -> float:
    """Until something is so; the seconds it took."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)
    return time.monotonic() - began


def _now(run: Run) -> Run:
    found = read_folder(Path(run.folder))
    assert found is not None
    return found


def _ended(run: Run) -> bool:
    return _now(run).status in ("done", "stopped", "failed")


def _last(run: Run) -> Event:
    return read_events(Path(run.folder))[0][-1]


def _gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Hub that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("LRLAB_MAX_PUBLISH_WAIT_SECONDS", "600")
        yield url


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """Without workers: publishing needs none."""
    runner = Runner(tmp_path / "runs")
    yield runner
    runner.close()


def _process(runner: Runner, run: Run) -> "subprocess.Popen[str]":
    return runner._publisher._taken[run.run_id].process


def test_the_hub_is_asked_with_the_token_that_was_given(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        run = runner.publish(_job(), owner="a", token=ADA)
        _wait(lambda: _ended(run))
        (asked,) = [e for e in read_events(Path(run.folder))[0] if isinstance(e, Preflight)]
        assert asked.ok
        assert asked.user == "ada"
        _wait(lambda: not runner._publisher._taken)
    assert _now(run).status == "done"
    assert not Path(run.folder, SCRATCH).exists()


def test_a_card_that_the_hub_would_not_take_is_said_before_anything_is_made(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have changed it by hand; then it is published as it is."""
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        for front, words in (("license: mit", ""), ("license: [", "front matter is not YAML")):
            model = tmp_path / f"run {front}" / "model"
            model.mkdir(parents=True)
            (model / "README.md").write_text(f"---\n{front}\n---\n# Mine\n")
            job = replace(_job(model=str(model.parent)), parts=("push",))
            run = runner.publish(job, owner="a", token=ADA)
            _wait(lambda run=run: _ended(run) and not runner._publisher._taken)
            (asked,) = [e for e in read_events(Path(run.folder))[0] if isinstance(e, Preflight)]
            assert asked.ok is not bool(words)
            assert words in asked.findings[-1][1]
        assert hub.repos == {}


def test_neither_the_run_nor_the_token_is_on_a_command_line(
    runner: Runner, silent_hub: str
) -> None:
    run = runner.publish(_job(), owner="a", token=ADA)
    process = _process(runner, run)
    _wait(lambda: _now(run).status == "running")
    command = Path(f"/proc/{process.pid}/cmdline").read_text()
    assert "trainer.runner.publishing" in command
    assert run.run_id not in command
    assert ADA not in command
    assert ADA not in Path(f"/proc/{process.pid}/environ").read_text()


def test_what_is_made_on_the_way_lies_in_the_run_folder_and_goes_with_the_process(
    runner: Runner, silent_hub: str
) -> None:
    run = runner.publish(_job("push", model="nowhere"), owner="a", token=ADA)
    scratch = Path(run.folder, SCRATCH)
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    environ = Path(f"/proc/{_process(runner, run).pid}/environ").read_text()
    assert f"TMPDIR={scratch}\0" in environ
    (scratch / "lrlab-dataset-x").mkdir()
    (scratch / "lrlab-dataset-x" / "cat.png").write_bytes(b"private")
    runner.stop(run.run_id, at_once=True)
    _wait(lambda: not runner._publisher._taken)
    assert not scratch.exists()


def test_what_a_publication_left_goes_when_the_app_starts(tmp_path: Path) -> None:
    left = [create_run(tmp_path, _job("publish"), owner="a") for _ in range(3)]
    write_run(replace(left[1], status="failed"))
    for run in left:
        Path(run.folder, SCRATCH, "made").mkdir(parents=True)
    runner = Runner(tmp_path)
    with held(Path(left[2].folder)):  # a process that outlives its app by some seconds
        runner.recover()
        assert not Path(left[0].folder, SCRATCH).exists()
        assert not Path(left[1].folder, SCRATCH).exists()
        assert Path(left[2].folder, SCRATCH).exists()
    _wait(lambda: not Path(left[2].folder, SCRATCH).exists())
    _wait(lambda: _now(left[2]).status == "stopped")
    last = _last(left[2])
    assert isinstance(last, Stopped)
    assert "on the Hub whole or not at all" in last.message
    runner.close()


def test_a_question_takes_no_place_of_a_publication_and_is_soon_ended(
    runner: Runner, silent_hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(publisher.QUESTIONS, max_seconds=3.0)
    assert publisher.QUESTIONS.max_seconds <= 60
    monkeypatch.setattr(publisher, "QUESTIONS", short)
    asked = [runner.publish(_job(), owner=f"v{n}", token=f"{ADA}{n}") for n in range(6)]
    with pytest.raises(BusyError, match="Others are asking"):
        runner.publish(_job(), owner="v6", token=f"{ADA}6")
    published = runner.publish(_job("push", model="nowhere"), owner="v0", token=f"{ADA}0")
    assert read_folder(Path(published.folder)) is not None
    _wait(lambda: all(_ended(run) for run in asked), 30)
    last = _last(asked[0])
    assert isinstance(last, Failed)
    assert last.message == ("The question did not finish (it took more than 3.0 s). Try again.")


def test_nobody_has_two_places_by_another_name_login_or_sign_in(
    runner: Runner, silent_hub: str
) -> None:
    first = runner.publish(_job("publish"), owner="a", token=ADA)
    before = {path.name for path in runner.root.iterdir()}
    for owner, token, repo_id in (
        ("a", BOB, "bob/new"),  # the same visitor
        ("b", ADA, "lab/new"),  # the same login
        ("b", BOB, "Ada/other"),  # the same account, which signed in once more
    ):
        with pytest.raises(BusyError, match="You are publishing already"):
            runner.publish(_job("publish", repo_id), owner=owner, token=token)
    assert {path.name for path in runner.root.iterdir()} == before  # nothing is left waiting
    second = runner.publish(_job("publish", "bob/new"), owner="b", token=BOB)
    runner.publish(_job("publish", "eve/new"), owner="c", token="hf_eve")
    with pytest.raises(BusyError, match="Others are publishing"):
        runner.publish(_job("publish", "dan/new"), owner="d", token="hf_dan")
    for run in (first, second):
        assert not _ended(run)


def test_two_at_once_do_not_both_begin(runner: Runner, silent_hub: str) -> None:
    began: list[Run] = []

    def publish() -> None:
        with contextlib.suppress(BusyError):
            began.append(runner.publish(_job("publish"), owner="a", token=ADA))

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(began) == 1
    folders = {path.name for path in runner.root.iterdir() if (path / "run.json").exists()}
    assert folders == {began[0].run_id}


def test_where_no_process_can_be_started_no_run_is_left(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = set(runner.root.iterdir())
    with pytest.raises(BusyError, match=r"No process can be started.*No such file"):
        runner.publish(_job(), owner="a", token=ADA)
    monkeypatch.undo()
    assert {path for path in runner.root.iterdir() if path.is_dir()} == before
    assert runner._publisher._taken == {}


def test_without_a_token_nobody_publishes_as_the_machine(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "token").write_text(ADA)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        run = runner.publish(_job(), owner="a", token="")
        _wait(lambda: _ended(run))
    last = _last(run)
    assert isinstance(last, Failed)
    assert last.error == "HubError"
    assert "The app gave no login" in last.message
    assert hub.requests == []


def test_a_publication_gives_way_and_writes_no_huge_file(runner: Runner, silent_hub: str) -> None:
    run = runner.publish(_job("publish"), owner="a", token=ADA)
    pid = _process(runner, run).pid
    _wait(lambda: _now(run).status == "running")
    assert os.getpriority(os.PRIO_PROCESS, pid) == os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"  # before the app
    limits = Path(f"/proc/{pid}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max file size")]
    assert line.split()[3] == str(Limits().max_file_bytes)


def test_a_publication_that_takes_too_much_memory_is_ended(
    tmp_path: Path, silent_hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "machine_memory", lambda: 10_000_000)
    runner = Runner(tmp_path / "runs")
    run = runner.publish(_job("publish"), owner="a", token=ADA)
    _wait(lambda: _ended(run))
    last = _last(run)
    assert isinstance(last, Failed)
    assert "it took more memory" in last.message
    runner.close()


APP = """
import sys, time
from pathlib import Path
from trainer.config import config_for
from trainer.jobs import Job
from trainer.runner import Runner
runner = Runner(Path(sys.argv[1]))
job = Job(
    kind="publish", config=config_for(), repo_id="ada/new", model=sys.argv[2], parts=("push-demo",)
)
run = runner.publish(job, owner="a", token=sys.stdin.readline().strip())
print(run.run_id, flush=True)
time.sleep(600)
"""


def _published_by_an_app(root: Path) -> tuple["subprocess.Popen[str]", Run]:
    """An app of its own and the publication that it has begun."""
    app = subprocess.Popen(
        [sys.executable, "-c", APP, str(root), MODEL.name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert app.stdin is not None and app.stdout is not None
    app.stdin.write(f"{ADA}\n")
    app.stdin.close()
    folder = root / app.stdout.readline().strip()
    app.stdout.close()
    _wait(lambda: (run := read_folder(folder)) is not None and run.status == "running")
    run = read_folder(folder)
    assert run is not None
    assert run.pid != app.pid
    return app, run


def test_a_publication_that_hangs_is_ended_by_the_next_app(
    tmp_path: Path, silent_hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "ADOPT_SECONDS", 1.0)
    app, run = _published_by_an_app(tmp_path / "runs")
    os.kill(run.pid, signal.SIGSTOP)
    app.kill()
    app.wait()
    runner = Runner(tmp_path / "runs")
    runner.recover()
    try:
        _wait(lambda: _now(run).status == "stopped", 10)
        _wait(lambda: _gone(run.pid), 5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
    runner.close()


def test_a_publication_ends_within_seconds_of_an_app_that_is_killed(
    tmp_path: Path, silent_hub: str
) -> None:
    app, run = _published_by_an_app(tmp_path / "runs")
    app.send_signal(signal.SIGKILL)
    app.wait()
    try:
        assert _wait(lambda: _gone(run.pid), 15) < 8
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGKILL)
    runner = Runner(tmp_path / "runs")
    runner.recover()
    _wait(lambda: _now(run).status == "stopped")
    assert not Path(run.folder, SCRATCH).exists()
    runner.close()


@pytest.mark.parametrize("module", ["__main__", "runner.publishing", "runner.worker"])
def test_no_process_goes_past_our_limits_with_the_client_for_xet_storage(module: str) -> None:
    """It knows nothing of our time limits, retries and stops."""
    script = (
        f"import trainer.{module}; from huggingface_hub import constants; "
        "print(constants.HF_HUB_DISABLE_XET)"
    )
    environment = {k: v for k, v in worker_environment().items() if k != "HF_HUB_DISABLE_XET"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("module", ["publishing", "worker"])
def test_no_process_prints_a_token_or_a_signed_address(module: str, tmp_path: Path) -> None:
    """The journal is a folder: writing it fails with a traceback that quotes its path."""
    root = tmp_path / f"lfs?X-Amz-Signature={SECRET}&x=hf_AbCdEfGhIjKlMnOp-{ADA[3:]}"
    run = create_run(root, Job(kind="check", config=tiny_config(), dataset="digits"), owner="a")
    Path(run.folder, "events.jsonl").mkdir()
    more = [str(tmp_path / "names.json")] if module == "worker" else []
    process = subprocess.Popen(
        [sys.executable, "-m", f"trainer.runner.{module}", "0", *more],
        env=worker_environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(f"{run.folder}\n{ADA[3:]}\n")
    process.stdin.flush()  # it stays open, as the app keeps it
    said = process.stderr.read()
    assert process.wait(60) == 1
    for pipe in (process.stdin, process.stderr):
        pipe.close()
    assert "IsADirectoryError" in said
    assert "X-Amz-Signature=[secret]" in said
    for secret in (SECRET, "AbCdEfGhIjKlMnOp", *([ADA[3:]] if module == "publishing" else [])):
        assert secret not in said


def test_the_hubs_client_warns_of_nothing_in_our_processes() -> None:
    code = "from huggingface_hub.utils import logging as l; print(l.get_verbosity() == l.ERROR)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=worker_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "True\n"


def test_nobody_else_lists_the_runs_or_reads_their_log(runner: Runner, silent_hub: str) -> None:
    log = runner.root / "workers.log"
    log.touch(mode=0o644)  # as earlier versions left it
    runner.publish(_job(), owner="a", token=ADA)
    assert stat.S_IMODE(runner.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
