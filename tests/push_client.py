"""`Client`: a process that carries out one command line after another, for the tests of publishing.

torch and timm are imported once there, and huggingface_hub reads the emulator's address at import.
The file is also that process.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub_tokens import TOKEN
from pictures import png

ROOT = Path(__file__).resolve().parent.parent


class Client:
    """The parent's end of the pipe to the process that runs commands."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={
                **env,
                "LRLAB_MAX_PUBLISH_WAIT_SECONDS": "3",
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
                "LRLAB_CACHE": str(folder / "c"),
            },
        )

    def ask(self, call: str, *args: object, **env: str) -> dict[str, Any]:
        """The answer; `env` is set for this call alone. The token must be nowhere afterwards."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([call, args, env]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        secret = env.get("HF_TOKEN") or TOKEN
        assert secret not in line
        written = [path for path in self.folder.rglob("*") if path.is_file()]
        assert not [str(path) for path in written if secret.encode() in path.read_bytes()]
        return json.loads(line)

    def run(self, *argv: object, **env: str) -> dict[str, Any]:
        """The exit code and the last JSON line of a command, as Ada where no other env is given."""
        words = [str(word) for word in argv]
        answer = self.ask("command", [*words, "--json"], **(env or {"HF_TOKEN": TOKEN}))
        return {"code": answer["code"], **json.loads(answer["out"].splitlines()[-1])}

    def push(self, model: Path, repo_id: str, *more: str, **env: str) -> dict[str, Any]:
        """What `run` gives for a push."""
        return self.run("push", model, repo_id, *more, **env)

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(timeout=10)
        self._process.stdout.close()


def train_squares(client: Client) -> Path:
    """A model folder: a tiny model, trained for one epoch on coloured squares."""
    for number in range(40):
        path = client.folder / "squares" / ("warm", "cold")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        color = (200, number * 4, 0) if number % 2 == 0 else (0, number * 4, 200)
        path.write_bytes(png(color, (8, 8)))
    settings = "--model-name test_resnet --no-pretrained --epochs 1 --image-size 32 --lr 0.01"
    run = client.folder / "run"
    options = [*settings.split(), "--batch-size", "8", "--output-dir", str(run), "--json"]
    answer = client.ask("command", ["train", str(client.folder / "squares"), *options])
    assert answer["code"] == 0, answer
    return run / "model"


def command(argv: list[str]) -> dict[str, Any]:
    """`python -m trainer …`, with what it wrote."""
    from trainer.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(argv)
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def serve() -> None:
    """Answer the lines of standard input."""
    answers = sys.stdout
    for line in sys.stdin:
        call, args, env = json.loads(line)
        before = dict(os.environ)
        os.environ.update(env)
        answer = {"command": command}[call](*args)
        os.environ.clear()
        os.environ.update(before)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
