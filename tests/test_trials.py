"""Trials: the rate that is chosen from what trainings gave, and when none is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.trials import Trials

HALF = 10**0.5
"""Half the way to the next rate."""
LRS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def made(accuracies: list[float], losses: list[float], count: int = 200) -> Trials:
    """Trials in which the same pictures are the hard ones at every rate, two classes."""
    rank = np.linspace(0, 1, count, endpoint=False)
    correct = 1.0 * np.array([rank < accuracy for accuracy in accuracies])
    return Trials(
        lrs=LRS[: len(accuracies)],
        correct=correct,
        losses=np.repeat(np.array(losses)[:, None], count, axis=1),
        held_out=np.arange(count) % 2,
    )


def test_the_middle_of_the_equally_accurate_rates_is_chosen() -> None:
    trials = made([0.8, 0.95, 0.95, 0.95, 0.6], [0.6, 0.3, 0.2, 0.5, 2.0])
    assert trials.usable() == pytest.approx((1e-3 / HALF, 1e-1 * HALF))
    assert trials.middle() == pytest.approx(1e-2)


def test_a_lower_loss_does_not_outweigh_fewer_right_answers() -> None:
    trials = made([0.8, 0.95], [0.1, 0.5])
    assert trials.usable() == pytest.approx((1e-3 / HALF, 1e-3 * HALF))
    assert trials.middle() == pytest.approx(1e-3)


def test_a_difference_within_the_noise_does_not_count() -> None:
    rng = np.random.default_rng(0)
    trials = made([0.9, 0.9, 0.3], [0.2, 0.3, 1.0])
    for row in trials.correct[:2]:
        rng.shuffle(row)
    trials.correct[1, np.flatnonzero(trials.correct[1] == 0)[:2]] = 1
    assert trials.accuracy[1] > trials.accuracy[0]
    assert trials.usable() == pytest.approx((1e-4 / HALF, 1e-3 * HALF))


@pytest.mark.parametrize("accuracy", [0.3, 0.5, 0.55])
def test_no_better_than_chance_is_said(accuracy: float) -> None:
    assert made([accuracy] * 3, [0.7, 0.7, 0.7]).verdict() == "chance"
    assert made([0.9, accuracy], [0.7, 0.7]).verdict() == "learned"


@pytest.mark.parametrize(("count", "verdict"), [(4, "few"), (10, "learned")])
def test_a_handful_of_pictures_shows_nothing(count: int, verdict: str) -> None:
    assert made([1.0], [0.1], count).verdict() == verdict


def test_unbalanced_classes_need_more_pictures() -> None:
    trials = replace(made([1.0], [0.1], 30), held_out=np.repeat([0, 1], [27, 3]))
    assert trials.verdict() == "few"
    trials = replace(made([1.0], [0.1], 60), held_out=np.repeat([0, 1], [54, 6]))
    assert trials.verdict() == "learned"


def test_a_single_picture_makes_no_difference() -> None:
    trials = made([0.995, 1.0, 0.99], [0.1, 0.1, 0.1])
    assert trials.as_good_as_best().tolist() == [True, True, False]


def test_only_neighbours_are_usable_together() -> None:
    trials = made([0.95, 0.7, 0.95, 0.95, 0.6], [0.1] * 5)
    assert trials.usable() == pytest.approx((1e-2 / HALF, 1e-1 * HALF))
    assert trials.middle() == pytest.approx(10**-1.5)


def test_errors_are_never_nothing() -> None:
    assert (made([1.0, 0.5], [0.1, 0.1], 10).errors > 0.05).all()


def test_a_training_that_broke_down_is_never_chosen() -> None:
    trials = made([0.9, 0.0], [0.3, np.inf])
    assert trials.usable() == pytest.approx((1e-4 / HALF, 1e-4 * HALF))
    assert trials.middle() == pytest.approx(1e-4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 5)), min_size=1, max_size=5))
def test_the_choice_is_usable_and_as_accurate_as_the_best(rows: list[tuple[float, float]]) -> None:
    trials = made([row[0] for row in rows], [row[1] for row in rows])
    low, high = trials.usable()
    assert low <= trials.middle() <= high
    good = trials.as_good_as_best()
    assert good[trials.accuracy.argmax()]
    assert (trials.accuracy[good] >= trials.accuracy.max() - 0.04).all()
    assert trials.verdict() in ("learned", "chance")
