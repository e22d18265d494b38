"""The way to the Hugging Face Hub: its address, whether it answers, ids, and errors in words.

Everything here is anonymous: no token is ever sent, whatever the environment or the disk holds,
because the ids come from anybody. huggingface_hub is imported inside functions: it costs about
half a second, and the app's first page and `--help` do without it.

Not covered: writing; a push brings the visitor's own token.
"""

import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from trainer.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB_PREFIX = "hf-hub:"
"""timm's notation for a model on the Hub: `hf-hub:owner/name`."""

PROBE_SECONDS = 3.0
"""Longest wait for a sign of life. Without a probe an unreachable Hub costs 47 s of retries."""

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_ID = re.compile(rf"(?P<repo_id>{_NAME}/{_NAME})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")


@contextmanager
def card_errors(what: str) -> Iterator[None]:
    """Turn what huggingface_hub raises on a card of an unexpected shape into a `HubError`.

    Args:
        what: whose card: `dataset 'owner/name'`.
    """
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, HubError):
            raise
        raise HubError(
            f"The card of the {what} is not of the form that the Hub describes "
            f"({type(error).__name__}), so it cannot be read. Tell its owner, or take another one."
        ) from error


OnProgress = Callable[[int, int], None]
"""Is told of a download: bytes so far, bytes in all. An exception from it ends the download."""


def untold(_done: int, _total: int) -> None:
    """The `OnProgress` of whoever does not want to know."""


class HubName(NamedTuple):
    """A repository on the Hub and, where one was asked for, its branch, tag or commit."""

    repo_id: str
    revision: str | None


def parse_hub_name(text: str) -> HubName | None:
    """Take `owner/name` or `owner/name@revision` apart; None where it is neither.

    ASCII letters, digits and `. _ -` alone, so that look-alike letters, spaces and paths
    (`../x`, `/etc`) are no ids.
    """
    match = _ID.fullmatch(text)
    if match is None or "--" in match["repo_id"] or ".." in text or "//" in text:
        return None
    return HubName(match["repo_id"], match["revision"])


def endpoint() -> str:
    """The Hub's address: `$HF_ENDPOINT`, else huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def offline() -> bool:
    """Whether the environment forbids the network (`HF_HUB_OFFLINE=1`)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def reachable(timeout_seconds: float = 2.0) -> bool:
    """Tell whether the Hub answers at all, in at most `timeout_seconds`; kept for 10 seconds."""
    if offline():
        return False
    return _answers(endpoint(), timeout_seconds, int(time.monotonic() // 10))


def connect() -> "HfApi":
    """An anonymous client of a Hub that has just been seen to answer.

    Raises:
        HubError: offline is asked for, or the Hub does not answer.
    """
    asked = client()
    if not reachable(PROBE_SECONDS):
        raise HubError(
            f"The Hugging Face Hub ({endpoint()}) does not answer. Check the network and try "
            "again; folders, zips and the built-in digits work without it."
        )
    return asked


def client() -> "HfApi":
    """An anonymous client of the Hub, whether it answers or not.

    Raises:
        HubError: offline is asked for.
    """
    if offline():
        raise HubError(
            "HF_HUB_OFFLINE is set, so the Hugging Face Hub is not asked. Unset it, or use a "
            "folder or a zip on this machine."
        )
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), token=False)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn the Hub's refusals and network failures into a `HubError`.

    Args:
        what: what was asked for, in words: `dataset 'owner/name'`.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise _gated(what) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"The {what} is not on the Hub, or it is private. Check the spelling; only public "
            "ones can be used."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"The {what} has no such revision. Give a branch, a tag or a commit that its page "
            "lists."
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        advice = {401: "it is not public", 403: "it is not public", 429: "too many requests"}
        reason = advice.get(status, "try again in a few minutes")
        raise HubError(f"The Hub refused the {what} with status {status}: {reason}.") from error
    except (
        httpx2.HTTPError,
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
        errors.FileMetadataError,
    ) as error:
        raise HubError(
            f"The connection to the Hub broke off while it sent the {what} "
            f"({type(error).__name__}). Check the network and try again."
        ) from error
    except OSError as error:
        raise HubError(
            f"The {what} could not be stored on this machine ({error.strerror or error})."
        ) from error


def refuse_closed(info: Any, what: str) -> None:
    """Say in words that a dataset is gated, private or disabled before a file is asked for.

    Args:
        info: huggingface_hub's DatasetInfo or ModelInfo.
        what: what was asked for, in words: `dataset 'owner/name'`.

    Raises:
        HubError: it is.
    """
    if info.gated:
        raise _gated(what)
    if info.private or info.disabled:
        state = "private" if info.private else "disabled"
        raise HubError(f"The {what} is {state}. Only public ones can be used.")


def _gated(what: str) -> HubError:
    return HubError(
        f"The {what} is gated: its owner asks people to sign in and accept terms, and this app "
        "reads it without a token. Choose a public one."
    )


def quiet_progress(arrived: Callable[[int], None] = lambda _bytes: None) -> type:
    """huggingface_hub's progress bar as a class that draws nothing: a run has its own.

    Args:
        arrived: is told of each part of a file how many bytes it has, in the thread that fetches
            it; an exception from it ends that download.
    """
    from huggingface_hub.utils import tqdm

    class Quiet(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"disable": True}))

        def update(self, n: float | None = 1) -> bool | None:
            arrived(int(n or 0))
            return super().update(n)

    return Quiet


def summed(num_bytes: int, on_progress: OnProgress) -> Callable[[int], None]:
    """What tells `on_progress` of (bytes so far, bytes in all) when it is told of each part's."""
    lock, so_far = threading.Lock(), 0

    def arrived(part: int) -> None:
        nonlocal so_far
        with lock:
            so_far += part
        on_progress(min(so_far, num_bytes), num_bytes)

    return arrived


@lru_cache(maxsize=4)
def _answers(address: str, timeout_seconds: float, _bucket: int) -> bool:
    """Ask once; `_bucket` is the time in steps, so that an answer is forgotten after a while.

    In a thread, because looking up a name can outlast any timeout of the socket.
    """
    answers: list[bool] = []

    def ask() -> None:
        answers.append(_ask(address, timeout_seconds))

    thread = threading.Thread(target=ask, daemon=True, name="hub-probe")
    thread.start()
    thread.join(timeout_seconds)
    return bool(answers and answers[0])


def _ask(address: str, timeout_seconds: float) -> bool:
    if not address.startswith(("https://", "http://")):
        return False
    request = urllib.request.Request(f"{address}/api/whoami-v2", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds):
            return True
    except urllib.error.HTTPError as error:
        # Any answer is a sign of life: without a token the Hub says 401 here.
        error.close()
        return True
    except (OSError, ValueError):
        return False
