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

    @property
    def errors(self) -> np.ndarray:
        """Standard error of each accuracy, `[C]`; never 0 (Agresti and Coull 1998)."""
        count = len(self.held_out)
        share = (self.accuracy * count + 1) / (count + 2)
        return np.sqrt(share * (1 - share) / count)

    def as_good_as_best(self) -> np.ndarray:
        """bool `[C]`: rates whose shortfall in accuracy is within one standard error of what the
        same pictures' answers show, paired picture by picture, or is a single picture."""
        count = len(self.held_out)
        shortfall = self.correct[self._best()] - self.correct
        error = shortfall.std(axis=1) / math.sqrt(count)
        return shortfall.mean(axis=1) <= np.maximum(error, 1 / count) + 1e-12

    def verdict(self) -> str:
        """`learned`; `chance`: the best rate is right no more often than always guessing the
        commonest class; `few`: so many pictures could not show a difference.

        Binomial test at 2.5 %, one-sided.
        """
        from scipy.special import bdtrc  # a third of a second, only here

        count = len(self.held_out)
        common = float(np.bincount(self.held_out).max() / count)
        if common**count > 0.025:
            return "few"
        right = math.floor(self.accuracy.max() * count + 1e-9)
        return "learned" if bdtrc(right - 1, count, common) <= 0.025 else "chance"

    def usable(self) -> tuple[float, float]:
        """The longest run of rates as good as the best, each standing for half the way to its
        neighbours."""
        low, high = self._run()
        half = math.sqrt(self.lrs[1] / self.lrs[0]) if len(self.lrs) > 1 else 1.0
        return self.lrs[low] / half, self.lrs[high] * half

    def middle(self) -> float:
        """The geometric middle of that run: where a little more or less makes no difference
        (chosen on digits and pizza_steak_sushi; docs/LOG.md)."""
        low, high = self._run()
        return math.sqrt(self.lrs[low] * self.lrs[high])

    def _run(self) -> tuple[int, int]:
        """First and last index of the longest run of rates as good as the best."""
        good = np.concatenate([[False], self.as_good_as_best(), [False]])
        starts, ends = np.flatnonzero(np.diff(good.astype(int))).reshape(-1, 2).T
        longest = int(np.argmax(ends - starts))
        return int(starts[longest]), int(ends[longest]) - 1

    def _best(self) -> int:
        """The most accurate rate; of equal ones that with the lowest loss."""
        accuracy = self.accuracy
        return int(np.argmin(np.where(accuracy == accuracy.max(), self.loss, np.inf)))
