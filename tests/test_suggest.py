"""Suggestions: the published rules against the libraries' own, and curves without signal."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.schedule import lr_ladder
from trainer.suggest import (
    _ema_debiased,
    ceiling,
    doubling,
    published,
    smooth_centered,
    suggest,
    valley,
)

CURVES = json.loads((Path(__file__).parent / "data" / "lr_curves.json").read_text())["curves"]
RULES = {"valley", "slide", "minimum", "steep", "doubling", "torch_lr_finder", "ignite"}
LRS = lr_ladder(1e-7, 10.0, 99, "exponential")


def _learnable(noise: float = 0.02) -> list[float]:
    """A curve that falls from 2.3 to 0.3 around 1e-3 and blows up past 1."""
    rng = np.random.default_rng(0)
    fall = [2.3 - 2 / (1 + math.exp(-2 * (math.log10(lr) + 3))) + 0.5 * lr**2 for lr in LRS]
    return [loss + float(rng.normal(0, noise)) for loss in fall]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve["name"])
def test_the_published_rules_answer_as_the_libraries_do(curve: dict[str, Any]) -> None:
    found = published(curve["lrs"], curve["raw"])
    del found["doubling"]  # the lesson's, which no library computes
    assert found == pytest.approx(curve["expected"], rel=1e-6)


def test_valley_starts_one_before_the_stretch_as_fastai_does() -> None:
    lrs, falling = np.arange(10.0), np.arange(10.0)[::-1]
    # The stretch is the whole curve: start is -1, a third of 10 is 3, and half of that 1.
    assert valley(lrs, falling) == 3.0


def test_a_learnable_curve_gets_a_rate_below_its_minimum_and_a_reason() -> None:
    found = suggest(LRS, _learnable())
    assert found.lr is not None
    assert 1e-3 <= found.lr <= 0.2
    assert found.lr == found.rules["minimum"]
    assert "falls from 2.3" in found.reason


def test_a_nan_tail_changes_nothing_of_the_choice() -> None:
    losses = _learnable()
    cut = 85
    tail = [*losses[:cut], math.nan, *losses[cut + 1 :]]
    assert suggest(LRS, tail) == suggest(LRS, [*losses[:cut], math.inf])
    assert suggest(LRS, tail).lr is not None


def _seeded(scale: float) -> list[float]:
    return np.random.default_rng(1).normal(2.3, scale, 100).tolist()


FRUITLESS = {
    "flat": [2.3] * 100,
    "flat at zero": [0.0] * 100,
    "flat and noisy": _seeded(0.1),
    "flat and very noisy": _seeded(1.0),
    "rising in a line": np.linspace(2, 10, 100).tolist(),
    "rising steeply": [2 + lr * 10 for lr in LRS],
    "rising at once": np.geomspace(0.1, 1000, 100).tolist(),
    "NaN from the third step on": [2.3, 2.2, *[math.nan] * 98],
    "NaN from the start": [math.nan] * 100,
    "infinite from the start": [math.inf] * 100,
    "three points": [2.3, 2.0, 1.0],
    "nine points": np.linspace(2.3, 0.1, 9).tolist(),
    "one point": [2.3],
    "empty": [],
}


@pytest.mark.parametrize("losses", FRUITLESS.values(), ids=FRUITLESS)
def test_a_curve_without_signal_gets_no_rate_but_a_reason(losses: list[float]) -> None:
    found = suggest(LRS[: len(losses)], losses)
    assert found.lr is None
    assert len(found.reason) > 30
    assert set(found.rules) == RULES


def test_ten_points_are_too_few_for_the_rules_but_no_error() -> None:
    lrs = lr_ladder(1e-4, 1e-1, 9, "exponential")
    found = suggest(lrs, np.linspace(2.3, 0.1, 10).tolist())
    assert found.lr in (None, *(pytest.approx(lr / 10) for lr in lrs))


@pytest.mark.parametrize("steps", [40, 101])
@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
def test_noise_alone_hardly_ever_gets_a_rate(steps: int, scale: float) -> None:
    lrs = lr_ladder(1e-7, 10.0, steps - 1, "exponential")
    curves = [np.random.default_rng(seed).normal(2.3, scale, steps) for seed in range(100)]
    found = [suggest(lrs, curve.tolist()).lr is not None for curve in curves]
    assert sum(found) <= 3


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve["name"])
def test_every_real_curve_gets_a_rate(curve: dict[str, Any]) -> None:
    assert suggest(curve["lrs"], curve["raw"]).lr is not None


def test_a_sweep_that_begins_above_every_usable_rate_says_so() -> None:
    found = suggest(LRS, np.linspace(2, 10, 100).tolist())
    assert "Start the sweep at a lower rate" in found.reason


CURVE = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf]), max_size=120)


@settings(max_examples=200, deadline=None)
@given(CURVE)
def test_no_curve_is_an_error_and_every_answer_is_a_rate(losses: list[float]) -> None:
    lrs = lr_ladder(1e-7, 10.0, 119, "exponential")[: len(losses)]
    found = suggest(lrs, losses)
    for rate in (found.lr, *found.rules.values()):
        assert rate is None or (math.isfinite(rate) and rate > 0)


def test_smoothing_keeps_a_constant_and_does_not_lag() -> None:
    assert smooth_centered([3.0] * 50) == pytest.approx([3.0] * 50)
    losses = np.abs(np.arange(101) - 60.0).tolist()
    assert int(np.argmin(smooth_centered(losses))) == 60
    weights = [math.exp(-2.0), math.exp(-0.5), 1.0, math.exp(-0.5), math.exp(-2.0)]
    spike = smooth_centered([0.0, 0.0, 1.0, 0.0, 0.0], width=1.0)
    assert spike[2] == pytest.approx(1 / sum(weights))


def test_a_curve_that_diverged_is_cut_by_the_steps_that_were_planned() -> None:
    """fastai drops a tenth of the planned steps, however early the sweep ended."""
    falling = np.linspace(2.3, 1.0, 40).tolist()
    planned, cut = published(LRS, falling), published(LRS[:40], falling)
    assert planned["minimum"] == cut["minimum"]  # the end is the same
    assert planned["valley"] != cut["valley"]  # the beginning is not: 10 steps or 4


def test_the_steepest_fall_is_taken_against_the_logarithm_of_the_rate() -> None:
    """Lightning since 2.5.3 divides by the rate itself, which finds the first rates steepest."""
    losses = _learnable(noise=0.0)
    found = suggest(LRS, losses)
    assert found.rules["steep"] is not None
    assert 2e-4 < found.rules["steep"] < 5e-2  # the sigmoid's middle is at 1e-3
    assert found.steep[0] < 1e-3 < found.steep[1]
    assert found.lr is not None
    assert found.usable[0] <= found.lr <= found.usable[1]


def test_fastais_running_mean_is_free_of_bias_from_the_first_step_on() -> None:
    """Lightning divides by 1 - 0.98^(k+2) at its step k, which halves the first loss."""
    assert _ema_debiased(np.full(30, 2.3)) == pytest.approx(np.full(30, 2.3), rel=1e-5)


def test_the_doubling_ladder_names_the_rung_that_helps_most() -> None:
    lrs = lr_ladder(1e-5, 1e-2, 0, "doubling")
    losses = [2.3, 2.3, 2.2, 2.1, 1.4, 1.2, 1.1, 1.5, 3.0, 9.0]
    assert doubling(np.array(lrs), np.array(losses)) == pytest.approx(lrs[3])
    assert doubling(np.array(lrs[:1]), np.array(losses[:1])) is None


def test_a_curve_that_only_rises_says_from_where() -> None:
    losses = [0.3 + 0.02 * (-1) ** k + 30 * lr for k, lr in enumerate(LRS)]
    found = suggest(LRS, losses)
    assert found.lr is None
    assert found.ceiling is not None
    assert 1e-3 < found.ceiling < 5e-3  # thirty times that is a third more
    assert suggest(LRS, _seeded(0.1)).ceiling is None
    assert ceiling(LRS, np.linspace(2.3, 1.0, 100).tolist()) is None
