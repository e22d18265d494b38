"""How handlers are attached, and the one place that turns an exception into words."""

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from trainer.errors import UserError
from ui.words import text

Handler = TypeVar("Handler", bound=Callable[..., Any])
HIDDEN: dict[str, Any] = {
    "show_progress": "hidden",
    "show_progress_on": [],  # else the browser writes a status to every output, twice an event
    "api_visibility": "private",
}
"""For an event: no progress veil over the page, and no entry in the API's description."""
QUICK: dict[str, Any] = {**HIDDEN, "queue": False}
"""The same for one that answers at once."""

_log = logging.getLogger("lrlab")


def told(handler: Handler) -> Handler:
    """A handler whose UserErrors are shown as sentences, and whose defects as an apology."""

    @functools.wraps(handler)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise as_shown(error) from error

    return wrapper  # pyright: ignore[reportReturnType]


def as_shown(error: Exception) -> gr.Error:
    """The error as a toast; everything in it is text."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, UserError):
        return gr.Error(text(error), title="This needs a change", print_exception=False)
    _log.error("a handler failed", exc_info=error)
    return gr.Error(
        "Something went wrong that should not. Your runs are kept; reload the page to see them.",
        title="Our mistake",
        print_exception=False,
    )
