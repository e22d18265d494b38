"""The card's plots: the sweep, the training's course, the confusion matrix, the calibration.

Drawn with matplotlib's objects, without pyplot's global state; the same facts give the same bytes.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from trainer.events import EpochDone, Evaluated
from trainer.figures import percent, rate
from trainer.margin import wilson_interval
from trainer.metrics import NUM_BINS
from trainer.publish.facts import FoundRate, RunFacts
from trainer.publish.markup import plain

if TYPE_CHECKING:  # matplotlib takes half a second to import: only where something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_MATRIX = 30
"""Classes up to which a confusion matrix can be read."""

# The page's colours (ui/assets/chart.css), which the core cannot import.
TRAIN, VALID, ACCENT, CHOSEN = "#1a5fd0", "#b3540a", "#0b7a6b", "#6b4bbd"
INK, MUTED, LINE = "#1f2937", "#565f6d", "#dfe4ea"
SHADES = ("#ffffff", "#d6f2ec", "#7dd0c1", "#16917f", "#0a6257", "#0b413b")
"""From nothing to everything, the theme's teal (ui/theme.py)."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the card."""

    name: str
    """Its path in the model folder."""
    alt: str
    """What it shows, for those who cannot see it; plain text."""
    draw: Callable[[], "Figure"]


def plots_of(facts: RunFacts) -> tuple[Plot, ...]:
    """What can be drawn; nothing is drawn yet."""
    plots = []
    for number, found in enumerate(facts.rates, start=1):
        name = "plots/sweep.png" if number == 1 else f"plots/sweep-{number}.png"
        plots.append(Plot(name, _sweep_alt(found), lambda found=found: _sweep(found)))
    if facts.epochs:
        plots.append(Plot("plots/curves.png", _curves_alt(facts), lambda: _curves(facts)))
    result = facts.evaluated
    if result is not None and len(result.class_names) <= MAX_MATRIX:
        plots.append(Plot("plots/confusion.png", _matrix_alt(result), lambda: _matrix(result)))
    if result is not None and result.calibration:
        plots.append(Plot("plots/calibration.png", _bins_alt(result), lambda: _bins(result)))
    return tuple(plots)


def draw_plots(facts: RunFacts, folder: Path) -> tuple[Plot, ...]:
    """Write every plot into a model folder; those of an earlier card are replaced."""
    plots = plots_of(facts)
    names = {plot.name for plot in plots}
    for old in folder.glob("plots/*.png"):
        if old.relative_to(folder).as_posix() not in names:
            old.unlink()
    if plots:
        (folder / "plots").mkdir(exist_ok=True)
    for plot in plots:
        _save(plot.draw(), folder / plot.name)
    with suppress(OSError):  # it holds something
        (folder / "plots").rmdir()
    return plots


def _save(figure: "Figure", path: Path) -> None:
    """A small PNG without a date or the name of a program in it."""
    buffer = BytesIO()
    figure.savefig(buffer, dpi=150, format="png", metadata={"Software": None})
    image = Image.open(buffer).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)


def _figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _dress(axes: "Axes", *, x: str, y: str, title: str = "") -> None:
    """Thin lines, small labels."""
    axes.set_facecolor("white")
    axes.grid(visible=True, color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelsize=8, width=0.6)
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_ylabel(y, fontsize=9, color=INK)
    if title:
        axes.set_title(title, fontsize=10, color=INK, loc="left")


def _legend(axes: "Axes", **options: Any) -> None:
    legend = axes.legend(fontsize=8, frameon=False, labelcolor=INK, **options)
    legend.set_in_layout(False)


def _sweep(found: FoundRate) -> "Figure":
    """Loss against rate; under it the trainings that checked the reading, where there were any."""
    swept, tried = found.swept, found.tried
    figure = _figure(7.2, 4.9 if tried else 3.4)
    heights = {"height_ratios": [3, 2]} if tried else {}
    grid = figure.subplots(2 if tried else 1, 1, sharex=True, squeeze=False, gridspec_kw=heights)
    axes = grid[0, 0]
    lrs, losses = np.array(swept.lrs), np.array(swept.losses, float)
    count = len(swept.smooth_losses)
    smooth = np.array(swept.smooth_losses, float)
    if swept.band_low:
        low, high = np.array(swept.band_low, float), np.array(swept.band_high, float)
        axes.fill_between(lrs[: len(low)], low, high, color=TRAIN, alpha=0.15, linewidth=0)
    axes.plot(lrs, losses, color=TRAIN, alpha=0.3, linewidth=0.8, label="loss of a step")
    axes.plot(lrs[:count], smooth, color=TRAIN, linewidth=1.8, label="smoothed")
    _limit(axes, losses, smooth)
    _dress(axes, x="" if tried else "learning rate", y="training loss")
    if tried:
        lower = grid[1, 0]
        shares = 100 * np.array(tried.accuracies)
        errors = 100 * np.nan_to_num(np.array(tried.errors, float))
        lower.errorbar(tried.lrs, shares, errors, color=ACCENT, fmt="o-", ms=4, lw=1.2, capsize=2)
        _dress(lower, x="learning rate", y="held out, % right")
    for each in grid[:, 0]:
        each.set_xscale("log")
        each.minorticks_off()
        if swept.usable:
            each.axvspan(*swept.usable, color=ACCENT, alpha=0.1, linewidth=0, label="good rates")
        if found.lr is not None:
            label = f"trained with {rate(found.lr)}"
            each.axvline(found.lr, color=CHOSEN, linewidth=1.6, label=label)
        if swept.suggested_lr is not None and swept.suggested_lr != found.lr:
            label = f"suggested: {rate(swept.suggested_lr)}"
            each.axvline(swept.suggested_lr, color=MUTED, lw=1.2, ls="--", label=label)
    _legend(axes, loc="upper left")
    return figure


def _limit(axes: "Axes", losses: np.ndarray, smooth: np.ndarray) -> None:
    """Leave most of a blow-up above the plot: what comes before it is what is read."""
    finite = losses[np.isfinite(losses)]
    if finite.size:
        known = smooth if smooth.size else finite
        bottom, start = float(min(finite.min(), known.min())), float(known[0])
        top = min(float(finite.max()), start + 0.75 * max(start - bottom, 0.1 * abs(start)))
        room = 0.06 * (top - bottom or 1.0)
        axes.set_ylim(bottom - room, top + 4 * room)


def _curves(facts: RunFacts) -> "Figure":
    """The losses and the accuracy of each epoch, side by side."""
    epochs = facts.epochs
    figure = _figure(7.2, 3.2)
    left, right = figure.subplots(1, 2)
    at = np.arange(1, len(epochs) + 1)
    dots: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linewidth": 1.6}
    left.plot(at, [e.train_loss for e in epochs], color=TRAIN, label="training", **dots)
    left.plot(at, [e.valid_loss for e in epochs], color=VALID, label="validation", **dots)
    shares = [100 * e.valid_accuracy for e in epochs]
    right.plot(at, shares, color=ACCENT, **dots)
    best = _best(epochs)
    right.plot(at[best], shares[best], "o", ms=9, mfc="none", mec=CHOSEN, label="kept")
    for axes in (left, right):
        for number in range(1, len(epochs)):
            if epochs[number].phase != epochs[number - 1].phase:
                axes.axvline(number + 0.5, color=MUTED, linewidth=0.9, linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
    _dress(left, x="epoch", y="loss")
    left.set_ylim(bottom=0)
    _dress(right, x="epoch", y="validation, % right")
    _legend(left)
    _legend(right, loc="lower right")
    return figure


def _best(epochs: tuple[EpochDone, ...]) -> int:
    """The epoch whose weights were kept."""
    return max(
        range(len(epochs)),
        key=lambda i: (epochs[i].valid_accuracy, -epochs[i].valid_loss, -i),
    )


def _matrix(result: Evaluated) -> "Figure":
    """Rows are what the pictures are, columns what the model says; shaded by the row's share."""
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.array(result.confusion)
    number = len(counts)
    side = 1.1 + (0.36 if number <= 12 else 0.25) * number
    figure = _figure(max(2.8, side + 0.2), max(2.6, side))
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shades = LinearSegmentedColormap.from_list("teal", SHADES)
    axes.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="equal")
    size = 8 if number <= 12 else 5.5
    for true, pred in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[true, pred] > 0.5 else INK
        count = axes.text(pred, true, f"{counts[true, pred]}", fontsize=size, color=colour)
        count.set(ha="center", va="center")
    names = [_label(name, index) for index, name in enumerate(result.class_names)]
    options: dict[str, Any] = {"fontsize": 8 if number <= 12 else 6.5, "parse_math": False}
    angle = 90 if max(map(len, names)) > 2 else 0
    axes.set_xticks(range(number), names, rotation=angle, **options)
    axes.set_yticks(range(number), names, **options)
    _dress(axes, x="the model says", y="it is")
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=options["fontsize"])
    axes.spines[["left", "bottom"]].set_visible(False)
    return figure


def _label(name: str, index: int) -> str:
    """A class at an axis: its name if the font has it, else its number."""
    from matplotlib.font_manager import findfont, get_font

    shown = plain(name, 16)
    font = get_font(findfont("DejaVu Sans"))
    return shown if shown and all(font.get_char_index(ord(c)) for c in shown) else f"#{index + 1}"


def _bins(result: Evaluated) -> "Figure":
    """How often answers given with some confidence are right, and how many there are of each."""
    figure = _figure(3.8, 4.0)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    held = [(n, mean, share) for n, mean, share in result.calibration if n]
    upper.plot([0, 100], [0, 100], color=MUTED, lw=1, ls="--", label="as sure as right")
    means, shares = ([100 * each[i] for each in held] for i in (1, 2))
    intervals = [wilson_interval(round(share * n), n) for n, _, share in held]
    down = [max(0.0, share - 100 * low) for share, (low, _) in zip(shares, intervals, strict=True)]
    up = [max(0.0, 100 * high - share) for share, (_, high) in zip(shares, intervals, strict=True)]
    upper.errorbar(
        means, shares, [down, up], color=ACCENT, fmt="o", ms=4.5, lw=1, capsize=2, label="pictures"
    )
    upper.set_ylim(0, 102)
    upper.set_xlim(0, 102)
    _dress(upper, x="", y="right, %")
    _legend(upper, loc="upper left")
    edges = (np.arange(NUM_BINS) + 0.5) * 100 / NUM_BINS
    counts = [n for n, _, _ in result.calibration]
    lower.bar(edges, counts, width=90 / NUM_BINS, color=ACCENT, alpha=0.7)
    _dress(lower, x="confidence, %", y="pictures")
    return figure


def _sweep_alt(found: FoundRate) -> str:
    checked = " and the accuracy of trainings at several rates" if found.tried else ""
    lrs = found.swept.lrs
    span = f" from {rate(lrs[0])} to {rate(lrs[-1])}" if lrs else ""
    return f"Loss against learning rate{span}{checked}; trained with {rate(found.lr)}"


def _curves_alt(facts: RunFacts) -> str:
    epochs = facts.epochs
    best = epochs[_best(epochs)]
    return (
        f"Losses and validation accuracy over {len(epochs)} epochs; the best has "
        f"{percent(best.valid_accuracy)} and a validation loss of {_short(best.valid_loss)}"
    )


def _matrix_alt(result: Evaluated) -> str:
    right = sum(row[index] for index, row in enumerate(result.confusion))
    return f"Confusion matrix of {result.num_images} pictures, {right} of them right"


def _bins_alt(result: Evaluated) -> str:
    error = percent(result.calibration_error)
    return f"Accuracy against confidence; the expected calibration error is {error}"


def _short(loss: float) -> str:
    return f"{loss:.3f}" if math.isfinite(loss) else "not finite"
