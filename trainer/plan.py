"""What a config does, phase by phase: which layers learn, from what, for how long, and why.

`lesson` follows the eight steps at the end of fast.ai's first lesson (2018, cell 107 of
lesson1.ipynb); `quick` keeps what pays on a small machine.
"""

from dataclasses import dataclass

from trainer.batches import num_batches
from trainer.config import Config

ENOUGH = 0.98
"""Validation accuracy of the head alone from which `unfreeze=auto` leaves the body as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Phase:
    name: str
    """`head`, `head_augmented` or `all`."""
    title: str
    why: str
    epochs: int
    frozen: bool
    cached: bool = False
    """Whether the head reads cached features; else every step runs the body on new images."""
    lr: float | None = None
    """Peak rate; none: sweep first."""
    skip_from: float | None = None
    """Skipped when validation accuracy has reached this."""
    schedule: str = "one_cycle"
    cycle_mult: int = 1


def plan(config: Config) -> tuple[Phase, ...]:
    """The phases of a training run, in order; those without epochs are left out."""
    if not config.pretrained:
        phases: tuple[Phase, ...] = (_from_scratch(config),)
    elif config.preset == "lesson":
        phases = _lesson(config)
    else:
        phases = _quick(config)
    return tuple(phase for phase in phases if phase.epochs)


def num_steps(phase: Phase, config: Config, num_train: int) -> int:
    """Optimizer updates of a phase."""
    return phase.epochs * num_batches(num_train, config.batch_size)


def default_unfrozen_lr(config: Config) -> float:
    """The head's peak rate once all layers train and nobody chose one."""
    return 1e-3 if config.optimizer == "adamw" else 1e-2


def default_head_lr(config: Config) -> float:
    """The head's peak rate where a sweep gave no usable signal."""
    return 1e-2 if config.optimizer == "adamw" else 1e-1


def sweep_phase(config: Config) -> Phase:
    """What a sweep on its own tries: the first phase of the run that would follow."""
    return plan(config)[0]


def _quick(config: Config) -> tuple[Phase, ...]:
    all_layers = _all_layers(config, lr=config.unfrozen_lr or default_unfrozen_lr(config))
    return (_head(config), all_layers) if config.unfreeze != "never" else (_head(config),)


def _lesson(config: Config) -> tuple[Phase, ...]:
    head = _head(config, why="steps 1–3 of 8: cached features, a sweep, then the last layer")
    augmented = Phase(
        name="head_augmented",
        title="Train the head on augmented images",
        why="step 4 of 8: every epoch sees each picture moved, zoomed and lit a little differently",
        epochs=config.freeze_epochs,
        frozen=True,
        lr=config.lr,
        schedule="sgdr",
    )
    why = "steps 5–8 of 8: unfreeze, a lower rate for earlier layers, sweep again, longer cycles"
    all_layers = _all_layers(config, lr=config.unfrozen_lr, why=why)
    return (head, augmented, all_layers) if config.unfreeze != "never" else (head, augmented)


def _head(config: Config, why: str = "") -> Phase:
    return Phase(
        name="head",
        title="Train the head on cached features",
        why=why or "the body stays as ImageNet made it, so each picture runs through it only once",
        epochs=config.freeze_epochs,
        frozen=True,
        cached=True,
        lr=config.lr,
        schedule="one_cycle" if config.preset == "lesson" else config.schedule,
        cycle_mult=config.cycle_mult,
    )


def _all_layers(config: Config, *, lr: float | None, why: str = "") -> Phase:
    return Phase(
        name="all",
        title="Train all layers",
        why=why or "the body adapts to these pictures, its layers at a lower rate than the head",
        epochs=config.epochs,
        frozen=False,
        lr=lr,
        skip_from=ENOUGH if config.unfreeze == "auto" and config.freeze_epochs else None,
        schedule=config.schedule,
        cycle_mult=config.cycle_mult,
    )


def _from_scratch(config: Config) -> Phase:
    return Phase(
        name="all",
        title="Train all layers from random weights",
        why="a random body has nothing worth freezing",
        epochs=config.epochs,
        frozen=False,
        lr=config.lr,
        schedule=config.schedule,
        cycle_mult=config.cycle_mult,
    )
