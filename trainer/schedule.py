"""Learning-rate schedules as pure functions of the position in a phase, 0 ≤ t < 1.

Each returns the factor by which the peak rate is multiplied at that position; momentum follows
for 1cycle. A schedule is a value: nothing here counts steps or holds an optimizer.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def one_cycle(
    t: float, *, warmup: float = 0.25, div: float = 25.0, final_div: float = 1e5
) -> float:
    """Rise from peak/div to the peak, then fall to peak/final_div, both along a half cosine.

    1cycle: Smith 2018, arXiv:1803.09820; the constants are fastai's `fit_one_cycle`.
    """
    if t < warmup:
        return _cosine(1 / div, 1.0, t / warmup)
    return _cosine(1.0, 1 / final_div, (t - warmup) / (1 - warmup))


def one_cycle_momentum(
    t: float, *, warmup: float = 0.25, high: float = 0.95, low: float = 0.85
) -> float:
    """Momentum (AdamW's beta1) against the rate: high, low at the peak, high again."""
    if t < warmup:
        return _cosine(high, low, t / warmup)
    return _cosine(low, high, (t - warmup) / (1 - warmup))


def cosine(t: float) -> float:
    """From the peak to zero along a half cosine. Loshchilov and Hutter 2016, arXiv:1608.03983."""
    return _cosine(1.0, 0.0, t)


def constant(t: float) -> float:
    """The same rate throughout."""
    del t
    return 1.0


def cycle_lengths(epochs: int, cycle_len: int, cycle_mult: int) -> tuple[int, ...]:
    """Epochs of each SGDR cycle until `epochs` are used up; the last one may be cut short.

    >>> cycle_lengths(7, 1, 2)
    (1, 2, 4)
    """
    lengths: list[int] = []
    length = cycle_len
    while sum(lengths) < epochs:
        lengths.append(min(length, epochs - sum(lengths)))
        length *= cycle_mult
    return tuple(lengths)


def restarts(t: float, lengths: tuple[int, ...]) -> float:
    """Cosine from the peak to zero within each cycle, then a restart (SGDR, arXiv:1608.03983)."""
    position = t * sum(lengths)
    for length in lengths:
        if position < length:
            return cosine(position / length)
        position -= length
    return 0.0


def lr_ladder(lr_min: float, lr_max: float, num_steps: int, growth: str) -> tuple[float, ...]:
    """The rates of a sweep.

    `exponential`: lr_k = lr_min · (lr_max/lr_min)^(k/num_steps), Smith 2015, arXiv:1506.01186 in
    fastai's form, num_steps + 1 rates, both ends included. `doubling`: lr_min · 2^k up to lr_max.
    """
    if growth == "doubling":
        count = int(math.log2(lr_max / lr_min) + 1e-9) + 1
        return tuple(lr_min * 2**k for k in range(count))
    ratio = lr_max / lr_min
    return tuple(lr_min * ratio ** (k / num_steps) for k in range(num_steps + 1))


def _cosine(start: float, end: float, t: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * t)) / 2
