"""`Publication`: one publication from the first question to the last: client, login, patience."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import HubError
from trainer.events import Preflight, Progress, Pushed
from trainer.following import with_progress
from trainer.hub_client import client
from trainer.limits import Limits
from trainer.publish.altered import altered_files
from trainer.publish.card_check import check_card
from trainer.publish.commit import Committed, publish_files
from trainer.publish.patience import Patience, be_patient, persist
from trainer.publish.preflight import Wish, preflight
from trainer.publish.refusals import refusals
from trainer.publish.target import Target

if TYPE_CHECKING:
    from huggingface_hub import HfApi


QUESTION_SECONDS = 10
"""Time that the questions before a publication may lose to a Hub that does not answer."""


class Publication:
    """One publication: the client, the login, and how patient it still is."""

    def __init__(self, wish: Wish, token: str) -> None:
        """Get ready to ask the Hub.

        Raises:
            HubError: the environment forbids the network.
        """
        self.wish = wish
        self.token = token
        self.api: HfApi = client()
        self._longest = Limits.from_env().max_publish_wait_seconds
        self._patience = Patience(min(self._longest, QUESTION_SECONDS))  # until something is sent
        be_patient(self._patience)

    def asked(self, card: Callable[[str], str] | None = None) -> Preflight:
        """Ask everything that would make it fail, of the card too as far as it is known; the answer
        holds what was found."""
        return preflight(self.api, self.wish, self.token, card)

    def checked(self) -> Preflight:
        """Ask everything that would make it fail.

        Raises:
            HubError: the first problem that was found.
        """
        found = self.asked()
        for level, words in found.findings:
            if level != "ok":
                raise HubError(words)
        return found

    def check_card(self, target: Target, text: str) -> None:
        """Let the Hub judge a card before anything is sent.

        Raises:
            HubError: it does not take it.
        """
        with refusals(target.repo_id, self.token):
            persist(lambda: check_card(text, target.kind))

    def target(self, found: Preflight) -> Target:
        """The repository that the preflight named."""
        return Target(repo_id=found.repo_id, kind=self.wish.kind, public=self.wish.public)

    def send(
        self, target: Target, files: Mapping[str, Path], message: str
    ) -> Generator[Progress, None, Committed]:
        """Put the files on the Hub in one commit; yields how much was sent.

        Raises:
            HubError: it does not take them.
        """
        total = sum(path.stat().st_size for path in files.values())

        def work(tell: Callable[[int, int], None]) -> Committed:
            sent = [0]

            def on_sent(size: int) -> None:
                sent[0] += size
                tell(min(sent[0], total), total)

            self._patience.allow(self._longest)
            be_patient(self._patience, on_sent)
            with refusals(target.repo_id, self.token):
                return publish_files(self.api, target, files, self.token, message=message)

        return (yield from with_progress(f"Sending {len(files)} files", work))

    def altered(self, target: Target, done: Committed, files: Mapping[str, Path]) -> str:
        """Which files the Hub does not hold as they were sent, in words; empty if none."""
        with self.afterwards(target):
            return altered_files(self.api, target, done.sha, files, self.token)

    @contextmanager
    def afterwards(self, target: Target) -> Iterator[None]:
        """What goes wrong now leaves the files on the Hub, and the words say so.

        Raises:
            HubError: in place of what went wrong.
        """
        try:
            with refusals(target.repo_id, self.token):
                yield
        except HubError as error:
            raise HubError(
                f"The files are on the Hub ({self.api.endpoint}/{target.path}), but loading them "
                f"back did not work, so nothing is verified. {error}"
            ) from error

    def pushed(self, target: Target, done: Committed, differs: str, num_compared: int) -> Pushed:
        """The event that says how it ended."""
        return Pushed(
            url=f"{self.api.endpoint}/{target.path}",
            verified=not differs,
            kind=target.kind,
            commit=done.sha,
            changed=done.new,
            differs=differs,
            num_compared=num_compared,
        )
