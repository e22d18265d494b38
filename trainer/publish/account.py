"""`Account`: who publishes: the login of this machine or a visitor's token, and what it may do.

A token goes with each call to the Hub; it is never stored, logged or put into a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_WRITERS = ("write", "contributor", "admin")
"""Roles in an organization that may make repositories."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What the Hub says of a token."""

    name: str
    """The user's name, which is also their namespace."""
    orgs: tuple[str, ...]
    """Organizations that this user may make repositories in."""
    read_only: bool
    """Whether the token is one that may only read."""


def account_of(api: "HfApi", token: str) -> Account:
    """Ask the Hub whose token this is.

    Raises:
        HfHubHTTPError: it does not know it (401), or refuses.
    """
    answer = api.whoami(token)
    if answer.get("type") != "user":
        raise HubError(
            "This login belongs to an organization and not to a person. Log in with a personal "
            "token."
        )
    orgs = tuple(
        str(org["name"]) for org in answer.get("orgs", ()) if org.get("roleInOrg") in _WRITERS
    )
    return Account(name=str(answer["name"]), orgs=orgs, read_only=_role(answer) == "read")


def _role(answer: Mapping[str, Any]) -> str:
    """`read`, `write` or `fineGrained`; empty for a visitor's own sign-in, which has no role."""
    auth = answer.get("auth")
    token = auth.get("accessToken") if isinstance(auth, dict) else None
    return str(token.get("role", "")) if isinstance(token, dict) else ""


def machine_token() -> str:
    """The login of this machine (`hf auth login`, or `$HF_TOKEN`).

    Raises:
        HubError: there is none, or it cannot be one.
    """
    from huggingface_hub import errors, get_token

    try:
        token = get_token()
    except (OSError, errors.OIDCError) as error:
        raise HubError(
            f"The login of this machine cannot be read ({type(error).__name__}). Log in again with "
            "`hf auth login`."
        ) from error
    if not token:
        raise HubError(
            "Nobody is logged in to the Hugging Face Hub on this machine. Log in with `hf auth "
            "login` and a token that may write, and push again."
        )
    return checked_token(token)


def checked_token(token: str) -> str:
    """The token, if it can be one.

    Raises:
        HubError: it holds characters that no token has; an HTTP client would quote it in its error.
    """
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise HubError(
        "The login of this machine is no token: it holds characters that a token cannot have. "
        "Log in again with `hf auth login`."
    )
