"""ONNX copies of finished models, made after a training in a process of low priority.

`python -m trainer.runner.exports` is that process; the first line of standard input is the model
folder, because a run's folder is named by its id, and everybody on the machine sees command lines.
With them predictions take half the time; until they are there PyTorch answers.
"""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from trainer.allocator import keep_freed_memory
from trainer.errors import ModelError
from trainer.redact import redact_output
from trainer.runner.child import leave

PRIORITY = 10
"""Added to the worker's niceness."""


class Exports:
    """Model folders waiting for their ONNX copy, one made at a time."""

    def __init__(self) -> None:
        self._folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="exports")
        self._thread.start()

    def add(self, folder: Path) -> None:
        """Make `model.onnx` in this model folder when its turn comes."""
        self._folders.put(folder)

    def kill(self) -> None:
        """End what is being made, at once."""
        with self._lock:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """End what is being made; a copy that is not whole leaves no file."""
        self.kill()
        self._folders.put(None)
        self._thread.join(5)

    def _serve(self) -> None:
        while (folder := self._folders.get()) is not None:
            with self._lock:
                if self._closed:
                    return
                try:
                    self._process = _start(folder)
                except OSError as error:  # PyTorch answers; the copy is made where it is published
                    sys.stderr.write(f"No ONNX copy of {folder} ({error}).\n")
                    continue
            code = self._process.wait()
            (folder / f".making-{self._process.pid}-model.onnx").unlink(missing_ok=True)
            if code and not self._closed:
                sys.stderr.write(f"No ONNX copy of {folder} (exit code {code}).\n")


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    lower = ["nice", "-n", str(PRIORITY)] if shutil.which("nice") else []
    process = subprocess.Popen(
        [*lower, sys.executable, "-m", "trainer.runner.exports"],
        # One thread: two that wait for each other slow down whoever trains beside them.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # it died at once; whoever waits for it finds out
        process.stdin.write(f"{folder}\n".encode())
        process.stdin.close()
    return process


def main() -> int:
    """Export the model folder that standard input names; returns the exit code."""
    from trainer.onnx_export import export_onnx

    keep_freed_memory()
    redact_output()
    try:
        export_onnx(Path(sys.stdin.readline().rstrip("\n")))
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    leave(main())
