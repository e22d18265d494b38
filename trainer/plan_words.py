"""A plan in words, for the page and the terminal: how many steps of what."""

from trainer.config import Config
from trainer.plan import num_steps, plan


def plan_words(config: Config, num_train: int) -> str:
    """ "450 steps: 10 epochs of the head, then 4 epochs of all layers (left out if …)"."""
    phases = plan(config)
    total = sum(num_steps(phase, config, num_train) for phase in phases)
    parts = []
    for phase in phases:
        what = "the head" if phase.frozen else "all layers"
        seen = " on augmented images" if phase.frozen and not phase.cached else ""
        unless = " where that pays" if phase.optional else ""
        epochs = f"{phase.epochs} epoch{'s' if phase.epochs != 1 else ''}"
        parts.append(f"{epochs} of {what}{seen}{unless}")
    return f"{total:,} steps: {', then '.join(parts)}."
