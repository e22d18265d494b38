"""`Trials`: what trainings at several rates gave on held-out pictures, and the rate to choose."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Trials:
    """Trainings at C rates, judged on N held-out pictures."""

    lrs: tuple[float, ...]
    """Peak rates, rising."""
    correct: np.ndarray
    """float `[C, N]`: the share of the rounds in which each picture was right."""
    losses: np.ndarray
    """float `[C, N]`, cross-entropy in nats; infinite where the training broke down."""
    train_losses: np.ndarray
    """float `[C, steps]`."""
    held_out: np.ndarray
    """int `[N]`, the true classes."""

    @property
    def accuracy(self) -> np.ndarray:
        """Of each rate, `[C]`, 0–1."""
        return self.correct.mean(axis=1)

    @property
    def loss(self) -> np.ndarray:
        """Mean cross-entropy of each rate, `[C]`; infinite where the training broke down."""
        return self.losses.mean(axis=1)

    def as_good_as_best(self) -> np.ndarray:
        """bool `[C]`: rates whose shortfall in accuracy is within one standard error of what the
        same pictures' answers show, paired picture by picture."""
        best = self._best()
        shortfall = self.correct[best] - self.correct
        error = shortfall.std(axis=1) / math.sqrt(shortfall.shape[1])
        return shortfall.mean(axis=1) <= error

    def usable(self) -> tuple[float, float] | None:
        """From the lowest to the highest of the rates that are as good as the best, each standing
        for half the way to its neighbours; none where even the best is no better than always
        guessing the commonest class."""
        count = len(self.held_out)
        common = np.bincount(self.held_out).max() / count
        doubt = 2 * math.sqrt(common * (1 - common) / count)
        if self.accuracy.max() <= common + doubt:
            return None
        good = np.array(self.lrs)[self.as_good_as_best()]
        half = math.sqrt(self.lrs[1] / self.lrs[0]) if len(self.lrs) > 1 else 1.0
        return float(good[0]) / half, float(good[-1]) * half

    def middle(self) -> float:
        """The geometric mean of the rates that are as good as the best: where a little more or
        less makes no difference (chosen on digits and pizza_steak_sushi; docs/LOG.md)."""
        good = np.log(np.array(self.lrs))[self.as_good_as_best()]
        return float(np.exp(good.mean()))

    def _best(self) -> int:
        """The most accurate rate; of equal ones that with the lowest loss."""
        accuracy = self.accuracy
        return int(np.argmin(np.where(accuracy == accuracy.max(), self.loss, np.inf)))
