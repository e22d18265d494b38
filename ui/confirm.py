"""`Confirmations`: what a visitor was shown before they publish, each to be confirmed once.

The server keeps what was asked for and hands out a random word for it; the click that publishes
brings the word back. A page of somebody else cannot read the word, and what is published is what
was shown, whatever the controls hold by then.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainer.errors import HubError
from trainer.jobs import Job

LIFETIME_SECONDS = 900.0
_MAX_OF_ONE = 5
_MAX_KEPT = 5_000


@dataclass(frozen=True, slots=True)
class _Shown:
    word: str
    until: float
    """On the monotonic clock, in seconds."""
    job: Job


class Confirmations:
    """What was shown, by the visitor and the run that asked the Hub; behind `self._lock`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], _Shown] = OrderedDict()

    def issue(self, visitor: str, run_id: str, job: Job) -> str:
        """The word for what this run asked for; it is good for a quarter of an hour.

        One run has one word, however often it is shown.
        """
        key = (visitor, run_id)
        with self._lock:
            shown = self._kept.get(key)
            if shown is None or shown.job != job or shown.until < time.monotonic():
                until = time.monotonic() + LIFETIME_SECONDS
                self._kept[key] = shown = _Shown(secrets.token_urlsafe(24), until, job)
                self._forget(visitor, run_id)
        return shown.word

    def waits(self, visitor: str, run_id: str) -> bool:
        """Whether what this run asked for can be confirmed now."""
        with self._lock:
            shown = self._kept.get((visitor, run_id))
        return shown is not None and shown.until >= time.monotonic()

    @contextmanager
    def redeemed(self, visitor: str, word: object) -> Iterator[Job]:
        """The job of a word; it is used up, unless the block fails.

        Raises:
            HubError: there is no such word, it is another visitor's, or it is too old.
        """
        with self._lock:
            own = (key for key in self._kept if key[0] == visitor)
            key = next((key for key in own if self._kept[key].word == str(word)), None)
            shown = self._kept.pop(key) if key else None
        if key is None or shown is None or shown.until < time.monotonic():
            raise HubError("Check the name and the login again, then publish within 15 minutes.")
        try:
            yield shown.job
        except BaseException:
            with self._lock:
                self._kept.setdefault(key, shown)
            raise

    def _forget(self, visitor: str, run_id: str) -> None:
        """Drop the oldest of this visitor, then of this run, whoever says that they look at it:
        whose own loss it is, before those of all."""
        for place, name in enumerate((visitor, run_id)):
            same = [key for key in self._kept if key[place] == name]
            for key in same[:-_MAX_OF_ONE]:
                del self._kept[key]
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
