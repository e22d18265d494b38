"""`Fault`: one thing that goes wrong on purpose in the Hub emulator, and how it is played.

A connection is broken at the TCP level: uvicorn's transport is aborted with a RST, so that a
client sees what it sees when a machine or a network between fails.

Not covered: faults before a connection is there (an `unused_endpoint()`, a name without address).
"""

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Message = dict[str, Any]
Kind = Literal["status", "delay", "reset", "lost", "truncated", "stalled", "wrong", "meanwhile"]


def rate_limit(seconds: int, remaining: int = 0) -> dict[str, str]:
    """The headers of the Hub's rate limit, as huggingface_hub parses them."""
    return {
        "RateLimit": f'"api";r={remaining};t={seconds}',
        "RateLimit-Policy": '"fixed window";"api";q=500;w=300',
    }


@dataclass(kw_only=True)
class Fault:
    """What happens to the requests that match, and to how many of them."""

    kind: Kind = "status"
    """`status`: another answer. `delay`: the real answer, late. `reset`: the connection breaks
    and nothing is done. `lost`: it is done, and the connection breaks instead of the answer.
    `truncated`: half of the answer's body, and the end. `stalled`: half of it, and nothing for
    `seconds`. `wrong`: a body with one bit changed. `meanwhile`: the real answer, after `act`."""
    method: str = ""
    """Only for this method; empty: for every one."""
    only: str = ""
    """Only for paths that contain this."""
    skip: int = 0
    """Leave so many matching requests alone first."""
    times: int | None = 1
    """Only so many requests; None: all of them."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """Of `status`; None: `{"error": "fault"}`."""
    seconds: float = 0.0
    """To wait first, with every kind but `stalled`."""
    after_bytes: int = 0
    """Of `reset`: read so much of the request's body before."""
    act: Callable[[], object] | None = None
    """Done before anything else, for example a commit of somebody else."""

    def take(self, method: str, path: str) -> bool:
        """Whether this request gets the fault; counts it."""
        if self.times == 0 or self.only not in path or self.method not in ("", method):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(kw_only=True)
class Faults:
    """What goes wrong on purpose; the fields may be changed while the emulator runs."""

    status: int | None = None
    """Answer this status (500, 429, …) instead of the real answer."""
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with `status`, for example `Retry-After`."""
    delay_seconds: float = 0.0
    """Wait before every answer."""
    only: str = ""
    """Only for paths that contain this."""
    times: int | None = None
    """Only for so many requests; None: until switched off."""
    script: Iterable[Fault] = ()
    """More faults: the first one that matches a request is played."""

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this request; counts it."""
        if (self.status or self.delay_seconds) and self.only in path and self.times != 0:
            if self.times is not None:
                self.times -= 1
            kind: Kind = "status" if self.status else "delay"
            return Fault(
                kind=kind,
                status=self.status or 0,
                headers=self.headers,
                seconds=self.delay_seconds,
            )
        return next((fault for fault in self.script if fault.take(method, path)), None)


class Exchange:
    """One request and its answer on the way through the emulator, with the wire under them."""

    def __init__(self, receive: Any, send: Any, keep: Callable[["Exchange"], object]) -> None:
        self._receive, self._send, self._keep = receive, send, keep
        self._transport: asyncio.Transport = send.__self__.transport  # uvicorn's own
        self.body = b""
        """What came of the request's body."""
        self.status = 0
        """What was answered; 0: nothing."""
        self.num_bytes = 0
        """Length of the answer's body, as its header has it."""

    async def receive(self) -> Message:
        """The next part of the request."""
        message = await self._receive()
        self.body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer; the record is written before it leaves."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            lengths = [value for name, value in message["headers"] if name == b"content-length"]
            self.num_bytes = int(lengths[0]) if lengths else 0
            self._keep(self)
        await self._send(message)

    async def read(self, at_least: float = float("inf")) -> None:
        """Take in the request's body, or so many bytes of it."""
        more = True
        while more and len(self.body) < at_least:
            message = await self.receive()
            more = message["type"] == "http.request" and message["more_body"]

    async def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """An answer that the app knows nothing of."""
        pairs = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        raw = [(name.lower().encode(), value.encode()) for name, value in pairs.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def reset(self) -> None:
        """Break the connection with a RST."""
        self.status = 0
        self._keep(self)
        wire = self._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._gone()

    async def hang_up(self) -> None:
        """End the connection after what was sent."""
        self._transport.close()
        await self._gone()

    async def _gone(self) -> None:
        """Wait until uvicorn has seen it: it would log an answer that never came."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def play(fault: Fault | None, app: Any, scope: Any, exchange: Exchange) -> None:
    """Carry out a request as the fault says."""
    if fault and fault.act:
        fault.act()
    if fault and fault.seconds and fault.kind != "stalled":
        await asyncio.sleep(fault.seconds)
    match fault.kind if fault else "delay":
        case "status" if fault:
            await exchange.read()
            body = json.dumps({"error": "fault"}) if fault.body is None else fault.body
            await exchange.answer(fault.status, fault.headers, body.encode())
        case "reset" if fault:
            await exchange.read(fault.after_bytes)
            await exchange.reset()
        case "lost":
            await app(scope, exchange.receive, _swallow)
            await exchange.reset()
        case "truncated":
            await app(scope, exchange.receive, _halved(exchange))
        case "stalled" if fault:
            await app(scope, exchange.receive, _halved(exchange, fault.seconds))
        case "wrong":
            await app(scope, exchange.receive, _changed(exchange))
        case _:
            await app(scope, exchange.receive, exchange.send)


async def _swallow(_message: Message) -> None:
    """Nowhere."""


def _halved(exchange: Exchange, seconds: float = 0.0) -> Callable[[Message], Any]:
    async def send(message: Message) -> None:
        body = message.get("body", b"")
        if not body:
            await exchange.send(message)
            return
        await exchange.send({**message, "body": body[: len(body) // 2], "more_body": True})
        await asyncio.sleep(seconds)
        await exchange.hang_up()

    return send


def _changed(exchange: Exchange) -> Callable[[Message], Any]:
    async def send(message: Message) -> None:
        body = message.get("body", b"")
        if body:
            message = {**message, "body": body[:-1] + bytes([body[-1] ^ 1])}
        await exchange.send(message)

    return send
