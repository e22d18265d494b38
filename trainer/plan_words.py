"""A plan in words, for the page and the terminal: how many steps of what."""

from trainer.config import Config
from trainer.events import Planned
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


def duration_words(planned: Planned) -> str:
    """ "About 12 s on this machine; 1 min more if all layers train." """
    text = f"About {approximately(planned.train_seconds)} on this machine"
    if planned.optional_seconds:
        text += f"; {approximately(planned.optional_seconds)} more if all layers train"
    return f"{text}."


def approximately(seconds: float) -> str:
    """Two digits at most: 3 s, 45 s, 4 min, 1.5 h."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 90:
        return f"{round(seconds / 5) * 5} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
