"""`Joins`: the places that one address has in gradio's queue, where the page's events wait.

Not covered: who waits at this machine or comes through a share link or a proxy on it; their
address says nothing about who they are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from gradio.queueing import Queue
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ui.body import BodyRefused
from ui.intake import address_of
from ui.routes import is_join


class Joins:
    """Lets one address have half of the queue, as of the queue of runs."""

    def __init__(self, waiting: Callable[[], Iterable[HTTPConnection]], *, places: int) -> None:
        """Share out `places`; `waiting` tells the requests that hold one."""
        self._waiting = waiting
        self._most = places // 2
        self._arriving: Counter[str] = Counter()
        """Requests that are with gradio and not yet in its queue: it takes in many at once."""

    @contextmanager
    def place(self, scope: Scope) -> Iterator[None]:
        """Hold a place while gradio takes the request in, if it is one that joins the queue.

        Raises:
            BodyRefused: the address has half of the places already.
        """
        address = address_of(scope, Headers(scope=scope)) if is_join(scope) else ""
        if not address:
            yield
            return
        near = sum(address_of(each.scope, each.headers) == address for each in self._waiting())
        if near + self._arriving[address] >= self._most:
            raise BodyRefused(
                429,
                f"{self._most} clicks from your network are already waiting. Try again in a few "
                "seconds.",
            )
        self._arriving[address] += 1
        try:
            yield
        finally:
            self._arriving[address] -= 1
            self._arriving += Counter()  # forgets who has none


def waiting_in(queue: Queue) -> list[HTTPConnection]:
    """The requests whose events nobody works on yet: those that gradio counts against its limit."""
    queues = queue.event_queue_per_concurrency_id.values()
    return [event.request for each in queues for event in each.queue]
