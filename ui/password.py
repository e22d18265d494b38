"""The password that opens the app, for those who make its address public.

It never stands on the command line, where every user of a machine can read it.
"""

import asyncio
import getpass
import hmac
import os
from collections.abc import Awaitable, Callable

from trainer.errors import ConfigError

MIN_LENGTH = 8
_WRONG_SECONDS = 1.0
"""How long a wrong password keeps its sender waiting."""


def read_password(*, ask: bool) -> str | None:
    """The password from `LRLAB_PASSWORD`, or typed at the terminal; None for an open app.

    The variable is removed, so that no process that is started later inherits it.

    Raises:
        ConfigError: it is too short to keep anybody out.
    """
    password = os.environ.pop("LRLAB_PASSWORD", "")
    if not password and ask:
        password = getpass.getpass("Password for the app: ")
    if not password and not ask:
        return None
    if len(password) < MIN_LENGTH:
        raise ConfigError(
            f"The password has {len(password)} letters; choose one of {MIN_LENGTH} or more."
        )
    return password


def checked_by(password: str) -> Callable[[str, str], Awaitable[bool]]:
    """What gradio asks at its login page; any user name will do."""

    async def is_right(_: str, typed: str) -> bool:
        if hmac.compare_digest(typed.encode(), password.encode()):
            return True
        await asyncio.sleep(_WRONG_SECONDS)
        return False

    return is_right
