"""What the Sweep tab's charts draw of a fold: the curve, what was measured, the race. Pure."""

import math
from typing import Any

from trainer.events import Swept
from trainer.figures import rate
from trainer.suggest import smooth_centered
from ui.charts import empty_chart, series
from ui.fold import Fold

RULE_NAMES = {
    "valley": "valley",
    "slide": "slide",
    "minimum": "minimum / 10",
    "steep": "steepest",
    "doubling": "doubling ladder",
    "torch_lr_finder": "torch-lr-finder",
    "ignite": "ignite",
}


def sweep_chart(fold: Fold, picked: float | None) -> dict[str, Any]:
    """The sweep so far: raw losses faint, the smooth line, and once it is over the suggestions."""
    if fold.swept is not None:
        return _swept_chart(fold, fold.swept, picked)
    curves: dict[int, list[list[float]]] = {}
    for step in fold.sweep_steps:
        curves.setdefault(step.repeat, []).append([step.lr, step.loss])
    if not curves:
        return empty_chart(fold)
    latest = curves[max(curves)]
    lines = [
        series(f"Sweep {number + 1}", "raw", "faint", curve) for number, curve in curves.items()
    ]
    finite = [point for point in latest if math.isfinite(point[1])]
    if len(finite) > 4:
        smooth = smooth_centered([loss for _, loss in finite])
        points = [[lr, float(loss)] for (lr, _), loss in zip(finite, smooth, strict=True)]
        lines.append(series("Smoothed loss", "smooth", "line", points))
    return {"series": lines, "x_range": _range(fold), "picked": picked}


def _swept_chart(fold: Fold, swept: Swept, picked: float | None) -> dict[str, Any]:
    smooth = [list(pair) for pair in zip(swept.lrs, swept.smooth_losses, strict=False)]
    raw = list(zip(swept.lrs, swept.losses, strict=True))
    shade = []
    if swept.usable:
        low, high = swept.usable
        shade.append({"from": low, "to": high, "label": "usable", "role": "suggested"})
    if swept.steep:
        low, high = swept.steep
        shade.append({"from": low, "to": high, "label": "falls steeply", "role": "steep"})
    return {
        "series": [
            series("Loss of each step", "raw", "faint", raw),
            series("Smoothed loss", "smooth", "line", smooth),
        ],
        "band": [
            list(point) for point in zip(swept.lrs, swept.band_low, swept.band_high, strict=False)
        ],
        "band_label": "Range of the repeats",
        "marks": _marks(swept, smooth),
        "shade": shade,
        "picked": picked,
        "x_range": _range(fold),
    }


def _marks(swept: Swept, smooth: list[list[float]]) -> list[dict[str, Any]]:
    """A dot for each rule and the suggestion, and where the loss blew up."""
    chosen = swept.suggested_lr
    marks: list[dict[str, Any]] = []
    for rule, lr in swept.suggestions.items():
        if lr is not None and lr != chosen:
            label = RULE_NAMES.get(rule, rule)
            marks.append({"x": lr, "y": _height(smooth, lr), "label": label, "role": "rule"})
    if chosen is not None:
        label, y = f"suggested {rate(chosen)}", _height(smooth, chosen)
        marks.append({"x": chosen, "y": y, "label": label, "role": "suggested"})
    if swept.diverged:
        last = swept.losses[-1]
        y = last if math.isfinite(last) else None
        marks.append({"x": swept.lrs[-1], "y": y, "label": "diverged", "role": "diverged"})
    return marks


def measured_chart(fold: Fold) -> dict[str, Any]:
    """Accuracy on held-out pictures against the rate, with its standard error."""
    tried, swept = fold.tried, fold.swept
    if tried is None:
        return {}
    points = [list(pair) for pair in zip(tried.lrs, tried.accuracies, strict=True)]
    band = [
        [lr, max(0.0, accuracy - error), min(1.0, accuracy + error)]
        for (lr, accuracy), error in zip(points, tried.errors, strict=True)
    ]
    chart: dict[str, Any] = {
        "series": [series("Accuracy on held-out pictures", "valid", "line", points)],
        "band": band,
        "band_label": "Standard error",
        "x_range": [tried.lrs[0], tried.lrs[-1]],
    }
    if swept is not None and swept.measured and swept.suggested_lr is not None:
        chosen = swept.suggested_lr
        low, high = swept.usable
        label = f"suggested {rate(chosen)}"
        y = _height(points, chosen)
        chart["marks"] = [{"x": chosen, "y": y, "label": label, "role": "suggested"}]
        chart["shade"] = [{"from": low, "to": high, "label": "", "role": "suggested"}]
    return chart


def race_chart(fold: Fold) -> dict[str, Any]:
    """Three trainings from the same start: too low, suggested, too high."""
    if fold.raced is None:
        return {}
    lines = []
    rows = zip(fold.raced.names, fold.raced.lrs, fold.raced.losses, strict=True)
    for (name, lr, losses), role in zip(rows, ("lr", "train", "valid"), strict=True):
        finite = [loss for loss in losses if loss is not None and math.isfinite(loss)]
        smooth = smooth_centered(finite) if finite else []
        points = [[step + 1, float(loss)] for step, loss in enumerate(smooth)]
        lines.append(series(f"{name}, {rate(lr)}", role, "line", points))
    return {"series": lines}


def _range(fold: Fold) -> list[float] | None:
    """The whole ladder from the start, so that nothing jumps while points arrive."""
    first = fold.sweep_steps[0].lr if fold.sweep_steps else None
    if first is None:
        return None
    if fold.swept is None:
        return [first, max(10.0, fold.sweep_steps[-1].lr)]
    return [first, max(step.lr for step in fold.sweep_steps)]


def _height(points: list[list[float]], lr: float) -> float | None:
    """The value nearest to a rate."""
    if not points:
        return None
    return min(points, key=lambda point: abs(math.log(point[0] / lr)))[1]
