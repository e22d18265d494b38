"""Keeping secrets out of what is printed and logged: tokens are replaced before they are written.

Not covered: a secret that arrives in two halves, secrets of a form that nobody told us of, and what
native code writes past Python's streams.
"""

import logging
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE", re.IGNORECASE
)
"""Environment variables with such a name hold what nobody is to see."""

_PATTERNS = (
    re.compile(r"\b(hf_oauth_)[A-Za-z0-9_.~-]{6,}"),
    re.compile(r"\b(hf_|api_org_)[A-Za-z0-9]{10,}"),
    re.compile(r"\b(Bearer|Basic)(?:\s+|%20)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(
        r"\b((?:access[_-]?token|oauth_token|refresh_token|id_token|client_secret|code|__sign|token)"
        r"[\"']?\s*[=:]\s*[\"']?)[A-Za-z0-9._~+/=%-]{12,}",
        re.IGNORECASE,
    ),
    # Addresses that are keys themselves: S3, Google's storage and CloudFront sign them so.
    re.compile(
        r"(X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token)"
        r"[\"']?\s*(?:=|:|%3D)\s*[\"']?)[^\s&\"'<>,;]+",
        re.IGNORECASE,
    ),
    re.compile(
        r"((?:[?&;]|%3F|%26)(?:Signature|Policy|Key-Pair-Id|AWSAccessKeyId|GoogleAccessId|sig)"
        r"(?:=|%3D))[^\s&\"'<>,;]+",
        re.IGNORECASE,
    ),
)
_SHORTEST = 8
"""A secret of fewer letters would be found in innocent words."""


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything that looks like a token, and every given secret, left out."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: f"{found[1]}[secret]", text)
    return text


def environment_secrets() -> tuple[str, ...]:
    """The values of the environment's secrets, longest first."""
    values = {value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    return tuple(sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True))


class RedactedStream:
    """A text stream that leaves secrets out of what is written to it."""

    def __init__(self, stream: TextIO, secrets: tuple[str, ...]) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        """Write the text without its secrets; returns how long it was."""
        self._stream.write(redacted(text, self._secrets))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line without its secrets."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_output(*more: str) -> None:
    """Let standard output and error leave secrets out from now on, every log with them.

    Args:
        more: secrets besides those of the environment.
    """
    secrets = (*filter(None, more), *environment_secrets())
    for name in ("stdout", "stderr"):
        raw = getattr(sys, name)
        redacting = RedactedStream(raw, secrets)
        setattr(sys, name, redacting)
        _lead_handlers(raw, redacting)


def _lead_handlers(raw: TextIO, redacting: RedactedStream) -> None:
    """Lead handlers that hold the raw stream, as that of a library imported earlier, to the other.

    What a handler names when it is made is the stream itself, not `sys.stderr`.
    """
    for log in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in log.handlers if isinstance(log, logging.Logger) else ():
            if isinstance(handler, logging.StreamHandler) and handler.stream is raw:
                handler.setStream(redacting)
