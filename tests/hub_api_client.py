"""`Client`: huggingface_hub in a process of its own, against the Hub emulator; and raw requests.

That library reads the emulator's address at import. Raw requests are for what it would not send.
The file is also that process.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from hub_emulator import HubEmulator

ADA = "hf_canaryTokenOfAda"


class Client:
    """The parent's end of the pipe to the process with huggingface_hub."""

    def __init__(self, hub: HubEmulator, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=hub.client_env(folder / "home", HF_HUB_DISABLE_IMPLICIT_TOKEN="1"),
        )

    def ask(self, call: str, *args: object, token: str | None = ADA, **options: object) -> Any:
        """What the call gives; a refusal is a dict with `error`, `status` and `message`."""
        assert self._process.stdin and self._process.stdout
        given = {"token": token or False, **options}
        self._process.stdin.write(json.dumps([call, args, given]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


def commit(repo_id: str, files: dict[str, str | None], **options: Any) -> dict[str, Any]:
    """A commit of texts; None deletes."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    operations = [
        CommitOperationDelete(path) if text is None else CommitOperationAdd(path, text.encode())
        for path, text in files.items()
    ]
    given = {"commit_message": "a change", **options}
    return {"oid": HfApi().create_commit(repo_id, operations, **given).oid}


def create(repo_id: str, **options: Any) -> dict[str, Any]:
    """A new repository."""
    from huggingface_hub import HfApi

    return {"url": str(HfApi().create_repo(repo_id, **options))}


def plain(call: str, *args: Any, **options: Any) -> Any:
    """Any other method of `HfApi`."""
    from huggingface_hub import HfApi

    answer = getattr(HfApi(), call)(*args, **options)
    if isinstance(answer, list):
        return [vars(entry) for entry in answer]
    return answer if isinstance(answer, str | dict) else vars(answer)


def serve() -> None:
    """Answer the lines of standard input."""
    from huggingface_hub import errors

    answers = sys.stdout
    for line in sys.stdin:
        call, args, options = json.loads(line)
        try:
            found = {"commit": commit, "create": create, "plain": plain}[call](*args, **options)
        except errors.HfHubHTTPError as error:
            status, said = error.response.status_code, f"{error} {error.server_message}"
            found = {"error": type(error).__name__, "status": status, "message": said}
        except Exception as error:  # noqa: BLE001 a test judges which error it is
            found = {"error": type(error).__name__, "status": 0, "message": str(error)}
        answers.write(json.dumps(found, default=str) + "\n")
        answers.flush()


def put(hub: HubEmulator, path: str, body: bytes, **headers: str) -> int:
    """The status of an upload to the storage."""
    request = urllib.request.Request(
        f"{hub.storage}{path}", data=body, method="PUT", headers=headers
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except HTTPError as refused:
        refused.close()
        return refused.code


def post(hub: HubEmulator, path: str, body: bytes, token: str = ADA) -> tuple[int, str]:
    """The status and the text of a raw call, which huggingface_hub would not make."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{hub.endpoint}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def lines(*operations: tuple[str, dict[str, Any]], summary: str = "x", **header: str) -> bytes:
    """The body of a commit."""
    first = {"key": "header", "value": {"summary": summary, **header}}
    rest = [{"key": key, "value": value} for key, value in operations]
    return "\n".join(json.dumps(line) for line in (first, *rest)).encode()


def text_file(path: str, content: bytes = b"dA==") -> tuple[str, dict[str, Any]]:
    return "file", {"path": path, "encoding": "base64", "content": content.decode()}


def get(hub: HubEmulator, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"{hub.endpoint}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def base64_of(text: str) -> bytes:
    return base64.b64encode(text.encode())


if __name__ == "__main__":
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    serve()
