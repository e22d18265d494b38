"""The events that sweep, fit, evaluate and predict yield: small frozen records of plain values.

An event becomes one JSON object with an "event" key, in the run's journal and on the command
line. Rates are absolute, fractions 0–1, `step` counts optimizer updates over the whole run and
`epoch` is 0-based within its phase. A loss that is not finite is written as null.
"""

from trainer.events.publishing import Preflight, Pushed
from trainer.events.results import Checked, Evaluated, Exported, Planned, Predicted
from trainer.events.run import Failed, Note, Progress, Started, Stopped
from trainer.events.sweep import Raced, SweepStep, Swept, Tried
from trainer.events.text import NAMES, Event, from_json, to_json
from trainer.events.training import Done, EpochDone, PhaseStarted, Step

__all__ = [
    "Checked",
    "Done",
    "EpochDone",
    "Evaluated",
    "Event",
    "Exported",
    "Failed",
    "NAMES",
    "Note",
    "PhaseStarted",
    "Planned",
    "Predicted",
    "Preflight",
    "Progress",
    "Pushed",
    "Raced",
    "Started",
    "Step",
    "Stopped",
    "SweepStep",
    "Swept",
    "Tried",
    "from_json",
    "to_json",
]
