"""Events that answer: figures, predictions, checks, plans, exports."""

from collections.abc import Mapping
from dataclasses import dataclass


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
    revision: str = ""
    """Commit of a dataset on the Hub."""


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
