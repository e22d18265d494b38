"""Figures of a split against values computed by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from trainer.margin import wilson_interval
from trainer.metrics import (
    NUM_BINS,
    accuracy_and_loss,
    calibration,
    calibration_error,
    evaluated,
)

# Four pictures of a, b, b, c; the second is taken for c, nothing ever for b.
PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.05, 0.05, 0.9]], np.float32)
LABELS = np.array([0, 1, 1, 2])


def test_accuracy_is_correct_over_seen() -> None:
    accuracy, _ = accuracy_and_loss(PROBS, LABELS)
    assert accuracy == 2 / 4


def test_accuracy_is_not_a_mean_of_batch_means() -> None:
    probs = np.eye(2, dtype=np.float32)[[0, 0, 0, 0, 1]]
    assert accuracy_and_loss(probs, np.array([0, 0, 0, 0, 0]))[0] == 4 / 5


def test_loss_is_the_mean_cross_entropy_in_nats() -> None:
    _, loss = accuracy_and_loss(PROBS, LABELS)
    by_hand = -(math.log(0.7) + math.log(0.3) + math.log(0.4) + math.log(0.9)) / 4
    assert loss == pytest.approx(by_hand, rel=1e-6)


def test_a_probability_of_zero_gives_a_large_loss_and_not_infinity() -> None:
    probs = np.array([[1.0, 0.0]], np.float32)
    assert accuracy_and_loss(probs, np.array([1]))[1] == pytest.approx(-math.log(1e-12))


def test_everything_of_a_split_as_computed_by_hand() -> None:
    names = ("one", "two", "three", "four")
    result = evaluated(PROBS, LABELS, names, ("a", "b", "c"), split="valid", seconds=1.5)
    assert result.confusion == ((1, 0, 0), (1, 0, 1), (0, 0, 1))
    assert result.precision == (1 / 2, None, 1 / 2)
    assert result.recall == (1.0, 0.0, 1.0)
    assert result.accuracy == 0.5
    assert result.num_images == 4
    assert (result.split, result.seconds, result.class_names) == ("valid", 1.5, ("a", "b", "c"))
    assert [worst[:3] for worst in result.worst] == [("two", "b", "c"), ("three", "b", "a")]
    assert [worst[3] for worst in result.worst] == pytest.approx([0.6, 0.5])


def test_a_class_without_pictures_has_no_recall() -> None:
    result = evaluated(PROBS[:1], LABELS[:1], ("one",), ("a", "b", "c"), split="test", seconds=0.0)
    assert result.recall == (1.0, None, None)
    assert result.precision == (1.0, None, None)
    assert result.confusion == ((1, 0, 0), (0, 0, 0), (0, 0, 0))
    assert result.worst == ()


def test_only_the_twelve_most_confident_mistakes_are_listed_worst_first() -> None:
    sure = np.linspace(0.6, 0.99, 20, dtype=np.float32)
    probs = np.stack([1 - sure, sure], axis=1)
    names = tuple(str(i) for i in range(20))
    result = evaluated(probs, np.zeros(20, int), names, ("a", "b"), split="valid", seconds=0.0)
    assert [worst[0] for worst in result.worst] == [str(i) for i in range(19, 7, -1)]
    assert result.accuracy == 0.0


def test_the_figures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(5), 200).astype(np.float32)
    labels = rng.integers(0, 5, 200)
    names = tuple(map(str, range(200)))
    result = evaluated(probs, labels, names, tuple("abcde"), split="valid", seconds=0.0)
    preds = probs.argmax(1)
    assert np.array_equal(result.confusion, metrics.confusion_matrix(labels, preds))
    precision, recall, _, _ = metrics.precision_recall_fscore_support(labels, preds)
    assert result.precision == pytest.approx(precision)
    assert result.recall == pytest.approx(recall)
    assert result.accuracy == metrics.accuracy_score(labels, preds)
    assert result.f1 == pytest.approx(metrics.precision_recall_fscore_support(labels, preds)[2])
    assert result.macro_f1 == pytest.approx(metrics.f1_score(labels, preds, average="macro"))


def test_a_class_that_is_neither_there_nor_answered_has_no_f1_and_none_in_the_mean() -> None:
    result = evaluated(PROBS, LABELS, ("",) * 4, ("a", "b", "c"), split="valid", seconds=0.0)
    assert result.f1 == pytest.approx((2 / 3, 0.0, 2 / 3))
    wider = np.pad(PROBS, ((0, 0), (0, 1)))
    result = evaluated(wider, LABELS, ("",) * 4, tuple("abcd"), split="valid", seconds=0.0)
    assert result.f1[3] is None
    assert result.macro_f1 == pytest.approx(4 / 9)


def test_calibration_as_computed_by_hand() -> None:
    # Confidences 0.7, 0.6, 0.5 and 0.9 of 15 bins a fifteenth wide: right, wrong, wrong, right.
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.05, 0.05, 0.9]])
    bins = calibration(probs, LABELS)
    held = {index: each for index, each in enumerate(bins) if each[0]}
    assert held == {
        7: (1, pytest.approx(0.5), 0.0),
        8: (1, pytest.approx(0.6), 0.0),  # 0.6 is nine fifteenths: a bin is closed above
        10: (1, pytest.approx(0.7), 1.0),
        13: (1, pytest.approx(0.9), 1.0),
    }
    assert len(bins) == NUM_BINS
    assert calibration_error(bins) == pytest.approx((0.5 + 0.6 + 0.3 + 0.1) / 4)


def test_a_bin_is_judged_as_a_whole() -> None:
    # 0.82 and 0.86 share a bin: one of two right where 0.84 was claimed.
    probs = np.array([[0.82, 0.18], [0.86, 0.14]])
    bins = calibration(probs, np.array([0, 1]))
    assert bins[12] == (2, pytest.approx(0.84), 0.5)
    assert calibration_error(bins) == pytest.approx(0.34)


def test_whoever_is_sure_and_right_has_no_calibration_error() -> None:
    bins = calibration(np.eye(3), np.arange(3))
    assert bins[-1] == (3, 1.0, 1.0)
    assert calibration_error(bins) == 0.0
    # A float32 softmax may come out as 1 and a bit.
    assert calibration(np.array([[1.0000001, 0.0]]), np.array([0]))[-1][0] == 1


def test_the_calibration_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    probs = rng.dirichlet(np.ones(4) / 2, 500)
    labels = rng.integers(0, 4, 500)
    right = probs.argmax(1) == labels
    shares, means = calibration_curve(right, probs.max(1), n_bins=NUM_BINS)
    held = [each for each in calibration(probs, labels) if each[0]]
    assert [mean for _, mean, _ in held] == pytest.approx(means)
    assert [share for _, _, share in held] == pytest.approx(shares)
    assert sum(count for count, _, _ in held) == 500


@pytest.mark.parametrize(("correct", "total"), [(353, 360), (0, 5), (5, 5), (1, 2)])
def test_the_interval_is_that_of_scipy(correct: int, total: int) -> None:
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    found = wilson_interval(correct, total)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-4)
