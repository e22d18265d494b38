"""`Intake`: what a request may bring: how large a body, how much in all, how full a disk."""

import shutil
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from trainer.limits import Limits
from ui.body import Body, BodyRefused
from ui.origin import is_local, on_space
from ui.routes import is_upload

WINDOW_SECONDS = 600.0
_MAX_CLIENTS = 10_000
_OVERHEAD_BYTES = 1_000_000
"""What multipart puts around the files of an upload."""
_LOOK_BYTES = 32_000_000
"""How often the disk is looked at while an upload streams in."""


class Budget:
    """Bytes that each visitor sent within the last ten minutes; the oldest are forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def used(self, client: str) -> int:
        """Bytes of a visitor; they leak away evenly over the window, as from a bucket."""
        at, num_bytes = self._sent.get(client, (0.0, 0))
        return max(0, round(num_bytes * (1 - (self._clock() - at) / WINDOW_SECONDS)))

    def add(self, client: str, num_bytes: int) -> int:
        """Count what a visitor sends; what they have used with it."""
        used = self.used(client) + num_bytes
        self._sent[client] = (self._clock(), used)
        self._sent.move_to_end(client)
        while len(self._sent) > _MAX_CLIENTS:
            self._sent.popitem(last=False)
        return used


class Intake:
    """Wraps each body in the limits that hold for its route and its sender."""

    def __init__(self, temp_root: Path, limits: Limits, budget: Budget | None = None) -> None:
        self._temp_root = temp_root
        self._limits = limits
        self._budget = budget or Budget()

    def body(self, scope: Scope, receive: Receive) -> Body:
        """The request's body, metered.

        Raises:
            BodyRefused: it is turned away before a byte of it is read.
        """
        headers = Headers(scope=scope)
        declared = _declared(headers)
        if not is_upload(scope):
            return self._small(declared, receive, scope, headers)
        limit = self._limits.max_archive_bytes
        too_large = f"The upload is too large; the limit is {limit / 1e6:,.0f} MB."
        if declared > limit + _OVERHEAD_BYTES:
            raise BodyRefused(413, too_large)
        client = client_of(scope, headers)
        if client and self._budget.used(client) >= self._limits.max_client_bytes:
            raise self._too_much()
        self._check_disk(declared)
        return Body(
            receive,
            max_bytes=limit + _OVERHEAD_BYTES,
            too_large=too_large,
            boundary=_boundary(headers),
            max_parts=self._limits.max_predict_images,
            charge=self._charge(client),
        )

    def _small(self, declared: int, receive: Receive, scope: Scope, headers: Headers) -> Body:
        limit = self._limits.max_request_bytes
        too_large = "The request is too large."
        if declared > limit:
            raise BodyRefused(413, too_large)
        charge = self._charge(client_of(scope, headers), look=False)
        return Body(receive, max_bytes=limit, too_large=too_large, charge=charge)

    def _charge(self, client: str, *, look: bool = True) -> Callable[[int], None]:
        """Count a body's chunks.

        An upload begins only within the budget and may then be as large as an archive; uploads
        that began together stop where they are past both.
        """
        most = self._limits.max_client_bytes + self._limits.max_archive_bytes
        unseen = 0

        def charge(num_bytes: int) -> None:
            nonlocal unseen
            if client and self._budget.add(client, num_bytes) > most:
                raise self._too_much()
            unseen += num_bytes
            if look and unseen > _LOOK_BYTES:
                unseen = 0
                self._check_disk(0)

        return charge

    def _check_disk(self, num_bytes: int) -> None:
        self._temp_root.mkdir(parents=True, exist_ok=True)
        usage = shutil.disk_usage(self._temp_root)
        if usage.free - num_bytes < reserve(usage.total, self._limits):
            raise BodyRefused(
                507,
                "There is not enough room on this app's disk for the upload: "
                f"{usage.free / 1e9:.1f} GB are free, and "
                f"{reserve(usage.total, self._limits) / 1e9:.1f} GB are kept for the runs "
                "(LRLAB_MIN_UPLOAD_FREE_BYTES).",
            )

    def _too_much(self) -> BodyRefused:
        words = f"more than {self._limits.max_client_bytes / 1e6:,.0f} MB within ten minutes"
        return BodyRefused(429, f"You have sent {words}. Wait a little, then try again.")


def reserve(total_bytes: int, limits: Limits) -> int:
    """Bytes of a disk that uploads leave free.

    A Space's disk is all ours: a fifth. Elsewhere a disk is often nearly full and yet has room
    enough: what one run needs, and never more than a fifth.
    """
    fifth = total_bytes // 5
    return fifth if on_space() else min(fifth, limits.min_upload_free_bytes)


def client_of(scope: Scope, headers: Headers) -> str:
    """Who sends, for counting alone; empty for a visitor at this machine, who is not counted.

    On a Space every request comes from the platform's proxy, which names the visitor first in
    `X-Forwarded-For`. A visitor can put a false name there; then the disk's reserve still holds.
    """
    host = scope["client"][0] if scope.get("client") else ""
    if is_local(headers, host):
        return ""
    forwarded = headers.get("x-forwarded-for", "").split(",")[0].strip() if on_space() else ""
    return (forwarded or host or "unknown")[:64]


def address_of(scope: Scope, headers: Headers) -> str:
    """The sender's address where it tells one visitor from others; empty for this machine, and for
    all who come through a share link or a proxy on it."""
    address = client_of(scope, headers)
    with suppress(ValueError):
        return "" if ip_address(address).is_loopback else address
    return address


def _declared(headers: Headers) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _boundary(headers: Headers) -> bytes:
    """What stands between an upload's parts, read as gradio reads it: else others are counted.

    Raises:
        BodyRefused: the body does not come in parts.
    """
    kind, options = parse_options_header(headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise BodyRefused(
            400,
            "An upload must come as multipart/form-data with a boundary between its files. Reload "
            "the page and try again.",
        )
    return boundary
