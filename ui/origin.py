"""Where a request comes from: this app's own page, another website, or this very machine.

A browser adds `Origin` to every POST and no script can change it, so it tells a page of ours from
a stranger's. Programs send what they like: none of this proves who somebody is.
"""

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
SHARE_NAMES = (".gradio.live",)
"""Where gradio's share links arrive; a name that begins with a dot stands for all below it."""

_FORWARDED = ("forwarded", "via", "x-real-ip")


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of this very app sent the request: `Origin` is there and is this host.

    Strict, for what publishes or destroys; a program without an `Origin` is turned away too.
    """
    lower = _lower(headers)
    return bool(lower.get("origin")) and not is_foreign(lower)


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another website sent the request.

    A request without `Origin` is not foreign: no browser sends a POST without one.
    """
    lower = _lower(headers)
    if lower.get("sec-fetch-site") == "cross-site":
        return True
    origin = lower.get("origin")
    if origin is None:
        return False
    scheme, place = _place_of(origin)
    own = {_without_port(host, scheme) for host in (lower.get("host", ""), *own_hosts())}
    return not place or place not in own


def is_local(headers: Mapping[str, str], client_host: str | None) -> bool:
    """Whether the visitor sits at this machine, so that what is logged in here is theirs.

    The client is a loopback address, the page was opened under a loopback name, and nothing says
    that a proxy or a tunnel stands between: a share link's requests come from loopback as well,
    but under the link's name. Whoever named a proxy of theirs (`LRLAB_HOSTS`) opened the app to
    others: a proxy may rewrite `Host` and say nothing of itself.
    """
    lower = _lower(headers)
    if own_hosts() or any(name in _FORWARDED or name.startswith("x-forwarded-") for name in lower):
        return False
    origin = _place_of(lower["origin"])[1] if "origin" in lower else "localhost"
    names = (client_host or "", host_name(lower.get("host", "")), host_name(origin))
    return all(map(is_loopback, names))


def is_loopback(name: str) -> bool:
    """Whether a host name or an address means this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a `Host` header, in lower case, without port and brackets; empty if none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_named(host: str, names: tuple[str, ...]) -> bool:
    """Whether a `Host` header holds one of the names, or one below a name with a leading dot."""
    name = host_name(host)
    return any(name.endswith(each) if each.startswith(".") else name == each for each in names)


def on_space() -> bool:
    """Whether the app runs as a Space of the Hugging Face Hub."""
    return "SPACE_ID" in os.environ


def own_hosts() -> tuple[str, ...]:
    """The names under which this app may be reached besides the `Host` that a request names.

    A Space's own (`SPACE_HOST`), and `LRLAB_HOSTS` (names with commas between) where a proxy of
    yours stands before the app.
    """
    listed = f"{os.environ.get('SPACE_HOST', '')},{os.environ.get('LRLAB_HOSTS', '')}"
    return tuple(name.strip().lower() for name in listed.split(",") if name.strip())


def answered_names(bound_to: str, *, shared: bool) -> tuple[str, ...] | None:
    """The names that the app answers to; None for any, where it is open to a network anyway.

    Against DNS rebinding: a stranger's page, whose name was changed to mean this machine, sends
    its own name as `Host`.
    """
    if on_space() or not is_loopback(bound_to):
        return None
    shares = SHARE_NAMES if shared else ()
    return LOOPBACK_NAMES + shares + tuple(host_name(host) for host in own_hosts())


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _place_of(origin: str) -> tuple[str, str]:
    """Scheme and host[:port] of an `Origin`; an empty host for "null" and for what is no URL."""
    scheme, mark, host = origin.strip().lower().partition("://")
    return (scheme, _without_port(host, scheme)) if mark else ("", "")


def _without_port(host: str, scheme: str) -> str:
    """A host without the port that its scheme means anyway."""
    return host.lower().removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))
