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
    granted: frozenset[tuple[str, str]] | None = None
    """What a fine-grained token may write to: `user` or `org` and its name, or `model`, `space` or
    `dataset` and its id. None: whatever its user may."""


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
    access = _access(answer)
    role = access.get("role")  # `read`, `write` or `fineGrained`; a visitor's own sign-in has none
    return Account(
        name=str(answer["name"]),
        orgs=orgs,
        read_only=role == "read",
        granted=_granted(access) if role == "fineGrained" else None,
    )


def _access(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    auth = answer.get("auth")
    access = auth.get("accessToken") if isinstance(auth, dict) else None
    return access if isinstance(access, dict) else {}


def _granted(access: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    fine = access.get("fineGrained")
    scoped = fine.get("scoped") if isinstance(fine, dict) else None
    return frozenset(
        (str(each["entity"].get("type")), str(each["entity"].get("name")))
        for each in scoped or ()
        if isinstance(each.get("entity"), dict) and "repo.write" in each.get("permissions", ())
    )


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
    try:
        return checked_token(token)
    except HubError as error:
        raise HubError(f"{error} On this machine that is done with `hf auth login`.") from error


def checked_token(token: str) -> str:
    """The token, if it can be one.

    Raises:
        HubError: it holds characters that no token has; an HTTP client would quote it in its error.
    """
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise HubError(
        "This login is not a valid token: it contains characters that no token has. Sign in again."
    )
