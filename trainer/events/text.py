"""One line of JSON for each event, and back; which events there are."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import get_args

from trainer.events.publishing import Preflight, Pushed
from trainer.events.results import Checked, Evaluated, Exported, Planned, Predicted
from trainer.events.run import Failed, Note, Progress, Started, Stopped
from trainer.events.sweep import Raced, SweepStep, Swept, Tried
from trainer.events.training import Done, EpochDone, PhaseStarted, Step

NAMES: Mapping[str, type] = {
    "started": Started,
    "note": Note,
    "progress": Progress,
    "sweep_step": SweepStep,
    "swept": Swept,
    "tried": Tried,
    "raced": Raced,
    "phase": PhaseStarted,
    "step": Step,
    "epoch": EpochDone,
    "stopped": Stopped,
    "done": Done,
    "evaluated": Evaluated,
    "prediction": Predicted,
    "checked": Checked,
    "planned": Planned,
    "exported": Exported,
    "pushed": Pushed,
    "preflight": Preflight,
    "failed": Failed,
}
"""Every event by its name in JSON."""

Event = (
    Started
    | Note
    | Progress
    | SweepStep
    | Swept
    | Tried
    | Raced
    | PhaseStarted
    | Step
    | EpochDone
    | Stopped
    | Done
    | Evaluated
    | Predicted
    | Checked
    | Planned
    | Exported
    | Pushed
    | Preflight
    | Failed
)


def to_json(event: Event) -> str:
    """One line of JSON; numbers that are not finite become null, as JSON has no name for them."""
    name = next(name for name, kind in NAMES.items() if type(event) is kind)
    values = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    # ASCII: a file's name need not be Unicode, nor a terminal able to show it.
    return json.dumps({"event": name, **values}, allow_nan=False)


def from_json(line: str) -> Event:
    """The event that `to_json` wrote; a null loss comes back as NaN.

    Raises:
        ValueError: the line is not JSON or not an event.
    """
    values = json.loads(line)
    kind = NAMES.get(str(values.pop("event", ""))) if isinstance(values, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]!r}")
    known = {field.name: field for field in fields(kind)}
    try:
        return kind(**{n: _typed(v, known[n].type) for n, v in values.items() if n in known})
    except TypeError as error:
        raise ValueError(f"not an event: {line[:80]!r}") from error


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _typed(value: object, annotation: object) -> object:
    if value is None and annotation is float:
        return math.nan
    if isinstance(value, list):
        inner = next(iter(get_args(annotation)), object)
        return tuple(_typed(item, inner) for item in value)
    return value
