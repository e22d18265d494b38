"""Figures as people read them, on the page, in the terminal and in a card: 5.6e-3, 98.3 %, 12 s."""

import math

_NONE = "–"


def rate(lr: float | None, digits: int = 1) -> str:
    """A learning rate: 5.6e-3, 1e-2; a dash where there is none.

    Args:
        lr: any number.
        digits: after the mantissa's point, those that are 0 at its end left out.
    """
    if lr is None or not math.isfinite(lr):
        return _NONE
    mantissa, exponent = f"{lr:.{digits}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction of 0 to 1: 98.3 %; a dash where there is none."""
    if fraction is None or not math.isfinite(fraction):
        return _NONE
    return f"{fraction * 100:.{digits}f} %"


def duration(seconds: float | None) -> str:
    """0.4 s, 12 s, 1 min 20 s, 30 min, 2 h 5 min; a dash where there is none."""
    if seconds is None or not math.isfinite(seconds):
        return _NONE
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = whole // 60
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
