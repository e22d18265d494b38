"""`Patience`: how long a publication waits for a Hub that does not answer, and its client.

huggingface_hub tries some requests again on its own, without a limit on the wait that the Hub asks
for, and waits up to a minute for one answer. Its client is replaced by one that counts what failing
requests and the waits after them have cost, asks no sooner than the Hub says, and gives up in words
once that is too much. Meant for a process that does nothing else, as the client is all of its.

Not covered: a Hub that sends its answers byte by byte, and names whose look-up hangs.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx2
from huggingface_hub import errors, get_session, set_client_factory
from huggingface_hub.utils import parse_ratelimit_headers

from trainer.errors import HubError
from trainer.figures import duration
from trainer.publish.refusals import underlying

RETRIED = (408, 429, 500, 502, 503, 504)
"""Status codes after which the same request may succeed."""
_ANSWER_SECONDS, _CONNECT_SECONDS = 20.0, 10.0
"""How long one step of a request may hang; an upload may take longer as long as it goes on."""
_LEAST_SECONDS = 5.0
"""The same where hardly any time is left to lose: less would cut off a Hub that is only slow."""
_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before the next try, as huggingface_hub's own; the last one is kept."""
_MOMENT_SECONDS = 2.0

Answer = TypeVar("Answer")


class Patience:
    """Counts the seconds that failing requests have cost, whichever they were.

    A failure costs the time from its request's last sign of life to the beginning of the next
    request. What several threads lose at the same time counts once.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._lost: list[tuple[float, float]] = []
        self._failed_at: float | None = None
        """Since when nothing has been tried again."""
        self._next_at = 0.0
        """When the Hub wants to be asked again."""
        self._why = ""
        self._lock = threading.Lock()

    def allow(self, limit_seconds: float) -> None:
        """From now on so much may be lost, with what is lost already."""
        self._limit = limit_seconds

    def begin(self) -> float:
        """Begin a request, no sooner than the Hub has asked for; returns the seconds left to lose.

        Raises:
            HubError: none are left.
        """
        if (wait := self._next_at - time.monotonic()) > 0:
            time.sleep(wait)
        with self._lock:
            if self._failed_at is not None:
                self._lost.append((self._failed_at, time.monotonic()))
                self._failed_at = None
            left = self._limit - _seconds_in(self._lost)
        if left < 0:
            raise self._out()
        return left

    def failed(self, since: float, *, asked_seconds: float = 0.0, why: str) -> None:
        """A request failed that gave its last sign of life then, and the Hub asks for a wait.

        Raises:
            HubError: there is no time left for another try.
        """
        now = time.monotonic()
        with self._lock:
            self._lost.append((since, now))
            self._failed_at = self._failed_at or now
            self._why = why
            # huggingface_hub waits a second more than it is asked to.
            next_lost = _seconds_in(self._lost) + asked_seconds + _PAUSES[0]
            if next_lost <= self._limit:
                self._next_at = max(self._next_at, now + asked_seconds)
                return
        raise self._out(asked_seconds)

    def _out(self, asked_seconds: float = 0.0) -> HubError:
        if asked_seconds:
            wait = f"It asks to wait {duration(asked_seconds)}"
        else:
            wait = f"Waiting for it has taken {duration(_seconds_in(self._lost))}"
        return HubError(
            f"The Hub does not answer as it should ({self._why}). {wait}. Everything is kept here: "
            "check the network and push again later."
        )


def _seconds_in(spans: Iterable[tuple[float, float]]) -> float:
    """How long some spans are together; where they overlap, that counts once."""
    total, reached = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


class PatientClient(httpx2.Client):
    """A client with time-outs that reports failures to a `Patience`, and how much was uploaded."""

    def __init__(
        self, patience: Patience, on_sent: Callable[[int], None], hooks: Mapping[str, list[Any]]
    ) -> None:
        super().__init__(event_hooks=hooks, follow_redirects=True)
        self._patience = patience
        self._on_sent = on_sent

    def send(self, request: httpx2.Request, **options) -> httpx2.Response:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Send one request; every request of the process comes this way.

        Raises:
            HubError: out of patience.
        """
        timeout = _timeout(self._patience.begin())
        request.extensions = {**request.extensions, "timeout": timeout.as_dict()}
        assert isinstance(request.stream, httpx2.SyncByteStream)  # as in every client without async
        tell = self._on_sent if request.method == "PUT" else _untold
        request.stream = sent = _Sent(request.stream, tell)
        try:
            response = super().send(request, **options)
        except httpx2.TransportError as error:
            self._patience.failed(sent.moved_at, why=type(error).__name__)
            raise
        except RuntimeError as error:
            if not self.is_closed:
                raise
            # huggingface_hub closes it under every thread when one of them gets no connection.
            raise httpx2.NetworkError("the client was closed", request=request) from error
        self._judge(response, sent.moved_at)
        if options.get("stream"):
            assert isinstance(response.stream, httpx2.SyncByteStream)
            response.stream = _Received(response.stream, self._patience)
        return response

    def _judge(self, response: httpx2.Response, since: float) -> None:
        """Report an answer that is none."""
        if response.status_code in RETRIED:
            asked, why = _asked_seconds(response), f"status {response.status_code}"
            self._patience.failed(since, asked_seconds=asked, why=why)
        elif response.status_code == 409 and response.request.url.path.endswith("/repos/create"):
            # huggingface_hub asks again at once and for ever where two are made at the same time.
            why = "another repository is being made"
            self._patience.failed(since, asked_seconds=1, why=why)


def _untold(_size: int) -> None:
    """What is no upload counts for nothing."""


def _timeout(left: float) -> httpx2.Timeout:
    """What one step of a request may take where so many seconds may be lost."""
    most = max(_LEAST_SECONDS, left)
    return httpx2.Timeout(min(_ANSWER_SECONDS, most), connect=min(_CONNECT_SECONDS, most))


class _Sent(httpx2.SyncByteStream):
    """A request's body that tells how many bytes were handed to the network, and knows when."""

    def __init__(self, stream: httpx2.SyncByteStream, on_sent: Callable[[int], None]) -> None:
        self._stream = stream
        self._on_sent = on_sent
        self.moved_at = time.monotonic()
        """When it last moved, or when it was to begin."""

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield chunk
            self.moved_at = time.monotonic()
            self._on_sent(len(chunk))

    def close(self) -> None:
        self._stream.close()


class _Received(httpx2.SyncByteStream):
    """An answer's body that reports to a `Patience` where it breaks off."""

    def __init__(self, stream: httpx2.SyncByteStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def __iter__(self) -> Iterator[bytes]:
        moved_at = time.monotonic()
        try:
            for chunk in self._stream:
                yield chunk
                moved_at = time.monotonic()
        except httpx2.TransportError as error:
            self._patience.failed(moved_at, why=type(error).__name__)
            raise

    def close(self) -> None:
        self._stream.close()


def be_patient(patience: Patience, on_sent: Callable[[int], None] = _untold) -> None:
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
        except (
            *(httpx2.TransportError, errors.HfHubHTTPError),
            *(RuntimeError, errors.LocalEntryNotFoundError),
        ) as error:
            cause = underlying(error)
            if isinstance(cause, HubError):
                raise cause from error
            if not isinstance(cause, httpx2.TransportError) and _status(cause) not in RETRIED:
                raise
            time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1


def once_more(call: Callable[[], Answer], *, after: tuple[int, ...]) -> Answer:
    """`persist`; where the Hub refuses with one of these status codes, again after a moment.

    Raises:
        HubError: out of patience.
    """
    try:
        return persist(call)
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        if _status(underlying(error)) not in after:
            raise
    time.sleep(_MOMENT_SECONDS)
    return persist(call)


def _status(error: BaseException) -> int:
    """The Hub's status code; 0: it did not answer."""
    return error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0


def _asked_seconds(response: httpx2.Response) -> float:
    """How long the Hub asks to wait, by `RateLimit` or `Retry-After`; 0: not said."""
    limit = parse_ratelimit_headers(response.headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    said = response.headers.get("retry-after", "0")
    try:
        return max(0.0, float(said))
    except ValueError:
        return _seconds_until(said)


def _seconds_until(date: str) -> float:
    """From now to a date as HTTP writes it; 0 where it is none."""
    try:
        then = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return max(0.0, (then - datetime.now(then.tzinfo or UTC)).total_seconds())
