"""LR Lab's entry point: `python app.py`, or a Gradio Space, which imports `demo`."""

import argparse
import atexit
import os
import secrets
import signal
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# For a dashboard that is off here, Gradio would sum up the last 10,000 events after each event.
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"  # a visitor's download never carries our token
# A folder of our own even where the variable is set, for everything old in it is removed.
os.environ["GRADIO_TEMP_DIR"] = str(
    Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()) / "lrlab-gradio"
)

from PIL import Image
from starlette.middleware import Middleware

from trainer.data.cache import cache_root
from trainer.errors import UserError
from trainer.limits import Limits
from trainer.redact import redact_output
from trainer.runner import Runner
from ui.compression import CompressedPage
from ui.context import Context
from ui.guard import Guard, answered_names
from ui.intake import Intake
from ui.joins import Joins, waiting_in
from ui.origin import is_loopback, on_space
from ui.page import build_page
from ui.password import checked_by, read_password
from ui.temp import keep_swept, sweep, sweep_folders, temp_root
from ui.theme import css, theme
from ui.zero_gpu import mark_for_gpu

RUNS = Path(os.environ.get("LRLAB_RUNS", "runs"))
KEEP_UPLOADS_SECONDS = 86_400.0
"""How long a Space keeps an uploaded archive, or until the runs on it have ended; elsewhere it goes
with its runs."""
QUEUE_PLACES = 64
"""Clicks that may wait at once for somebody to work on them, all visitors together."""

mark_for_gpu()
try:
    limits = Limits.from_env()
except UserError as error:
    sys.exit(str(error))
Image.MAX_IMAGE_PIXELS = limits.max_pixels  # should a library ever open a visitor's picture here
runner = Runner(RUNS)
context = Context(runner)
demo = build_page(context).queue(
    api_open=False, max_size=QUEUE_PLACES, default_concurrency_limit=16
)
demo._queue.sleep_when_free = 0.02  # for 0.001, which takes 5 % of a core


def main() -> None:
    """Start the app on this machine, or on a Space."""
    arguments = _parser().parse_args()
    password = _password(ask=arguments.password)
    redact_output()
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:  # nohup
            signal.signal(kind, lambda *_: sys.exit(0))  # atexit closes the runner
    context.login.open_to_others = arguments.share or not is_loopback(arguments.host)
    runner.recover()
    atexit.register(runner.close)
    keep_swept(_chores(), closing=threading.Event())
    demo.launch(
        prevent_thread_lock=True,
        server_name=arguments.host,
        server_port=arguments.port,
        share=arguments.share,
        theme=theme(),
        css=css(),
        footer_links=["gradio", "settings"],
        ssr_mode=False,
        **_guarded(arguments, password),
    )
    runner.start()  # after the page answers: importing torch twice takes the cores for a while
    demo.block_thread()


def _guarded(arguments: argparse.Namespace, password: str | None) -> dict[str, Any]:
    """What of `launch` keeps the app and its visitors safe."""
    names = answered_names(arguments.host, shared=arguments.share)
    intake = Intake(temp_root(), limits)
    joins = Joins(partial(waiting_in, demo._queue), places=QUEUE_PLACES)
    guard = Middleware(Guard, intake=intake, joins=joins, names=names)
    return {
        "run_history": False,  # it would keep what was typed, in the browser
        "show_error": False,
        "enable_monitoring": False,
        "strict_cors": True,
        "state_session_capacity": 500,
        "max_file_size": limits.max_archive_bytes,
        "allowed_paths": [],
        "blocked_paths": [str(RUNS.resolve()), str(cache_root().resolve())],
        "app_kwargs": {"middleware": [guard, Middleware(CompressedPage)]},
        "auth": checked_by(password) if password else None,
        "auth_message": "Type any name, and the password that you were given.",
    }


def _chores() -> list[partial[Any]]:
    """What the sweeper does again and again."""
    chores: list[partial[Any]] = [partial(sweep, temp_root(), max_seconds=limits.max_temp_seconds)]
    if on_space():
        seconds, needed = KEEP_UPLOADS_SECONDS, runner.needed_uploads
        chores.append(partial(sweep_folders, runner.uploads, max_seconds=seconds, needed=needed))
    return chores


def _password(*, ask: bool) -> str | None:
    try:
        return read_password(ask=ask)
    except UserError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Start LR Lab in a browser.")
    host = "0.0.0.0" if on_space() else "127.0.0.1"
    parser.add_argument("--share", action="store_true", help="make a public link for a week")
    parser.add_argument(
        "--password",
        action="store_true",
        help="ask at the terminal for a password that opens the app; or set LRLAB_PASSWORD",
    )
    parser.add_argument("--host", default=host, help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    return parser


if __name__ == "__main__":
    if not on_space():
        # Off Spaces gradio signs its sessions with a constant; this makes it a secret.
        os.environ.setdefault("OAUTH_CLIENT_SECRET", secrets.token_hex(32))
    main()
