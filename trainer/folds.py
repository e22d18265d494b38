"""Training pictures held out in turn, class by class, so that a choice is not judged on what it
was made with. The validation pictures stay out of it, unless the sweep watches their loss.
"""

from dataclasses import dataclass

import numpy as np

from trainer.batches import seed_for

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fold:
    train: np.ndarray
    """Indices of pictures to learn from, shuffled."""
    held_out: np.ndarray
    """Indices of the others."""


def split_folds(labels: np.ndarray, seed: int) -> list[Fold]:
    """Five folds with every class spread evenly over them; each picture is held out once.

    Args:
        labels: `[N]`; with very few pictures there are fewer folds, perhaps none.
        seed: of the order.
    """
    rng = np.random.default_rng(seed_for(seed, "folds"))
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within
    number = np.arange(len(order)) % FOLDS
    folds = [
        Fold(rng.permutation(order[number != k]), rng.permutation(order[number == k]))
        for k in range(FOLDS)
    ]
    return [fold for fold in folds if len(fold.held_out) and len(fold.train) > 1]
