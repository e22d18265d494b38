"""Figures of a split from its probabilities: Σcorrect/Σseen, loss, per-class figures."""

import numpy as np

from trainer.events import Evaluated


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
    )


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
