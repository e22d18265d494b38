"""The events that sweep, fit, evaluate and predict yield: small frozen records of plain values.

An event becomes one JSON object with an "event" key, in the run's journal and on the command
line. Rates are absolute, fractions 0–1, `step` counts optimizer updates over the whole run and
`epoch` is 0-based within its phase. A loss that is not finite is written as null.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import get_args


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """A run begins: what runs where, with the reason of each choice."""

    kind: str
    model_name: str = ""
    dataset: str = ""
    device: str = ""
    precision: str = ""
    reason: str = ""
    num_train: int = 0
    num_valid: int = 0
    class_names: tuple[str, ...] = ()
    num_parameters: int = 0
    image_size: int = 0
    num_test: int = 0
    train_counts: tuple[int, ...] = ()
    """Training pictures of each class."""
    num_skipped: int = 0
    """Files and rows that were left out: no pictures, damaged, too large."""
    dataset_kind: str = ""
    """`builtin`, `folder`, `zip` or `hub`."""
    dataset_revision: str = ""
    """Commit of a Hub dataset."""
    split_rule: str = ""
    """How train and valid were told apart, in words."""
    dataset_licence: str = ""
    """As the dataset states it; empty where it states none."""
    hardware: str = ""
    """The processor or GPU by its name, and how much of it was used."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of Python and the libraries that compute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Something the person should know: a choice that was made and why."""

    text: str
    about: str = ""
    """`data`: what the check of the pictures warns of; `augmentation`: which, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A wait other than training steps: what is happening and how far it is."""

    text: str
    done: int
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStep:
    """One step of a sweep: the rate used and the raw loss of its batch."""

    step: int
    total_steps: int
    repeat: int
    lr: float
    loss: float
    smooth_loss: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Swept:
    """A sweep is over; the weights are as they were before it."""

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smooth_losses: tuple[float, ...] = ()
    band_low: tuple[float, ...] = ()
    """Lowest smoothed loss of the repeats at each rate; empty after a single sweep."""
    band_high: tuple[float, ...] = ()
    suggestions: Mapping[str, float | None]
    suggested_lr: float | None
    """None: no usable signal; `reason` says why and what to change."""
    usable: tuple[float, ...] = ()
    """The lowest and the highest rate to train with; empty where there is no suggestion."""
    steep: tuple[float, ...] = ()
    """Between which rates the loss falls steeply; empty where it does not."""
    ceiling: float | None = None
    """Without a suggestion: the rate from which on the loss only rises, if it does."""
    measured: bool = False
    """Whether trainings at several rates stand behind the suggestion, or the curve alone."""
    reason: str
    diverged: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """Trainings at several rates, judged on training pictures that were held out of them."""

    what: str
    """What each training was, in words."""
    lrs: tuple[float, ...]
    accuracies: tuple[float, ...]
    """0–1, one a rate."""
    errors: tuple[float, ...]
    """Standard error of each accuracy."""
    losses: tuple[float, ...]
    num_held_out: int
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Raced:
    """Short trainings at a rate that is too low, the suggested one, and one too high."""

    names: tuple[str, ...]
    lrs: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    """The training loss of each step, one row a rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseStarted:
    """A phase of training begins: some epochs with one set of trainable layers."""

    phase: str
    title: str
    why: str
    first_step: int
    num_steps: int
    total_steps: int
    epochs: int
    frozen: bool
    lr: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One optimizer update."""

    step: int
    total_steps: int
    epoch: int
    loss: float
    lr: float
    images_per_second: float
    seconds_left: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochDone:
    """An epoch and its validation are over."""

    step: int
    phase: str
    epoch: int
    epochs: int
    train_loss: float
    valid_loss: float
    valid_accuracy: float
    best: bool
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Stopped:
    """The run was asked to stop; what it had reached is kept."""

    step: int
    total_steps: int
    checkpoint: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Training is over: the best checkpoint by validation was exported."""

    valid_accuracy: float
    valid_loss: float
    num_valid: int
    num_train: int
    lr: float
    model_dir: str
    seconds: float
    num_correct: int = 0
    best_epoch: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """The figures of one split: Σcorrect/Σseen, mean loss, and who was taken for whom."""

    accuracy: float
    loss: float
    num_images: int
    confusion: tuple[tuple[int, ...], ...]
    """Rows are the true classes, columns the predicted ones, `[num_classes, num_classes]`."""
    class_names: tuple[str, ...]
    split: str = "valid"
    precision: tuple[float | None, ...] = ()
    """One a class; null where nothing was predicted as the class."""
    recall: tuple[float | None, ...] = ()
    """One a class; null where the split holds no picture of the class."""
    seconds: float = 0.0
    worst: tuple[tuple[str, str, str, float], ...] = ()
    """The most confident mistakes: name, true class, predicted class, its probability."""
    f1: tuple[float | None, ...] = ()
    """One a class, 2·TP / (2·TP + FP + FN); null where that is 0 / 0."""
    macro_f1: float | None = None
    """Mean of `f1` over the classes that have one."""
    calibration_error: float | None = None
    """Expected calibration error over 15 equal bins of confidence, 0–1 (Guo et al. 2017)."""
    calibration: tuple[tuple[int, float, float], ...] = ()
    """The bins: pictures, mean confidence and accuracy, 0–1; zeros where a bin is empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """The most probable classes of one picture, best first."""

    image: str
    probs: tuple[tuple[str, float], ...]
    seconds: float = 0.0
    error: str = ""
    """Why this picture could not be used, else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What is in a dataset and what is wrong with it; `summary` is `Check.to_dict()`."""

    summary: Mapping[str, object]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What `--dry-run` answers: the steps of each phase and how long they take, nothing run."""

    phases: tuple[str, ...]
    total_steps: int
    num_train: int
    num_valid: int
    command: str
    sweep_seconds: float = 0.0
    """A sweep alone, on this machine."""
    train_seconds: float = 0.0
    """The training with its sweeps, without the phases that may be left out."""
    optional_seconds: float = 0.0
    """More, if those are carried out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A model was written in another format."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """Files were published, read back from the Hub and compared."""

    url: str
    verified: bool
    kind: str = "model"
    """`model`, `dataset` or `space`."""
    commit: str = ""
    changed: bool = True
    """Whether a commit was made; False where the Hub held the same files already."""
    differs: str = ""
    """What is not the same on the Hub, in words; empty where it is verified."""
    num_compared: int = 0
    """Pictures whose probabilities were compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """Whether a publication would be taken; asked before anything is made or trained."""

    ok: bool
    repo_id: str
    user: str
    """Whose login it is; empty where the Hub does not know it."""
    kind: str = "model"
    """`model`, `dataset` or `space`."""
    findings: tuple[tuple[str, str], ...]
    """`ok` or `problem`, and what was found, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The run ended with an error; `error` is the class's name."""

    error: str
    message: str


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
