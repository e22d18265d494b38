"""Cooperative stop: a generator of events is closed between two events when somebody asks."""

from collections.abc import Callable, Generator
from typing import TypeVar

from trainer.events import Event

T = TypeVar("T")


class StopRequested(Exception):  # noqa: N818 it is a request, not an error
    """Somebody asked for a stop; raised by `stoppable` once the wrapped generator is closed."""


def stoppable(
    events: Generator[Event, None, T], should_stop: Callable[[], bool]
) -> Generator[Event, None, T]:
    """Pass the events on and ask after each one.

    Raises:
        StopRequested: `should_stop` said so.
    """
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        yield event
        if should_stop():
            events.close()
            raise StopRequested
