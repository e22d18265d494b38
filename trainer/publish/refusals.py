"""What the Hub refuses and what the network breaks, as a `HubError` in words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.errors import HubError, UserError


@contextmanager
def refusals(repo_id: str, token: str) -> Iterator[None]:
    """Turn the errors of huggingface_hub and of the network into words without the token.

    Raises:
        HubError: in place of any of them; a UserError stays as it is.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, httpx2.HTTPError, errors.FileMetadataError) as error:
        cause = underlying(error)
        if isinstance(cause, UserError):
            raise cause from error
        raise HubError(in_words(cause, repo_id, token)) from error


def underlying(error: BaseException) -> BaseException:
    """What went wrong, where huggingface_hub wraps it.

    The upload of a file fails with a RuntimeError, and the question before a download with a
    LocalEntryNotFoundError, which says that the file is not in a cache either.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    wrapped = isinstance(error, (RuntimeError, LocalEntryNotFoundError))
    return (error.__cause__ if wrapped else None) or error


def in_words(error: BaseException, repo_id: str, token: str) -> str:
    """What happened, and what to do next."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        if status in _REFUSALS:
            return f"The Hub refused {repo_id} with status {status}: {_REFUSALS[status]}"
        said = (error.server_message or "").replace(token, "…")[:300]
        more = f" It said: {said}" if said else ""
        return f"The Hub refused {repo_id} with status {status}. Try again in a few minutes.{more}"
    if isinstance(error, HFValidationError):
        return f"{repo_id!r} is not an id that the Hub takes. Choose another name."
    if isinstance(error, ValueError):
        said = " ".join(str(error).replace(token, "…").split())[:300]
        return f"The Hub does not take these files: {said}"
    if isinstance(error, OSError) and (
        error.errno in _NO_ROOM or (error.strerror and error.filename)
    ):
        return f"A file cannot be read or written ({error.strerror}). Make room and push again."
    return (
        f"The connection to the Hub broke off ({type(error).__name__}). Check the network and push "
        "again: a commit is there whole or not at all."
    )


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors of a write, which name no file."""
_REFUSALS = {
    400: "it does not take one of the files or settings. Look at the card's first lines.",
    401: "it does not know the login, or the login has expired. Sign in again (on your own "
    "machine with `hf auth login`) and push again.",
    403: "this login may not write there. Use your own user name or an organization that you may "
    "write to as owner, and a token with the right to write.",
    404: "there is no such owner or repository that this login may see. Check the spelling.",
    409: "another change to it is going on. Push again in a minute.",
    412: "somebody changed it at the same moment. Look at its page, and push again.",
    413: "the files are larger than it takes.",
    429: "too many requests. Push again in a few minutes.",
}
"""What the Hub's status codes mean for a push, and what to do."""
