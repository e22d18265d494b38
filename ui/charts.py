"""What the charts draw of a fold: plain dicts for `LiveChart`. Pure."""

import math
from typing import Any

from trainer.suggest import smooth_centered
from ui.fold import Fold
from ui.words import rate

RULE_NAMES = {
    "valley": "valley",
    "slide": "slide",
    "minimum": "minimum / 10",
    "steep": "steepest",
    "torch_lr_finder": "torch-lr-finder",
    "ignite": "ignite",
}


def sweep_chart(fold: Fold, picked: float | None) -> dict[str, Any]:
    """The sweep so far: raw losses faint, the smooth line, and once it is over the suggestions."""
    if fold.swept is not None:
        return _swept_chart(fold, picked)
    curves: dict[int, list[list[float]]] = {}
    for step in fold.sweep_steps:
        curves.setdefault(step.repeat, []).append([step.lr, step.loss])
    if not curves:
        return {}
    latest = curves[max(curves)]
    series = [
        _series(f"Sweep {number + 1}", "raw", "faint", curve) for number, curve in curves.items()
    ]
    finite = [point for point in latest if math.isfinite(point[1])]
    if len(finite) > 4:
        smooth = smooth_centered([loss for _, loss in finite])
        points = [[lr, float(loss)] for (lr, _), loss in zip(finite, smooth, strict=True)]
        series.append(_series("Smoothed loss", "smooth", "line", points))
    return {"series": series, "x_range": _range(fold), "picked": picked}


def _swept_chart(fold: Fold, picked: float | None) -> dict[str, Any]:
    swept = fold.swept
    assert swept is not None
    smooth = [list(pair) for pair in zip(swept.lrs, swept.smooth_losses, strict=False)]
    series = [
        _series(
            "Loss of each step", "raw", "faint", list(zip(swept.lrs, swept.losses, strict=True))
        ),
        _series("Smoothed loss", "smooth", "line", smooth),
    ]
    chosen = swept.suggested_lr
    marks = [
        {
            "x": lr,
            "y": _height(smooth, lr),
            "label": f"{RULE_NAMES.get(rule, rule)}",
            "role": "rule",
        }
        for rule, lr in swept.suggestions.items()
        if lr is not None and lr != chosen
    ]
    shade = []
    if chosen is not None:
        label = f"suggested {rate(chosen)}"
        marks.append(
            {"x": chosen, "y": _height(smooth, chosen), "label": label, "role": "suggested"}
        )
        shade.append({"from": chosen / 3, "to": chosen * 3, "label": "usable", "role": "suggested"})
    if swept.diverged:
        last = [swept.lrs[-1], swept.losses[-1]]
        y = last[1] if math.isfinite(last[1]) else None
        marks.append({"x": last[0], "y": y, "label": "diverged", "role": "diverged"})
    return {
        "series": series,
        "band": _band(fold),
        "band_label": "Range of the repeats",
        "marks": marks,
        "shade": shade,
        "picked": picked,
        "x_range": _range(fold),
    }


def loss_chart(fold: Fold) -> dict[str, Any]:
    """Training loss of each step and its mean, validation loss and accuracy of each epoch."""
    if not fold.steps:
        return {}
    raw = [[step.step, step.loss] for step in fold.steps]
    smooth = smooth_centered([loss for _, loss in raw])
    mean = [[x, float(y)] for (x, _), y in zip(raw, smooth, strict=True)]
    series = [
        _series("Training loss, each step", "raw", "faint", raw),
        _series("Training loss", "train", "line", mean),
    ]
    if fold.epochs:
        loss = [[epoch.step, epoch.valid_loss] for epoch in fold.epochs]
        accuracy = [[epoch.step, epoch.valid_accuracy] for epoch in fold.epochs]
        series.append(_series("Validation loss", "valid", "line", loss))
        series.append(
            {**_series("Validation accuracy", "other", "line", accuracy), "axis": "right"}
        )
    best = [epoch for epoch in fold.epochs if epoch.best]
    marks = []
    if best:
        label = f"best {best[-1].valid_accuracy:.1%}"
        x, y = best[-1].step, best[-1].valid_accuracy
        marks.append({"x": x, "y": y, "label": label, "role": "best", "axis": "right"})
    return {"series": series, "shade": _phase_shades(fold), "marks": marks, "x_range": _steps(fold)}


def rate_chart(fold: Fold) -> dict[str, Any]:
    """The learning rate of each step."""
    if not fold.steps:
        return {}
    points = [[step.step, step.lr] for step in fold.steps]
    return {"series": [_series("Learning rate", "lr", "line", points)], "x_range": _steps(fold)}


def _series(name: str, role: str, style: str, points: Any) -> dict[str, Any]:
    return {
        "name": name,
        "role": role,
        "style": style,
        "axis": "left",
        "points": [list(point) for point in points],
    }


def _phase_shades(fold: Fold) -> list[dict[str, Any]]:
    shades = []
    for index, phase in enumerate(fold.phases):
        later = fold.phases[index + 1 :]
        end = later[0].first_step if later else phase.first_step + phase.num_steps
        role = "frozen" if phase.frozen else "unfrozen"
        label = "head" if phase.frozen else "all layers"
        shades.append({"from": phase.first_step, "to": end, "label": label, "role": role})
    return shades


def _steps(fold: Fold) -> list[float]:
    """From the first step to the last one planned, or to the last one taken once it is over."""
    assert fold.last_step is not None
    end = fold.last_step.step if fold.ended else fold.last_step.total_steps
    return [0, max(1, end)]


def _range(fold: Fold) -> list[float] | None:
    """The whole ladder from the start, so that nothing jumps while points arrive."""
    first = fold.sweep_steps[0].lr if fold.sweep_steps else None
    if first is None:
        return None
    if fold.swept is None:
        return [first, max(10.0, fold.sweep_steps[-1].lr)]
    return [first, max(step.lr for step in fold.sweep_steps)]


def _band(fold: Fold) -> list[list[float]]:
    """Lowest and highest smoothed loss of the repeats at each rate."""
    curves: dict[int, list[float]] = {}
    for step in fold.sweep_steps:
        curves.setdefault(step.repeat, []).append(step.loss)
    if len(curves) < 2:
        return []
    length = min(len(curve) for curve in curves.values())
    finite = min(
        next((i for i, loss in enumerate(curve[:length]) if not math.isfinite(loss)), length)
        for curve in curves.values()
    )
    if finite < 5:
        return []
    smooth = [smooth_centered(curve[:finite]) for curve in curves.values()]
    lrs = [step.lr for step in fold.sweep_steps[:finite]]
    return [
        [lr, float(min(values)), float(max(values))]
        for lr, *values in zip(lrs, *smooth, strict=True)
    ]


def _height(points: list[list[float]], lr: float) -> float | None:
    """The smoothed loss nearest to a rate."""
    if not points:
        return None
    return min(points, key=lambda point: abs(math.log(point[0] / lr)))[1]
