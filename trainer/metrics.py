"""Figures of a split from its probabilities: Σcorrect/Σseen, loss, per class, calibration."""

import numpy as np

from trainer.events import Evaluated

NUM_BINS = 15
"""Of confidence, as in Guo et al. 2017."""


def accuracy_and_loss(probs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Σcorrect/Σseen and the mean cross-entropy in nats.

    Args:
        probs: `[N, num_classes]`, rows sum to 1.
        labels: `[N]`.
    """
    correct = int((probs.argmax(1) == labels).sum())
    chosen = probs[np.arange(len(labels)), labels].astype(np.float64)
    loss = -np.log(np.maximum(chosen, 1e-12)).mean()
    return correct / len(labels), float(loss)


def evaluated(
    probs: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    class_names: tuple[str, ...],
    *,
    split: str,
    seconds: float,
) -> Evaluated:
    """Everything `evaluate` reports of one split.

    Args:
        probs: `[N, num_classes]`.
        labels: `[N]`.
        names: one a picture, for the list of the most confident mistakes.
        class_names: one a column of `probs`.
        split: `train`, `valid` or `test`.
        seconds: how long it took.
    """
    count = len(class_names)
    # Not scikit-learn's: its import takes longer than the sweep and the head's training together.
    pairs = np.bincount(labels * count + probs.argmax(1), minlength=count * count)
    confusion = pairs.reshape(count, count)
    accuracy, loss = accuracy_and_loss(probs, labels)
    f1 = _shares(2 * confusion.diagonal(), confusion.sum(0) + confusion.sum(1))
    bins = calibration(probs, labels)
    return Evaluated(
        accuracy=accuracy,
        loss=loss,
        num_images=len(labels),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        class_names=class_names,
        split=split,
        precision=_shares(confusion.diagonal(), confusion.sum(0)),
        recall=_shares(confusion.diagonal(), confusion.sum(1)),
        seconds=seconds,
        worst=_worst(probs, labels, names, class_names),
        f1=f1,
        macro_f1=float(np.mean([value for value in f1 if value is not None])),
        calibration_error=calibration_error(bins),
        calibration=bins,
    )


def calibration(probs: np.ndarray, labels: np.ndarray) -> tuple[tuple[int, float, float], ...]:
    """How often the answers are right that are given with about the same confidence.

    Args:
        probs: `[N, num_classes]`; the confidence is the largest of a row.
        labels: `[N]`.

    Returns:
        Of each of `NUM_BINS` equal bins of confidence, open below: its number of pictures, their
        mean confidence and their accuracy; zeros where there is none.
    """
    confidence = probs.max(1).astype(np.float64)
    right = probs.argmax(1) == labels
    # A float32 softmax may exceed 1 by its last bit.
    number = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    counts = np.bincount(number, minlength=NUM_BINS)
    held = np.maximum(counts, 1)
    means = np.bincount(number, confidence, NUM_BINS) / held
    shares = np.bincount(number, right, NUM_BINS) / held
    return tuple(zip(counts.tolist(), means.tolist(), shares.tolist(), strict=True))


def calibration_error(bins: tuple[tuple[int, float, float], ...]) -> float:
    """The expected calibration error: by how much confidence and accuracy differ, weighted by the
    pictures of each bin, 0–1 (Guo et al. 2017, arXiv:1706.04599)."""
    total = sum(count for count, _, _ in bins)
    return sum(count * abs(share - mean) for count, mean, share in bins) / total


def _shares(right: np.ndarray, counts: np.ndarray) -> tuple[float | None, ...]:
    """right / counts, one a class; none where there is nothing to divide by."""
    return tuple(
        float(good / count) if count else None for good, count in zip(right, counts, strict=True)
    )


def _worst(
    probs: np.ndarray, labels: np.ndarray, names: tuple[str, ...], class_names: tuple[str, ...]
) -> tuple[tuple[str, str, str, float], ...]:
    """The twelve most confident mistakes, the worst first."""
    preds = probs.argmax(1)
    wrong = np.flatnonzero(preds != labels)
    wrong = wrong[np.argsort(-probs[wrong, preds[wrong]], kind="stable")][:12]
    return tuple(
        (names[i], class_names[labels[i]], class_names[preds[i]], float(probs[i, preds[i]]))
        for i in wrong
    )
