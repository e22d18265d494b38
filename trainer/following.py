"""`with_progress`: blocking work in a thread, as a generator of Progress events."""

import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event
from typing import TypeVar

from trainer.events import Progress
from trainer.stopping import StopRequested

Answer = TypeVar("Answer")
Tell = Callable[[int, int], None]
"""Told how much is done, of how much."""
_SILENT_SECONDS = 1.0


def with_progress(text: str, work: Callable[[Tell], Answer]) -> Generator[Progress, None, Answer]:
    """Do work that tells how far it is.

    Where the generator is closed, the work ends the next time it tells something.

    Args:
        text: what is done, for people.
        work: called in a thread with what it tells its progress to.

    Yields:
        Progress, at most five times a second, and the last one again where nothing is told for a
        while, so that whoever reads can ask for a stop. The work's answer is returned.
    """
    told: SimpleQueue[tuple[int, int]] = SimpleQueue()
    closed = Event()

    def tell(done: int, total: int) -> None:
        if closed.is_set():
            raise StopRequested
        told.put((done, total))

    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(work, tell)
        answer.add_done_callback(lambda _: told.put((0, 0)))  # wakes the loop below
        shown, shown_at = Progress(text=text, done=0, total=1), began
        try:
            while not answer.done():
                done, total = _latest(told)
                now = time.perf_counter()
                if done:
                    left = (now - began) / done * (total - done)
                    shown = Progress(text=text, done=done, total=total, seconds_left=left)
                if done or now - shown_at > _SILENT_SECONDS:
                    shown_at = now
                    yield shown
        finally:
            closed.set()
    return answer.result()


def _latest(told: "SimpleQueue[tuple[int, int]]") -> tuple[int, int]:
    """The newest of what was told within a fifth of a second; zeros: nothing."""
    latest = (0, 0)
    try:
        latest = told.get(timeout=0.2)
        while True:
            latest = max(latest, told.get_nowait())
    except Empty:
        return latest
