"""Counts and names as people read them. Every string from outside is escaped here for HTML."""

import html


def count(value: int, one: str, many: str | None = None) -> str:
    """1 picture, 1,437 pictures."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def millions(value: int) -> str:
    """4.7 M."""
    return f"{value / 1e6:.1f} M"


def text(value: object) -> str:
    """Anything from outside, safe inside HTML text and attributes."""
    return html.escape(str(value), quote=True)


def shorten(value: str, limit: int = 28) -> str:
    """A long name with its middle left out."""
    if len(value) <= limit:
        return value
    head = (limit - 1) * 2 // 3
    return f"{value[:head]}…{value[-(limit - 1 - head) :]}"
