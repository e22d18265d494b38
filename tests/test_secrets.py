"""Secrets of the machine and of the Space: looked for everywhere once the app has worked."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app_server import AppServer
from visitor import Visitor

pytestmark = pytest.mark.timeout(600)

CANARIES = {
    "HF_TOKEN": "hf_CanaryEnvironmentAbCdEfGhIjKlMn",
    "HUGGING_FACE_HUB_TOKEN": "hf_CanaryOldNameAbCdEfGhIjKlMnOpQr",
    "OAUTH_CLIENT_SECRET": "canary-oauth-client-secret-4711",
    "MY_SPACE_SECRET": "canary-space-secret-4712",
    "OPENAI_API_KEY": "sk-canary-other-service-4713",
    "LRLAB_PASSWORD": "canary-password-4714",
}
LOGIN = "hf_CanaryLoginFileAbCdEfGhIjKlMnOp"
PASTED = "hf_CanaryPastedIntoABoxAbCdEfGhIj"
ALL = [value.encode() for value in (*CANARIES.values(), LOGIN)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("app")
    home = folder / "hf"
    home.mkdir()
    (home / "token").write_text(LOGIN)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CANARIES.items():
            patch.setenv(name, value)
        patch.setenv("HF_HOME", str(home))
        server = AppServer(folder).wait()
    yield server
    server.stop()


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(number) for task in tasks for number in (task / "children").read_text().split()]


def signed_in(app: AppServer) -> Visitor:
    """A visitor who knows the password, without which nothing is shown."""
    from httpx import Client

    with Client(base_url=app.url, trust_env=False) as client:
        assert client.get("/config").status_code == 401
        form = {"username": "anybody", "password": "wrong-password"}
        assert client.post("/login", data=form).status_code == 400
        form["password"] = CANARIES["LRLAB_PASSWORD"]
        assert client.post("/login", data=form).status_code == 200
        cookies = dict(client.cookies)
    return Visitor(app.url, cookies=cookies)


def test_no_secret_is_found_after_every_flow_and_error(app: AppServer) -> None:
    visitor = signed_in(app)
    visitor.do("page", "load")
    visitor.do("Dataset on the Hub", "submit", Dataset_on_the_Hub=f"cats {PASTED}")
    for wrong in ("../../etc/passwd", PASTED, "owner/gated@main"):
        with pytest.raises(RuntimeError):
            visitor.do("start-train", "click", lr=wrong)
    visitor.do("Example datasets", "input", Example_datasets="AI-Lab-Makerere/beans")
    visitor.follow_until("check", "cannot be used")
    archive = app.folder / "notes.zip"
    archive.write_bytes(b"no zip")
    zip_box = "A zip with one folder for each class"
    upload = {zip_box: visitor.upload(archive)}
    visitor.do(zip_box, "upload", **upload)
    visitor.follow_until("check", "cannot be used")
    visitor.do("Example datasets", "input", Example_datasets="digits")
    visitor.follow_until("check", "10 classes")
    visitor.do("start-train", "click", Recipe="custom", **{"All-layer_epochs": 50})
    visitor.follow_until("train", "of ")
    workers = children(app.process.pid)
    assert workers
    for pid in workers:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert [secret for secret in ALL if secret in environment] == []
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert [secret for secret in ALL if secret in command] == []
    assert (
        CANARIES["LRLAB_PASSWORD"].encode()
        not in Path(f"/proc/{app.process.pid}/cmdline").read_bytes()
    )
    visitor.do("stop", "click")
    visitor.follow_until("train", "Stopped")
    answers = [
        visitor.client.get(path).text
        for path in ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/login")
    ]
    said = "\n".join([*answers, *visitor.said, json.dumps(visitor.visit)]).encode()
    assert [secret for secret in ALL if secret in said] == []
    found = [
        (path.name, secret)
        for path in app.folder.rglob("*")
        if path.is_file() and path != app.folder / "hf" / "token"
        for secret in [*ALL, PASTED.encode()]
        if secret in path.read_bytes()
    ]
    assert found == []


def test_what_a_handler_prints_reaches_the_log_without_its_secret(tmp_path: Path) -> None:
    program = (
        "import huggingface_hub.utils.logging, logging, sys, traceback\n"
        "from trainer.redact import redact_output\n"
        "redact_output()\n"
        f"token = {PASTED!r}\n"
        "logging.getLogger('huggingface_hub').warning('the library logged %s', token)\n"
        "print('printed', token); logging.warning('logged %s', token)\n"
        "try: raise ValueError(token)\n"
        "except ValueError: traceback.print_exc(); logging.exception('failed')\n"
        "print(__import__('os').environ['MY_SPACE_SECRET'], file=sys.stderr)\n"
        "raise RuntimeError(token)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **CANARIES, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    said = done.stdout + done.stderr
    assert re.findall(r"Canary|canary", said) == []
    assert "the library logged hf_[secret]" in said
    assert said.count("[secret]") >= 7


def test_who_does_not_know_the_password_sends_nothing_large(app: AppServer) -> None:
    from httpx import Client

    event = {"data": ["x" * 3_000_000], "fn_index": 1, "session_hash": "a"}
    with Client(base_url=app.url, trust_env=False) as client:
        for name in ("upload", "tick"):
            answer = client.post(f"/gradio_api/run/{name}", json=event)
            assert (answer.status_code, "too large" in answer.text) == (413, True)


def test_a_flood_of_wrong_passwords_does_not_hold_up_the_page(app: AppServer) -> None:
    from httpx import Client

    def guess() -> None:
        with Client(base_url=app.url, trust_env=False) as client:
            client.post("/login", data={"username": "x", "password": "guess"})

    guesses = [threading.Thread(target=guess) for _ in range(20)]
    for each in guesses:
        each.start()
    with Client(base_url=app.url, trust_env=False) as client:
        began = time.monotonic()
        assert client.get("/").status_code in (200, 401)
        took = time.monotonic() - began
    for each in guesses:
        each.join()
    assert took < 10
