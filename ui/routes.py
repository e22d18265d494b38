"""Gradio's routes: which one a request means, and which of them this app has no use for.

A route is told by its whole path: an event may bear any name, `/gradio_api/run/upload` is one.
"""

import re

from starlette._utils import get_route_path
from starlette.types import Scope

_BLOCKED = re.compile(
    r"/+(gradio_api/+)?"
    r"(file[=/]\s*[a-z0-9+.-]+:/|proxy=|process_recording|(undo-)?vibe-|run-history|runs/?$"
    r"|dev/|monitoring|deep_link|profiling|api/|call/|component_server)",
    re.IGNORECASE,
)
"""Gradio's routes that fetch for the visitor, run what they send, show how the app is used, or lead
to what the page reaches by others: it joins the queue, and runs what answers at once by `run/`."""

_UPLOAD = re.compile(r"/gradio_api/upload$")
_JOIN = re.compile(r"/gradio_api/queue/join$")
"""As the router matches them: `$` lets a line break follow."""


def is_blocked(scope: Scope) -> bool:
    """Whether the request goes to a route without use."""
    return _BLOCKED.match(get_route_path(scope)) is not None


def is_upload(scope: Scope) -> bool:
    """Whether this is gradio's route for files, the only one that takes more than a little."""
    return _UPLOAD.match(get_route_path(scope)) is not None


def is_join(scope: Scope) -> bool:
    """Whether this puts an event into gradio's queue."""
    return _JOIN.match(get_route_path(scope)) is not None
