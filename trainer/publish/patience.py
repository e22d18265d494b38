"""`Patience`: how long a publication waits for a Hub that does not answer, and its client.

huggingface_hub tries some requests again on its own, without a limit on the wait that the Hub asks
for, and has no time-out. Its client is replaced by one that counts what failing requests have cost
and gives up in words once that is too much. Meant for a process that does nothing else: the client
is the whole process's.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import httpx2
from huggingface_hub import errors, get_session, set_client_factory
from huggingface_hub.utils import parse_ratelimit_headers

from trainer.errors import HubError

TIMEOUT = httpx2.Timeout(20.0, connect=10.0)
"""How long one step of a request may hang; an upload may take longer as long as it goes on."""
RETRIED = (408, 429, 500, 502, 503, 504)
"""Status codes after which the same request may succeed."""
_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try, as huggingface_hub's own; the last one is kept."""

Answer = TypeVar("Answer")


class Patience:
    """Counts the seconds that failing requests have cost, each request for itself."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._spent = 0.0
        self._failed_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def failed(self, request: str, *, asked_seconds: float = 0.0, why: str) -> None:
        """A request failed, and the Hub asks to wait so long before the next try.

        Raises:
            HubError: there is no time left for another try.
        """
        now = time.monotonic()
        with self._lock:
            self._spent += now - self._failed_at.get(request, now)
            self._failed_at[request] = now
            if self._spent + asked_seconds <= self._limit:
                return
        if asked_seconds > self._limit:
            wait = f"It asks to wait {asked_seconds / 60:.0f} min"
        else:
            wait = f"It was asked again for {self._spent:.0f} s"
        raise HubError(
            f"The Hub does not answer as it should ({why}). {wait}. Everything is kept here: check "
            "the network and push again later."
        )

    def succeeded(self, request: str) -> None:
        """A request got an answer."""
        with self._lock:
            self._failed_at.pop(request, None)


class PatientClient(httpx2.Client):
    """A client with time-outs that reports failures to a `Patience`, and how much was uploaded."""

    def __init__(
        self, patience: Patience, on_sent: Callable[[int], None], hooks: Mapping[str, list[Any]]
    ) -> None:
        super().__init__(event_hooks=hooks, follow_redirects=True, timeout=TIMEOUT)
        self._patience = patience
        self._on_sent = on_sent

    def send(self, request: httpx2.Request, **options) -> httpx2.Response:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Send one request; every request of the process comes this way.

        Raises:
            HubError: out of patience.
        """
        name = f"{request.method} {request.url.copy_with(query=None)}"
        if request.method == "PUT" and isinstance(request.stream, httpx2.SyncByteStream):
            request.stream = _Counted(request.stream, self._on_sent)
        try:
            response = super().send(request, **options)
        except httpx2.TransportError as error:
            self._patience.failed(name, why=type(error).__name__)
            raise
        if response.status_code in RETRIED:
            asked = _asked_seconds(response)
            why = f"status {response.status_code}"
            self._patience.failed(name, asked_seconds=asked, why=why)
        elif response.status_code == 409 and request.url.path.endswith("/repos/create"):
            # huggingface_hub asks again at once and for ever where two are made at the same time.
            self._patience.failed(name, why="another repository is being made")
            time.sleep(1)
        else:
            self._patience.succeeded(name)
        return response


class _Counted(httpx2.SyncByteStream):
    """A request's body that tells how many bytes were handed to the network."""

    def __init__(self, stream: httpx2.SyncByteStream, on_sent: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_sent = on_sent

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield chunk
            self._on_sent(len(chunk))

    def close(self) -> None:
        self._stream.close()


def be_patient(patience: Patience, on_sent: Callable[[int], None] = lambda _: None) -> None:
    """Let this process reach the Hub through a `PatientClient` from now on.

    Args:
        patience: shared by all requests of one publication.
        on_sent: told the size of each piece of a file that was handed to the network, in bytes.
    """
    hooks = get_session().event_hooks  # huggingface_hub's own: they name it and each request
    set_client_factory(lambda: PatientClient(patience, on_sent, hooks))


def persist(call: Callable[[], Answer]) -> Answer:
    """Try a call again, with growing pauses, until it succeeds or the client gives up.

    What the Hub refuses for good is raised at once.

    Raises:
        HubError: out of patience.
    """
    tries = 0
    while True:
        try:
            return call()
        except (httpx2.TransportError, errors.HfHubHTTPError, RuntimeError) as error:
            # huggingface_hub wraps what the upload of a file raises in a RuntimeError.
            cause = error.__cause__ if isinstance(error, RuntimeError) else error
            if isinstance(cause, HubError):
                raise cause from error
            if not _may_pass(cause):
                raise
            asked = _asked_seconds(getattr(cause, "response", None))
            time.sleep(max(asked, _PAUSES[min(tries, len(_PAUSES) - 1)]))
            tries += 1


def _may_pass(error: BaseException | None) -> bool:
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code in RETRIED
    return isinstance(error, httpx2.TransportError)


def _asked_seconds(response: httpx2.Response | None) -> float:
    """How long the Hub asks to wait, by `RateLimit` or `Retry-After` in seconds; 0: not said."""
    if response is None:
        return 0.0
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:  # a date: rare, and the growing pauses do as well
        return 0.0
