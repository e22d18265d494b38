"""How a card of ours is told from one that somebody has changed: by a line with its own digest."""

import hashlib
import re

_MARKER = re.compile(
    r"<!-- Written by LR Lab; a card that was changed by hand is not written again\. "
    r"([0-9a-f]{64}) -->\n"
)


def marked(text: str) -> str:
    """The card with the line that holds its digest."""
    return text + _marker(text)


def is_own_card(text: str) -> bool:
    """Whether the card is as `marked` gave it."""
    text = text.replace("\r\n", "\n")
    found = list(_MARKER.finditer(text))
    return len(found) == 1 and _marker(_MARKER.sub("", text)) == found[0][0]


def _marker(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return (
        "<!-- Written by LR Lab; a card that was changed by hand is not written again. "
        f"{digest} -->\n"
    )
