"""What the training's charts draw of a fold: plain dicts for `LiveChart`. Pure."""

from typing import Any

from trainer.figures import percent
from trainer.suggest import smooth_centered
from ui.fold import Fold


def series(name: str, role: str, style: str, points: Any) -> dict[str, Any]:
    """One line of a chart, on the left axis."""
    return {
        "name": name,
        "role": role,
        "style": style,
        "axis": "left",
        "points": [list(point) for point in points],
    }


def empty_chart(fold: Fold) -> dict[str, Any]:
    """A chart before its first point: what is being done meanwhile."""
    return {"empty": f"{fold.waiting.text} …"} if fold.waiting else {}


def loss_chart(fold: Fold) -> dict[str, Any]:
    """Training loss of each step and its mean, validation loss and accuracy of each epoch."""
    if not fold.steps:
        return empty_chart(fold)
    raw = [[step.step, step.loss] for step in fold.steps]
    smooth = smooth_centered([loss for _, loss in raw])
    mean = [[x, float(y)] for (x, _), y in zip(raw, smooth, strict=True)]
    lines = [
        series("Training loss, each step", "raw", "faint", raw),
        series("Training loss", "train", "line", mean),
    ]
    if fold.epochs:
        loss = [[epoch.step, epoch.valid_loss] for epoch in fold.epochs]
        accuracy = [[epoch.step, epoch.valid_accuracy] for epoch in fold.epochs]
        lines.append(series("Validation loss", "valid", "line", loss))
        lines.append({**series("Validation accuracy", "other", "line", accuracy), "axis": "right"})
    best = [epoch for epoch in fold.epochs if epoch.best]
    marks = []
    if best:
        label = f"best {percent(best[-1].valid_accuracy)}"
        x, y = best[-1].step, best[-1].valid_accuracy
        marks.append({"x": x, "y": y, "label": label, "role": "best", "axis": "right"})
    return {"series": lines, "shade": _phase_shades(fold), "marks": marks, "x_range": _steps(fold)}


def rate_chart(fold: Fold) -> dict[str, Any]:
    """The learning rate of each step."""
    if not fold.steps:
        return {}
    points = [[step.step, step.lr] for step in fold.steps]
    return {"series": [series("Learning rate", "lr", "line", points)], "x_range": _steps(fold)}


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
