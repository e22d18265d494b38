"""Numbers and states as people read them. Every string from outside is escaped here for HTML."""

import html
import math


def rate(value: float | None) -> str:
    """A learning rate: 3.2e-3, 1e-2."""
    if value is None or not math.isfinite(value):
        return "–"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """98.3 %."""
    if fraction is None or not math.isfinite(fraction):
        return "–"
    return f"{fraction * 100:.{digits}f} %"


def seconds(value: float | None) -> str:
    """0.4 s, 12 s, 1 min 20 s, 2 h 5 min."""
    if value is None or not math.isfinite(value):
        return "–"
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


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
