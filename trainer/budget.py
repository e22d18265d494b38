"""`Budget`: the time that finding a phase's rate may take, and what it buys."""

from dataclasses import dataclass

from trainer.config import Config
from trainer.plan import Phase, num_steps

SECONDS = 10.0
SHARE = 0.25
"""So many seconds, or this share of the phase's training if that is more."""

FEWEST_STEPS = 40
"""Steps of a sweep that are taken even where they cost more."""


@dataclass(frozen=True, slots=True)
class Budget:
    step: float
    """Seconds of one training step."""
    total: float
    """Seconds in all."""

    def sweep_steps(self, config: Config) -> int:
        """The steps of a sweep: all that are asked for, or as many as half of the time buys."""
        return min(config.num_steps, max(FEWEST_STEPS, int(self.total / 2 / self.step)))

    def fit_steps(self, num_fits: int, spent: float) -> int:
        """The steps of each of some fits in the time that is left."""
        return int((self.total - spent) / num_fits / self.step)


def budget_for(phase: Phase, config: Config, num_train: int, *, step: float) -> Budget:
    """Ten seconds, or a quarter of the phase's training.

    Args:
        phase: what will be trained.
        config: its batch size counts.
        num_train: training pictures.
        step: seconds of one step.
    """
    return Budget(step, max(SECONDS, SHARE * num_steps(phase, config, num_train) * step))
