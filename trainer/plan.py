"""What a config does, phase by phase: which layers learn, from what, for how long, and why.

`lesson` follows the eight steps at the end of fast.ai's first lesson (2018, cell 107 of
lesson1.ipynb); `quick` keeps what pays on a small machine.
"""

from dataclasses import dataclass

from trainer.batches import num_batches
from trainer.config import Config
from trainer.figures import percent
from trainer.schedule import (
    Schedule,
    constant,
    cosine,
    cycle_lengths,
    one_cycle,
    one_cycle_momentum,
    restarts,
)

ENOUGH = 0.98
"""Validation accuracy of the head alone from which `unfreeze=auto` leaves the body as it is."""

MIN_STEPS = 100
"""Updates below which a body hardly adapts: on 225 and 500 photos 16 to 32 steps through all
layers changed nothing for the better (docs/LOG.md)."""

MAX_SECONDS = 180
"""How long `unfreeze=auto` trains all layers: `quick` is to stay a matter of minutes."""


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
    optional: bool = False
    """Whether `reason_to_skip` may leave it out."""
    same_lr: bool = False
    """Takes the peak rate of the phase before it, where none was given."""
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


def reason_to_skip(
    phase: Phase,
    config: Config,
    *,
    accuracy: float,
    num_train: int,
    seconds: float | None = None,
) -> str:
    """Why an optional phase does not pay, in a sentence; empty where it does.

    Args:
        phase: the next phase.
        config: the run's.
        accuracy: validation accuracy of the phases before it, 0–1.
        num_train: training pictures.
        seconds: how long it will take on this machine, where that is known.
    """
    if not phase.optional:
        return ""
    if accuracy >= ENOUGH:
        return (
            f"The head alone is right on {percent(accuracy)} of the validation pictures; training "
            "all layers would gain little, so it is left out."
        )
    steps = num_steps(phase, config, num_train)
    if steps < MIN_STEPS:
        return (
            f"Training all layers is left out: {steps} steps are too few for the body to adapt. "
            "More pictures would help; to do it all the same, train all layers always."
        )
    if seconds is not None and seconds > MAX_SECONDS:
        return (
            f"Training all layers is left out: it would take {seconds / 60:.0f} minutes on this "
            "machine. To do it all the same, train all layers always."
        )
    return ""


def num_steps(phase: Phase, config: Config, num_train: int) -> int:
    """Optimizer updates of a phase."""
    return phase.epochs * num_batches(num_train, config.batch_size)


def schedule_for(phase: Phase, cycle_len: int) -> Schedule:
    """The course of the rate over the phase; `cycle_len` is that of SGDR's first cycle."""
    if phase.schedule == "sgdr":
        lengths = cycle_lengths(phase.epochs, cycle_len, phase.cycle_mult)
        return lambda t: restarts(t, lengths)
    return {"one_cycle": one_cycle, "cosine": cosine, "constant": constant}[phase.schedule]


def momentum_for(phase: Phase, position: float) -> float | None:
    """The momentum at a position in the phase, 0 ≤ position < 1; none: the config's stays."""
    return one_cycle_momentum(position) if phase.schedule == "one_cycle" else None


def default_lr(phase: Phase, config: Config) -> float:
    """The head's peak rate where a sweep gave no usable signal; see also `default_unfrozen_lr`."""
    if phase.frozen or not config.pretrained:
        return 1e-2 if config.optimizer == "adamw" else 1e-1
    return default_unfrozen_lr(config)


def default_unfrozen_lr(config: Config) -> float:
    """The head's peak rate once all layers of a pretrained model train and nobody chose one."""
    return 1e-3 if config.optimizer == "adamw" else 3e-2


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
        same_lr=True,
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
        optional=config.unfreeze == "auto" and config.freeze_epochs > 0,
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
