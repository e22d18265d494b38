"""Events of a sweep: its steps, its curve, and the trainings that check it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStep:
    """One step of a sweep: the rate used and the raw loss of its batch."""

    step: int
    total_steps: int
    repeat: int
    lr: float
    loss: float
    smooth_loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """A sweep is over; the weights are as they were before it."""

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smooth_losses: tuple[float, ...] = ()
    band_low: tuple[float, ...] = ()
    """Lowest smoothed loss of the repeats at each rate; empty after a single sweep."""
    band_high: tuple[float, ...] = ()
    suggestions: Mapping[str, float | None]
    suggested_lr: float | None
    """None: no usable signal; `reason` says why and what to change."""
    usable: tuple[float, ...] = ()
    """The lowest and the highest rate to train with; empty where there is no suggestion."""
    steep: tuple[float, ...] = ()
    """Between which rates the loss falls steeply; empty where it does not."""
    ceiling: float | None = None
    """Without a suggestion: the rate from which on the loss only rises, if it does."""
    measured: bool = False
    """Whether trainings at several rates stand behind the suggestion, or the curve alone."""
    reason: str
    diverged: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """Trainings at several rates, judged on training pictures that were held out of them."""

    what: str
    """What each training was, in words."""
    lrs: tuple[float, ...]
    accuracies: tuple[float, ...]
    """0–1, one a rate."""
    errors: tuple[float, ...]
    """Standard error of each accuracy."""
    losses: tuple[float, ...]
    num_held_out: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Raced:
    """Short trainings at a rate that is too low, the suggested one, and one too high."""

    names: tuple[str, ...]
    lrs: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    """The training loss of each step, one row a rate."""
