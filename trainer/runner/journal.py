"""The journal of a run, `events.jsonl`: it only grows, a line an event.

Whoever follows reads from an offset and ignores a last line that is not complete yet. A line that
a full disk or a power cut has torn costs itself alone: the next one begins on a line of its own.
"""

import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from trainer.disk import is_full, patiently
from trainer.events import Event, Step, from_json, to_json

NAME = "events.jsonl"
MOST_STEPS = 2_000
"""Training steps of a run that are written, evenly spread, besides one every `STEP_SECONDS`: a
chart draws fewer, and a page that is opened reads them all."""
STEP_SECONDS = 5.0
MOST_WAITING = 100_000
"""Events that are kept in memory while the disk is full; beyond, the oldest are dropped."""


class Journal:
    """The writer's side: what cannot be written for lack of room waits in memory, in order."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._waiting: deque[Event] = deque(maxlen=MOST_WAITING)
        self._step_at = -math.inf

    def add(self, event: Event) -> None:
        """Write an event, and those before it that could not be written; of very many training
        steps, some.

        Raises:
            OSError: the journal cannot be written for another reason than lack of room.
        """
        if isinstance(event, Step):
            spread = event.step % max(1, event.total_steps // MOST_STEPS) == 0
            if not spread and self._clock() - self._step_at < STEP_SECONDS:
                return
            self._step_at = self._clock()
        self._waiting.append(event)
        try:
            self._write()
        except OSError as error:
            if not is_full(error):
                raise

    def settle(self) -> None:
        """Wait until everything is written.

        Raises:
            OSError: there was no room for `PATIENCE_SECONDS`.
        """
        patiently(self._write)

    def _write(self) -> None:
        while self._waiting:
            append_event(self._folder, self._waiting[0])
            self._waiting.popleft()


def append_event(folder: Path, event: Event) -> None:
    """Add one event to the journal, in one write, after the end of a line.

    Raises:
        OSError: it is not in the journal, or not whole.
    """
    line = (to_json(event) + "\n").encode()
    handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        while line:  # a disk that is nearly full takes a part, and then says so
            line = line[os.write(handle, line) :]
    finally:
        os.close(handle)


def append_once(folder: Path, event: Event) -> None:
    """Add an event unless it is the last one already: of a change that is tried again until the
    disk takes all of it.

    Raises:
        OSError: as `append_event`.
    """
    if last_events(folder)[-1:] != [event]:
        append_event(folder, event)


def read_events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The complete events from a byte offset on, and the offset to go on from.

    A damaged line is passed over, so that one bad write does not hide a run.
    """
    try:
        with (folder / NAME).open("rb") as file:
            file.seek(offset)
            text = file.read()
    except OSError:
        return [], offset
    complete = text[: text.rfind(b"\n") + 1]
    events: list[Event] = []
    for line in complete.split(b"\n"):
        try:
            events.append(from_json(line.decode()))
        except ValueError:
            continue
    return events, offset + len(complete)


def last_events(folder: Path, size: int = 16_384) -> list[Event]:
    """The events within the journal's last bytes: where a run stands, without reading it whole."""
    try:
        end = (folder / NAME).stat().st_size
    except OSError:
        return []
    return read_events(folder, max(0, end - size))[0]
