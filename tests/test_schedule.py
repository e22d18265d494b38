"""Schedules against values computed by hand and against PyTorch's own."""

import doctest
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import schedule
from trainer.schedule import (
    constant,
    cosine,
    cycle_lengths,
    lr_ladder,
    one_cycle,
    one_cycle_momentum,
    restarts,
)


def _torch_rates(
    make: type[torch.optim.lr_scheduler.LRScheduler], steps: int, **options: Any
) -> list[tuple[float, float]]:
    """The rate and the momentum of each step of a PyTorch scheduler, for the peak 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.5)
    scheduler = make(optimizer, **options)
    found = []
    for _ in range(steps):
        found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        scheduler.step()
    return found


def test_one_cycle_at_points_computed_by_hand() -> None:
    assert one_cycle(0.0) == pytest.approx(1 / 25)
    assert one_cycle(0.125) == pytest.approx((1 + 1 / 25) / 2)
    assert one_cycle(0.25) == pytest.approx(1.0)
    assert one_cycle(0.625) == pytest.approx((1 + 1e-5) / 2)
    assert one_cycle(1.0) == pytest.approx(1e-5)
    quarter = (1 + math.cos(math.pi / 4)) / 2
    assert one_cycle(0.4375) == pytest.approx(1e-5 + (1 - 1e-5) * quarter)


def test_one_cycle_is_pytorchs_one_cycle() -> None:
    total = 400
    theirs = _torch_rates(
        torch.optim.lr_scheduler.OneCycleLR,
        total,
        max_lr=1.0,
        total_steps=total,
        pct_start=0.25,
        div_factor=25.0,
        final_div_factor=1e5 / 25,
        base_momentum=0.85,
        max_momentum=0.95,
    )
    peak = 0.25 * total - 1  # PyTorch counts the steps between the ends, we count positions
    for step, (rate, momentum) in enumerate(theirs):
        after = 0.25 + 0.75 * (step - peak) / (total - 1 - peak)
        t = 0.25 * step / peak if step <= peak else after
        assert one_cycle(t) == pytest.approx(rate, rel=1e-9, abs=1e-12)
        assert one_cycle_momentum(t) == pytest.approx(momentum, rel=1e-9)


def test_momentum_goes_against_the_rate() -> None:
    assert one_cycle_momentum(0.0) == pytest.approx(0.95)
    assert one_cycle_momentum(0.25) == pytest.approx(0.85)
    assert one_cycle_momentum(0.625) == pytest.approx(0.9)
    assert one_cycle_momentum(1.0) == pytest.approx(0.95)


def test_cosine_at_points_computed_by_hand() -> None:
    assert [cosine(t) for t in (0, 1 / 3, 0.5, 2 / 3, 1)] == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_cosine_is_pytorchs_cosine() -> None:
    theirs = _torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR, 50, T_max=50)
    assert [cosine(step / 50) for step in range(50)] == pytest.approx([r for r, _ in theirs])


def test_constant_is_constant() -> None:
    assert {constant(t / 7) for t in range(7)} == {1.0}


@pytest.mark.parametrize(
    ("epochs", "cycle_len", "cycle_mult", "lengths"),
    [
        (7, 1, 2, (1, 2, 4)),
        (8, 1, 2, (1, 2, 4, 1)),
        (6, 1, 2, (1, 2, 3)),
        (3, 1, 1, (1, 1, 1)),
        (5, 2, 1, (2, 2, 1)),
        (2, 5, 2, (2,)),
        (0, 1, 2, ()),
    ],
)
def test_the_cycles_fill_the_epochs(
    epochs: int, cycle_len: int, cycle_mult: int, lengths: tuple[int, ...]
) -> None:
    assert cycle_lengths(epochs, cycle_len, cycle_mult) == lengths


@pytest.mark.parametrize(("first", "mult", "epochs"), [(1, 2, 7), (1, 1, 3), (2, 3, 8)])
def test_restarts_are_pytorchs_warm_restarts(first: int, mult: int, epochs: int) -> None:
    steps = 10  # an epoch
    theirs = _torch_rates(
        torch.optim.lr_scheduler.CosineAnnealingWarmRestarts,
        epochs * steps,
        T_0=first * steps,
        T_mult=mult,
    )
    lengths = cycle_lengths(epochs, first, mult)
    ours = [restarts(step / (epochs * steps), lengths) for step in range(epochs * steps)]
    # At a restart our position may lie a rounding error before it: the same rate, one step late,
    # would be wrong, so the comparison is exact but for rounding.
    assert ours == pytest.approx([rate for rate, _ in theirs], abs=1e-9)


def test_after_the_last_cycle_the_rate_is_zero() -> None:
    assert restarts(1.0, (1, 2)) == 0.0


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1, 20), st.integers(1, 5), st.integers(1, 3))
def test_every_schedule_stays_between_nothing_and_the_peak(
    t: float, epochs: int, cycle_len: int, cycle_mult: int
) -> None:
    lengths = cycle_lengths(epochs, cycle_len, cycle_mult)
    assert sum(lengths) == epochs
    for factor in (one_cycle(t), cosine(t), constant(t), restarts(t, lengths)):
        assert 0 <= factor <= 1 + 1e-12
    assert 0.85 - 1e-12 <= one_cycle_momentum(t) <= 0.95 + 1e-12


def test_an_exponential_ladder_has_both_ends_and_one_ratio() -> None:
    ladder = lr_ladder(1e-7, 10.0, 100, "exponential")
    assert len(ladder) == 101
    assert (ladder[0], ladder[-1]) == pytest.approx((1e-7, 10.0))
    ratios = [b / a for a, b in zip(ladder, ladder[1:], strict=False)]
    assert ratios == pytest.approx([10**0.08] * 100)
    assert ladder[25] == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("low", "high", "count"), [(1.0, 8.0, 4), (1.0, 7.9, 3), (1e-3, 1e-3 * 2**10, 11), (1, 1.5, 1)]
)
def test_a_doubling_ladder_doubles_up_to_its_end(low: float, high: float, count: int) -> None:
    ladder = lr_ladder(low, high, 100, "doubling")
    assert ladder == pytest.approx([low * 2**k for k in range(count)])


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(schedule).attempted > 0
    assert doctest.testmod(schedule).failed == 0
