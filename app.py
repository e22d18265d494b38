"""LR Lab's entry point: `python app.py`, or a Gradio Space, which imports `demo`."""

import argparse
import atexit
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # a visitor's download never carries our token
os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(tempfile.gettempdir()) / "lrlab-gradio"))

from trainer.runner import Runner
from ui.context import Context
from ui.page import build_page
from ui.theme import css, theme

RUNS = Path(os.environ.get("LRLAB_RUNS", "runs"))


runner = Runner(RUNS)
demo = build_page(Context(runner)).queue(api_open=False, max_size=64, default_concurrency_limit=16)


def main() -> None:
    """Start the app on this machine, or on a Space."""
    arguments = _parser().parse_args()
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:  # nohup
            signal.signal(kind, lambda *_: sys.exit(0))  # atexit closes the runner
    runner.recover()
    atexit.register(runner.close)
    demo.launch(
        prevent_thread_lock=True,
        server_name=arguments.host,
        server_port=arguments.port,
        share=arguments.share,
        theme=theme(),
        css=css(),
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        strict_cors=True,
        state_session_capacity=500,
        max_file_size="500mb",
        footer_links=["gradio", "settings"],
        blocked_paths=[str(RUNS.resolve())],
        ssr_mode=False,
    )
    runner.start()  # after the page answers: importing torch twice takes the cores for a while
    demo.block_thread()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Start LR Lab in a browser.")
    on_space = "SPACE_ID" in os.environ
    host = "0.0.0.0" if on_space else "127.0.0.1"
    parser.add_argument("--share", action="store_true", help="make a public link for a week")
    parser.add_argument("--host", default=host, help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    return parser


if __name__ == "__main__":
    if "SPACE_ID" not in os.environ:
        # Off Spaces gradio signs its sessions with a constant; this makes it a secret.
        os.environ.setdefault("OAUTH_CLIENT_SECRET", secrets.token_hex(32))
    main()
