"""`Confirmations`: what a visitor was shown before they publish, each to be confirmed once.

The server keeps what was asked for and hands out a random word for it; the click that publishes
brings the word back. A page of somebody else cannot read the word, and what is published is what
was shown, whatever the controls hold by then.
"""

import secrets
import threading
import time
from collections import OrderedDict

from trainer.errors import HubError
from trainer.jobs import Job

LIFETIME_SECONDS = 900.0
_MAX_KEPT = 500


class Confirmations:
    """Jobs by their word; everything is behind `self._lock`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str, Job]] = OrderedDict()

    def issue(self, visitor: str, job: Job) -> str:
        """A word for this job; it is good for a quarter of an hour."""
        word = secrets.token_urlsafe(24)
        with self._lock:
            self._kept[word] = (time.monotonic() + LIFETIME_SECONDS, visitor, job)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return word

    def redeem(self, visitor: str, word: object) -> Job:
        """The job of a word, which is used up.

        Raises:
            HubError: there is no such word, it is another visitor's, or it is too old.
        """
        with self._lock:
            until, owner, job = self._kept.pop(str(word), (0.0, "", None))
        if job is None or owner != visitor or until < time.monotonic():
            raise HubError("Check the name and the login again, then publish within 15 minutes.")
        return job
