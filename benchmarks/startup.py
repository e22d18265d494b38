"""How long until the page answers: `python app.py` against gradio's import and an empty page.

python benchmarks/startup.py [N]  runs the two in turn N times (5) and prints medians and ratio.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMPTY = """
import sys
import gradio as gr
with gr.Blocks() as demo:
    pass
demo.launch(server_port=int(sys.argv[2]), quiet=True, ssr_mode=False)
"""


def seconds_to_answer(command: list[str], port: int) -> float:
    """From starting the process to a page with status 200."""
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"}
    environment |= {"HF_HUB_OFFLINE": "1", "LRLAB_RUNS": tempfile.mkdtemp()}
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
                        if page.status == 200:
                            return time.perf_counter() - began
                except (OSError, urllib.error.URLError):
                    time.sleep(0.02)
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main() -> None:
    """Interleaved runs, after one of each that does not count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ours: list[float] = []
    empty: list[float] = []
    for number in range(count + 1):
        port = str(free_port())
        plain = seconds_to_answer([sys.executable, "-c", EMPTY, "--port", port], int(port))
        port = str(free_port())
        app = seconds_to_answer([sys.executable, "app.py", "--port", port], int(port))
        if number:
            empty.append(plain)
            ours.append(app)
            print(f"empty {plain:.2f} s, app {app:.2f} s, ratio {app / plain:.2f}", flush=True)
    ratios = [mine / plain for mine, plain in zip(ours, empty, strict=True)]
    print(
        f"n={count}: empty {statistics.median(empty):.2f} s, app {statistics.median(ours):.2f} s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    main()
