"""ONNX copies of finished models, made after a training in a process of low priority.

With them predictions take half the time; until they are there PyTorch answers.
"""

import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

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
                self._process = _start(folder)
            code = self._process.wait()
            (folder / f".making-{self._process.pid}-model.onnx").unlink(missing_ok=True)
            if code and not self._closed:
                sys.stderr.write(f"No ONNX copy of {folder} (exit code {code}).\n")


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    lower = ["nice", "-n", str(PRIORITY)] if shutil.which("nice") else []
    return subprocess.Popen(
        [*lower, sys.executable, "-m", "trainer", "export", str(folder)],
        # One thread: two that wait for each other slow down whoever trains beside them.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
