"""`Body`: one request's body, metered while it streams in: its size, parts, pace and disk.

Gradio limits the size of each uploaded file, and nothing else: neither the request, nor what comes
as base64, nor what a client that went away left on the disk.
"""

import asyncio
import json
import math
import re
import time
from collections.abc import Callable

from starlette.formparsers import MultiPartException
from starlette.types import Message, Receive

IDLE_SECONDS = 30.0
"""Longest silence within a body."""
MIN_BYTES_PER_SECOND = 1_000
"""Slowest pace after the first minute: ten times slower than a bad phone connection."""
GRACE_SECONDS = 60.0
MAX_JSON_DEPTH = 60
"""Lists and objects within each other in a request; the page's own have about six."""
_MAX_INTEGER = 2**63
"""Gradio cannot repeat a larger one in its answer."""
_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class BodyRefused(MultiPartException):
    """A body that is not read on, with the answer's status and words.

    Gradio's upload parser removes its files for a `MultiPartException`, and only for that.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Body:
    """An ASGI `receive` that counts; after a refusal it knows why, and yields nothing more."""

    def __init__(
        self,
        receive: Receive,
        *,
        max_bytes: int,
        too_large: str,
        boundary: bytes = b"",
        max_parts: int = 0,
        charge: Callable[[int], None] = lambda num_bytes: None,
    ) -> None:
        """Meter `receive`.

        Args:
            max_bytes: Most bytes of the whole body.
            too_large: What is said of a larger one.
            boundary: The multipart boundary, for counting parts; empty for other bodies.
            max_parts: Most parts between boundaries.
            charge: Called with the size of each chunk; may raise `BodyRefused`.
        """
        self.refusal: BodyRefused | None = None
        self._receive = receive
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._mark = b"--" + boundary if boundary else b""
        self._max_parts = max_parts
        self._charge = charge
        self._size = 0
        self._num_marks = 0
        self._tail = b""
        self._complete = False
        self._began = time.monotonic()

    async def __call__(self) -> Message:
        """The next chunk.

        Raises:
            BodyRefused: the body is too large, too slow, in too many parts, or broke off.
        """
        if self.refusal is not None:
            raise self.refusal
        if self._complete:  # what is waited for now is that the visitor goes away
            return await self._receive()
        try:
            return await self._next()
        except BodyRefused as refusal:
            self.refusal = refusal
            raise

    async def whole(self) -> bytes:
        """The whole body, for a small one.

        Raises:
            BodyRefused: as for a chunk.
        """
        chunks: list[bytes] = []
        while not self._complete:
            chunks.append((await self()).get("body", b""))
        return b"".join(chunks)

    async def drain(self) -> None:
        """Read a little of what is still coming."""
        if not self._complete:
            await drain(self._receive)

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await self._receive()
        except TimeoutError as error:
            raise BodyRefused(408, "The upload came too slowly and was given up.") from error
        if message["type"] == "http.disconnect":
            self._complete = True
            raise BodyRefused(400, "The upload broke off.")
        self._complete = not message.get("more_body", False)
        self._count(message.get("body", b""))
        return message

    def _count(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise BodyRefused(413, self._too_large)
        past = time.monotonic() - self._began - GRACE_SECONDS
        if past > 0 and self._size < past * MIN_BYTES_PER_SECOND:
            raise BodyRefused(408, "The upload came too slowly and was given up.")
        if self._mark:
            window = self._tail + chunk
            self._num_marks += window.count(self._mark)
            self._tail = window[-(len(self._mark) - 1) :]
            if self._num_marks > self._max_parts + 1:  # one more closes the last part
                raise BodyRefused(
                    413, f"More than {self._max_parts} files in one upload; send fewer at once."
                )
        self._charge(len(chunk))


async def drain(receive: Receive, max_bytes: int = 16_000_000, seconds: float = 5.0) -> None:
    """Read a little of a body and forget it: who is cut off while sending sees no answer."""
    left = max_bytes
    try:
        async with asyncio.timeout(seconds):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) + 1
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
    except TimeoutError:
        return


def check_json(body: bytes) -> None:
    """Refuse what gradio would stumble over, or what would make it fetch a file for the visitor.

    A file's `path` in a request may be a URL, which gradio downloads without a limit. NaN and
    infinity are no JSON, no browser sends them, and gradio cannot repeat them in its answer, as
    little as large integers. What else is no JSON is left for gradio to refuse.

    Raises:
        BodyRefused: too deep, no number, no text, or a file that lies elsewhere.
    """
    try:
        value = json.loads(body, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
        if b"\\ud" in body.lower():  # half a character: no answer could repeat it
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise BodyRefused(400, "The request is nested too deeply.") from error
    except UnicodeEncodeError as error:
        raise BodyRefused(400, "The request holds a broken character.") from error
    except ValueError:
        return
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise BodyRefused(400, "The request is nested too deeply.")
        dicts = [each for each in layer if isinstance(each, dict)]
        if any(_URL.match(each["path"]) for each in dicts if isinstance(each.get("path"), str)):
            raise BodyRefused(
                400, "Upload the file itself; this app does not fetch it from elsewhere."
            )
        inner = [below for each in dicts for below in each.values()]
        inner += [below for each in layer if isinstance(each, list) for below in each]
        layer = [each for each in inner if isinstance(each, (dict, list))]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BodyRefused(400, "The request holds a number that is not finite.")
    return value


def _whole(text: str) -> int:
    value = int(text)
    if not -_MAX_INTEGER <= value < _MAX_INTEGER:
        raise BodyRefused(400, "The request holds a number that is too large.")
    return value


async def _nothing_more() -> Message:
    return await asyncio.get_running_loop().create_future()


def replayed(body: bytes, then: Receive = _nothing_more) -> Receive:
    """A `receive` that yields a body that was read already, and then goes on with `then`."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await then()

    return receive
