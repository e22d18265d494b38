"""`Guard`: what every request passes before gradio sees it.

Plain ASGI: starlette's BaseHTTPMiddleware would hold back the event streams. Gradio itself
answers every origin with credentials, and serves routes that this app has no use for.
"""

import json
import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.body import Body, BodyRefused, check_json, drain, replayed
from ui.intake import Intake
from ui.joins import Joins
from ui.origin import (
    answered_names,
    is_foreign,
    is_local,
    is_named,
    on_space,
    same_origin,
)
from ui.routes import is_blocked, is_upload

__all__ = ["Guard", "answered_names", "is_local", "same_origin"]

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
FOREIGN_WORDS = (
    "This request came from another website, so it was not carried out. Open the app's own page "
    "and try again there."
)
NAME_WORDS = (
    "This app answers only under the names of its own machine (localhost, 127.0.0.1). To reach it "
    "under another name, start it with that name in LRLAB_HOSTS."
)


SENSELESS_WORDS = "The app could not make sense of this request. Reload the page and try again."

_log = logging.getLogger("lrlab")


class Guard:
    """Turns away what comes from other websites, under other names, to routes without use, or
    brings too much."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        intake: Intake,
        joins: Joins,
        names: tuple[str, ...] | None = None,
    ) -> None:
        """Stand before `app`; `names` are what `Host` may hold, None for anything."""
        self._app = app
        self._intake = intake
        self._joins = joins
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry the request on, or answer it here."""
        if scope["type"] == "websocket":  # the page uses none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guarded = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await answer(guarded, *refusal, scope=scope)
        elif scope["method"] in _SAFE_METHODS:
            await self._app(scope, receive, guarded)
        else:
            await self._with_body(scope, receive, guarded)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry on a request whose body is metered; a refusal replaces gradio's answer."""
        body, started = None, False

        async def unless_refused(message: Message) -> None:
            nonlocal started
            if started or body is None or body.refusal is None:
                started = True
                await send(message)

        try:
            body = self._intake.body(scope, receive)
            if is_upload(scope):
                await self._app(scope, body, unless_refused)
            else:
                whole = await body.whole()
                check_json(whole)
                with self._joins.place(scope):
                    await self._app(scope, replayed(whole, body), unless_refused)
        except BodyRefused as raised:
            refusal = raised
        except Exception as error:
            if started:
                raise
            # Gradio looks up what the request names, an event for example, without a check.
            _log.warning("gradio could not carry out a request: %s", type(error).__name__)
            refusal = BodyRefused(400, SENSELESS_WORDS)
        else:
            refusal = body.refusal  # gradio caught it, and had its own words
        if refusal is not None and not started:
            await _refuse(send, receive, body, refusal, scope)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and words for a request that goes no further."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) > 1 or len(headers.getlist("origin")) > 1:
            return 400, "This request names several hosts or origins."
        if self._names is not None and not is_named("".join(hosts), self._names):
            return 403, NAME_WORDS
        if scope["method"] not in _SAFE_METHODS and is_foreign(headers):
            return 403, FOREIGN_WORDS
        if is_blocked(scope):
            return 404, "There is nothing here."
        return None


async def answer(send: Send, status: int, words: str, *, scope: Scope) -> None:
    """Answer with fixed words, in the form in which gradio's page shows them."""
    if is_upload(scope):
        kind, body = "text/plain; charset=utf-8", words.encode()
    else:
        kind, body = "application/json", json.dumps({"error": words, "detail": words}).encode()
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the request's body is not waited for
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(
    send: Send, receive: Receive, body: Body | None, refusal: BodyRefused, scope: Scope
) -> None:
    await (body.drain() if body is not None else drain(receive))
    await answer(send, refusal.status, refusal.message, scope=scope)


def frame_ancestors() -> str:
    """Who may show the page in a frame: the Hub does so with a Space, elsewhere nobody else."""
    if on_space():
        return "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co"
    return "frame-ancestors 'self'"


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers["Content-Security-Policy"] = frame_ancestors()
        await send(message)

    return guarded
