"""Events of a training: its phases, steps and epochs, and how it ended."""

from dataclasses import dataclass


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
