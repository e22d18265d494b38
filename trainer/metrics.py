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
    from sklearn import metrics  # a second of import that other users of this file do not need

    classes = np.arange(len(class_names))
    preds = probs.argmax(1)
    confusion = metrics.confusion_matrix(labels, preds, labels=classes)
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        labels,
        preds,
        labels=classes,
        zero_division=0,  # pyright: ignore[reportArgumentType]
    )
    accuracy, loss = accuracy_and_loss(probs, labels)
    return Evaluated(
        accuracy=accuracy,
        loss=loss,
        num_images=len(labels),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        class_names=class_names,
        split=split,
        precision=_or_none(np.asarray(precision), confusion.sum(0)),
        recall=_or_none(np.asarray(recall), np.asarray(support)),
        seconds=seconds,
        worst=_worst(probs, labels, names, class_names),
    )


def _or_none(values: np.ndarray, counts: np.ndarray) -> tuple[float | None, ...]:
    return tuple(
        float(value) if count else None for value, count in zip(values, counts, strict=True)
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
