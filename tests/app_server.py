"""The real app in a process of its own, for tests that use it as a visitor does."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


class AppServer:
    """`python app.py` on a free port, with runs and caches of its own."""

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None) -> None:
        """Start it; `env` is its environment in place of the test's."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.env = dict(os.environ if env is None else env)
        self.runs = folder / "runs"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "app.log"
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {
            **self.env,
            "LRLAB_RUNS": str(self.runs),
            "LRLAB_CACHE": str(self.folder / "cache"),
            "GRADIO_TEMP_DIR": str(self.folder / "temp"),
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "app.py"), "--port", str(self.port)],
                env=environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def wait(self, seconds: float = 300.0) -> "AppServer":
        """Until the page is answered and `launch` has returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the app ended:\n{self.log.read_text()[-2000:]}")
            if b"Running on local URL" in self.log.read_bytes() and self._answers():
                return self
            time.sleep(0.2)
        raise TimeoutError(f"no answer:\n{self.log.read_text()[-2000:]}")

    def stop(self, kind: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> int:
        """End it with a signal; its exit code."""
        self.process.send_signal(kind)
        return self.process.wait(seconds)

    def restart(self) -> None:
        """Start it again on the same port, runs and caches."""
        self.process = self._start()
        self.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False
