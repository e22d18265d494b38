"""Figures as people read them."""

import math

import pytest

from trainer.figures import duration, percent, rate

NONE = (None, math.nan, math.inf)


@pytest.mark.parametrize(
    ("lr", "digits", "shown"),
    [
        (0.0056, 1, "5.6e-3"),
        (0.00562, 2, "5.62e-3"),
        (0.01, 1, "1e-2"),
        (0.01, 2, "1e-2"),
        (1e-7, 1, "1e-7"),
        (0.0996, 1, "1e-1"),
        (3.0, 0, "3e0"),
        (0.0, 0, "0e0"),
        (20.0, 1, "2e1"),
        *((none, 1, "–") for none in NONE),
    ],
)
def test_a_rate(lr: float | None, digits: int, shown: str) -> None:
    assert rate(lr, digits) == shown


@pytest.mark.parametrize(
    ("fraction", "digits", "shown"),
    [(0.983, 1, "98.3 %"), (1.0, 1, "100.0 %"), (0.7512, 0, "75 %"), *((n, 1, "–") for n in NONE)],
)
def test_a_percentage(fraction: float | None, digits: int, shown: str) -> None:
    assert percent(fraction, digits) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (80.4, "1 min 20 s"),
        (3599.7, "1 h"),
        (1800.0, "30 min"),
        (7500.0, "2 h 5 min"),
        *((none, "–") for none in NONE),
    ],
)
def test_a_duration(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
