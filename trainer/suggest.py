"""Learning-rate suggestions: pure functions of a sweep's rates and raw losses.

`published` gives the rules of fastai 2.8, torch-lr-finder 0.2 and ignite 0.5, each with its own
smoothing and cut; `suggest` picks one rate and says why, or says that the curve holds no signal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.figures import rate


@dataclass(frozen=True, slots=True)
class Suggestion:
    lr: float | None
    """The peak rate to train with; none: the curve says nothing usable."""
    reason: str
    rules: dict[str, float | None]
    """What each published rule says of this curve; none where it cannot say."""
    usable: tuple[float, ...] = ()
    """The lowest and the highest rate to train with; empty without a suggestion."""
    steep: tuple[float, ...] = ()
    """Between which rates the loss falls steeply; empty where it does not fall."""
    measured: bool = False
    """Whether trainings at several rates stand behind it."""
    ceiling: float | None = None
    """The rate from which on the loss only lies above where it began; none where it does not."""


def suggest(lrs: Sequence[float], losses: Sequence[float]) -> Suggestion:
    """The rate of the lowest loss divided by ten, where the curve really falls.

    On pretrained and from-scratch trials `minimum`/10 loses least of the published rules; on a
    flat or rising curve every rule still answers, so those curves are refused first.

    Args:
        lrs: the rates planned, rising.
        losses: the raw loss of each step, fewer than the rates where it diverged; may end in NaN.
    """
    rules = published(lrs, losses)
    finite = _until_nan(losses)
    if len(finite) < 10:
        text = f"The sweep has only {len(finite)} steps with a finite loss; start at a lower rate."
        return Suggestion(None, text, rules)
    smooth, head = smooth_centered(finite), max(3, len(finite) // 10)
    start = float(np.median(finite[:head]))
    lowest = int(np.argmin(smooth))
    fall = start - float(smooth[lowest])
    if fall <= max(0.05 * abs(start), _doubt(finite, head)):
        text = (
            f"No usable signal: the loss falls by {max(fall, 0):.2g} from {start:.2g}, no more "
            "than its noise. Try larger batches, more pictures or another range."
        )
        return Suggestion(None, text, rules, ceiling=ceiling(lrs, finite))
    if lowest < head:
        text = (
            f"No usable signal: the loss only rises from the first rates on, {rate(lrs[0])} and "
            "above. Start the sweep at a lower rate."
        )
        return Suggestion(None, text, rules, ceiling=ceiling(lrs, finite))
    lr = rules["minimum"]
    if lr is None:
        return Suggestion(None, "The curve is too short for a suggestion; take more steps.", rules)
    text = (
        f"The loss falls from {start:.2f} to {smooth[lowest]:.2f} and is lowest near "
        f"{rate(lr * 10)}; a tenth of that, {rate(lr)}, still learns fast and keeps a "
        "safe distance from the rates at which the loss blows up."
    )
    low = float(lrs[int(np.argmax(smooth <= start - 0.2 * fall))])
    usable = (min(low, lr), max(lr, lr * 10**0.5))
    return Suggestion(lr, text, rules, usable, steep_region(lrs, smooth[: lowest + 1]))


def ceiling(lrs: Sequence[float], losses: Sequence[float]) -> float | None:
    """From which rate on the loss is above that of the first half for good; none where it is not.

    A model that is good already shows no fall; what its curve does show is where training would
    undo it.

    Args:
        lrs: the rates, rising.
        losses: the raw loss of each step, finite, ten or more.
    """
    early = np.asarray(losses[: len(losses) // 2])
    middle = float(np.median(early))
    spread = 1.48 * float(np.median(np.abs(early - middle)))
    above = smooth_centered(losses) > middle + max(2 * spread, 0.1 * middle)
    if not above[-1]:
        return None
    calm = np.flatnonzero(~above)
    return float(lrs[int(calm[-1]) + 1 if len(calm) else 0])


def steep_region(lrs: Sequence[float], smooth: np.ndarray) -> tuple[float, float]:
    """Where the loss falls at least half as fast, against the logarithm of the rate, as at its
    steepest: the stretch that the lesson points at.

    Args:
        lrs: the rates, rising.
        smooth: the smoothed loss at each, two or more.
    """
    slopes = np.gradient(smooth, np.log(np.asarray(lrs, dtype=float)[: len(smooth)]))
    steepest = int(np.argmin(slopes))
    low = high = steepest
    while low > 0 and slopes[low - 1] <= slopes[steepest] / 2:
        low -= 1
    while high + 1 < len(slopes) and slopes[high + 1] <= slopes[steepest] / 2:
        high += 1
    return float(lrs[low]), float(lrs[high])


def published(lrs: Sequence[float], raw_losses: Sequence[float]) -> dict[str, float | None]:
    """What each published rule suggests, by name: `valley`, `slide`, `minimum`, `steep` (fastai),
    `doubling` (the lesson), `torch_lr_finder` and `ignite`; none where the curve is too short.

    Args:
        lrs: the rates planned.
        raw_losses: the loss at each, fewer where the sweep ended early.
    """
    count = len(_until_nan(raw_losses))
    rates = np.asarray(lrs, dtype=float)[:count]
    raw = np.asarray(raw_losses, dtype=float)[:count]
    fastai = _fastai_points(rates, raw, len(lrs))
    light = _ema(raw)
    return {
        "valley": valley(*fastai),
        "slide": slide(*fastai),
        "minimum": minimum(*fastai),
        "steep": steep(*fastai),
        "doubling": doubling(rates, raw),
        "torch_lr_finder": torch_lr_finder(rates[10:-5], light[10:-5]),
        "ignite": ignite(rates, light),
    }


def valley(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """A third into the longest falling stretch (fastai, after ESRI's arcgis.learn)."""
    if len(losses) < 3:
        return None
    lengths = np.ones(len(losses), dtype=int)
    for end in range(1, len(losses)):
        higher = losses[:end] > losses[end]
        lengths[end] = 1 + (lengths[:end][higher].max() if higher.any() else 0)
    end = int(np.argmax(lengths))
    start = end - int(lengths[end])  # one before the stretch, so -1 where it is the whole curve
    section = (end - start) / 3
    return float(lrs[max(0, start + int(section) + int(section / 2))])


def slide(
    lrs: np.ndarray, losses: np.ndarray, *, width: int = 15, flat: float = 0.005
) -> float | None:
    """From the right, the last place where the slope changes within `width` steps (fastai)."""
    if len(losses) < width + 2:
        return None
    slopes = np.gradient(losses)
    right, left = -1, -1 - width
    found = None
    while left >= -len(slopes) and abs(slopes[right] - slopes[left]) > flat:
        found = float(lrs[left])
        right, left = right - 1, left - 1
    return found


def minimum(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """A tenth of the rate of the lowest loss (fastai)."""
    return float(lrs[int(np.argmin(losses))]) / 10 if len(losses) else None


def steep(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """The steepest fall against the logarithm of the rate (fastai)."""
    if len(losses) < 2:
        return None
    return float(lrs[int(np.argmin(np.diff(losses) / np.diff(np.log(lrs))))])


def doubling(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """The rate whose doubling lowers the loss most: the first lesson's ladder, which doubles the
    rate at every step, read off this curve by the mean loss between one doubling and the next."""
    if len(losses) < 2:
        return None
    rung = np.floor(np.log2(lrs / lrs[0]) + 1e-9).astype(int)
    rungs = np.unique(rung)
    means = np.array([losses[rung == number].mean() for number in rungs])
    if len(means) < 2:
        return None
    return float(lrs[0] * 2.0 ** rungs[int(np.argmin(np.diff(means)))])


def torch_lr_finder(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """The steepest fall against the step (torch-lr-finder)."""
    return float(lrs[int(np.argmin(np.gradient(losses)))]) if len(losses) >= 2 else None


def ignite(lrs: np.ndarray, losses: np.ndarray) -> float | None:
    """The steepest central difference before the minimum (ignite)."""
    before = losses[: int(np.argmin(losses)) + 1] if len(losses) else losses
    if len(before) < 3:
        return None
    return float(lrs[1 + int(np.argmin((before[2:] - before[:-2]) / 2))])


def smooth_centered(losses: Sequence[float], *, width: float | None = None) -> np.ndarray:
    """A Gaussian mean around each step, which unlike a running mean does not lag behind.

    Args:
        losses: finite.
        width: standard deviation in steps; a fortieth of the curve if not given.
    """
    values = np.asarray(losses, dtype=float)
    sigma = width or max(1.0, len(values) / 40)
    steps = np.arange(len(values))
    weights = np.exp(-(((steps[:, None] - steps[None, :]) / sigma) ** 2) / 2)
    return (weights @ values) / weights.sum(axis=1)


def _doubt(losses: Sequence[float], head: int) -> float:
    """A fall that noise alone makes in one of a hundred flat curves.

    The noise of one step is taken from the differences of neighbours. The start is the median of
    `head` steps and the minimum a Gaussian mean over about 3.5 widths; 3.5 standard errors of
    their difference, because the lowest of many places is picked (1 % of 300 flat curves).
    """
    noise = float(np.median(np.abs(np.diff(losses)))) / 0.954
    return 3.5 * noise * math.sqrt(1.57 / head + 1 / (3.54 * max(1.0, len(losses) / 40)))


def _fastai_points(
    lrs: np.ndarray, raw: np.ndarray, num_planned: int
) -> tuple[np.ndarray, np.ndarray]:
    """fastai's debiased EMA 0.98, without the first tenth and the last five points."""
    first = num_planned // 10
    return lrs[first:-5], _ema_debiased(raw)[first:-5]


def _ema_debiased(raw: np.ndarray, beta: float = 0.98) -> np.ndarray:
    """fastai's running mean, in float32 as there: `valley` compares neighbours that differ less
    than that."""
    out = np.empty(len(raw), dtype=np.float32)
    mean, keep = np.float32(0), np.float32(1) - np.float32(beta)
    for step, value in enumerate(raw.astype(np.float32)):
        mean = mean - (mean - value) * keep
        out[step] = mean / np.float32(1 - beta ** (step + 1))
    return out


def _ema(raw: np.ndarray, keep: float = 0.05) -> np.ndarray:
    """torch-lr-finder's and ignite's running mean, which starts at the first loss."""
    out = np.array(raw, dtype=float)
    for step in range(1, len(out)):
        out[step] = keep * out[step] + (1 - keep) * out[step - 1]
    return out


def _until_nan(losses: Sequence[float]) -> list[float]:
    """The losses before the first that is not finite."""
    kept: list[float] = []
    for loss in losses:
        if not math.isfinite(loss):
            break
        kept.append(float(loss))
    return kept
