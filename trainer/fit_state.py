"""`Fit`: a training in progress, and how it goes into a checkpoint and comes back out of one."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainer import disk
from trainer.checkpoint import Checkpoint, save_checkpoint
from trainer.data.room import touch
from trainer.errors import CheckpointError, ConfigError, ModelError
from trainer.events import Event, Note, Progress
from trainer.features import made_from
from trainer.figures import rate
from trainer.learner import Learner
from trainer.plan import Phase, num_steps
from trainer.runtime import runtime_from

SAVE_SECONDS = 60.0
"""Between two checkpoints within an epoch: at most so much is lost when the process is killed."""

SAVE_SHARE = 0.05
"""Of the time that saving may take; where a checkpoint takes longer it is made less often."""


@dataclass(slots=True)
class Progression:
    """Where a run is and what it has reached; all of it goes into a checkpoint."""

    phase: int = 0
    """Index into the plan."""
    epoch: int = 0
    """Epochs of the phase that are over, validation included."""
    step_in_phase: int = 0
    step: int = 0
    """Updates over the run."""
    lr: float | None = None
    """Peak rate of the current phase, once known."""
    first_lr: float | None = None
    """Peak rate of the first phase: what `done` reports."""
    best_accuracy: float = -1.0
    best_loss: float = math.inf
    best_epoch: str = ""
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Losses of the current epoch's steps."""


@dataclass(slots=True)
class Fit:
    """A run in progress: the learner, its position and the best weights so far."""

    learner: Learner
    folder: Path
    phases: tuple[Phase, ...]
    at: Progression
    best: dict[str, Tensor]
    began: float
    optimizer: torch.optim.Optimizer | None = None
    optimizer_state: dict[str, Tensor] | None = None
    """What a checkpoint holds for the optimizer of the phase that is resumed."""
    saved_at: float = field(default_factory=time.perf_counter)
    save_seconds: float = 0.0
    """What the last checkpoint took."""
    data: str = field(init=False)
    """Digest of the pictures, in their splits."""
    stamps: str = field(init=False)
    """Digest of their stamps."""

    def __post_init__(self) -> None:
        self.data = self.learner.data.digest
        self.stamps = self.learner.data.stamps_digest

    @property
    def total_steps(self) -> int:
        config, count = self.learner.config, self.learner.num_train
        return sum(num_steps(phase, config, count) for phase in self.phases)

    def seconds(self) -> float:
        """Time spent on the run, earlier sittings included."""
        return self.at.seconds + time.perf_counter() - self.began

    def save_is_due(self) -> bool:
        """Whether so much time has passed that it should not be lost."""
        wait = max(SAVE_SECONDS, self.save_seconds / SAVE_SHARE)
        return time.perf_counter() - self.saved_at >= wait


def saved(run: Fit) -> Generator[Event, None, None]:
    """Leave a checkpoint; on a full disk the run waits for room.

    Yields:
        A Note and Progress while it waits; at each the run can be stopped.

    Raises:
        CheckpointError: it cannot be saved, or there was no room for `disk.PATIENCE_SECONDS`.
        ConfigError: as `save`.
    """
    waited = 0.0
    while True:
        try:
            save(run)
            break
        except CheckpointError as error:
            if not disk.is_full(error) or waited >= disk.PATIENCE_SECONDS:
                raise
            if not waited:
                yield Note(text=f"The disk is full, so the training waits for room. {error}")
        time.sleep(disk.RETRY_SECONDS)
        waited += disk.RETRY_SECONDS
        yield Progress(text="Waiting for room on the disk", done=0, total=1)
    if waited:
        yield Note(text="There is room on the disk again; the training goes on.")


def measured(run: Fit, ensure: Generator[Event, None, None]) -> Generator[Event, None, None]:
    """Let `ensure` choose an arithmetic where the run has none yet, and keep what it chose.

    Measured again after a kill it could be another, and the run would not be the same.

    Raises:
        CheckpointError, ConfigError: as `saved`.
    """
    learner = run.learner
    before = (learner.made, learner.training_runtime)
    yield from ensure
    if (learner.made, learner.training_runtime) != before:
        yield from saved(run)


def save(run: Fit) -> Path:
    """A checkpoint of the run where it stands.

    Raises:
        CheckpointError: it could not be written; the last one is kept.
        ConfigError: a weight is not finite; the last one, which is, is kept.
    """
    began = time.perf_counter()
    _check_finite(run)
    if run.learner.data.kept:
        touch(run.learner.data.kept)
    tensors = {"model": run.learner.model.state_dict()}
    if run.best:
        tensors["best"] = run.best
    if run.optimizer is not None:
        tensors["optim"] = _optimizer_tensors(run.optimizer)
    elif run.optimizer_state is not None:  # stopped again before its phase went on
        tensors["optim"] = run.optimizer_state
    names = Progression.__dataclass_fields__
    training, runtime = run.learner.training_runtime, run.learner.runtime
    made = run.learner.made
    measured = run.learner.features is not None or runtime.images_per_second > 0
    state = {name: getattr(run.at, name) for name in names} | {
        "seconds": run.seconds(),
        "best_loss": run.at.best_loss if math.isfinite(run.at.best_loss) else None,
        "config": run.learner.config.to_dict(),
        # Another arithmetic would be another run: what was measured at its start stays.
        "runtime": runtime.to_dict() if measured else None,
        "training_runtime": training.to_dict() if training else None,
        "made": made.to_dict() if made else None,
        "at_once": run.learner.at_once,
        "data": run.data,
        "stamps": run.stamps,
        "revision": run.learner.data.provenance.revision,
    }
    path = save_checkpoint(run.folder, run.at.step, tensors, state)
    run.saved_at = time.perf_counter()
    run.save_seconds = run.saved_at - began
    return path


def _check_finite(run: Fit) -> None:
    values = run.learner.model.state_dict().values()
    if all(bool(torch.isfinite(value).all()) for value in values):
        return
    if run.at.lr is None:
        raise ModelError(
            f"The weights of {run.learner.config.model_name} are not finite at step {run.at.step}, "
            "before a rate was chosen. Choose another model."
        )
    raise ConfigError(
        f"The weights are no longer finite at step {run.at.step}, at the rate "
        f"{rate(run.at.lr)}: the rate is too high for this model. Train again with a "
        "tenth of it. The last checkpoint is from before that."
    )


def restore(run: Fit, checkpoint: Checkpoint) -> None:
    """Put a run where it was.

    Raises:
        CheckpointError: it was begun with other pictures, or with another split of them.
    """
    state: dict[str, Any] = dict(checkpoint.state)
    state.pop("config")
    state.pop("revision", None)
    state.pop("stamps", None)
    if state.pop("data", run.data) != run.data:
        data = run.learner.data
        raise CheckpointError(
            "The pictures are not the ones this training began with: there are now "
            f"{len(data.train):,} to train on and {len(data.valid):,} to validate on, in "
            f"{len(data.class_names):,} classes, and some were added, removed or moved to another "
            "class or split. To resume would be to validate on pictures that the model has learned "
            "from. Put them back as they were, or start a new training; the checkpoint is kept."
        )
    device = run.learner.runtime.device
    if values := state.pop("runtime"):
        run.learner.runtime = runtime_from(values, device)
    if values := state.pop("training_runtime"):
        run.learner.training_runtime = runtime_from(values, device)
    if values := state.pop("made", None):
        run.learner.made = made_from(values, device)
    # Other parts of a step would round otherwise.
    known = (run.learner.at_once, state.pop("at_once", None))
    run.learner.at_once = min(filter(None, known), default=None)
    if state["best_loss"] is None:
        state["best_loss"] = math.inf
    run.at = Progression(**state)
    run.learner.model.load_state_dict(dict(checkpoint.tensors["model"]))
    run.best = dict(checkpoint.tensors.get("best", {}))
    run.optimizer_state = (
        dict(checkpoint.tensors["optim"]) if "optim" in checkpoint.tensors else None
    )


def resumed(run: Fit, checkpoint: Checkpoint) -> Iterator[Event]:
    """Restore a run; say where it goes on, and if its pictures may be others of the same names.

    Raises:
        CheckpointError: as `restore`.
    """
    restore(run, checkpoint)
    yield Note(text=f"Going on from step {run.at.step} of {run.total_steps}.")
    if checkpoint.state.get("stamps", run.stamps) != run.stamps:
        yield Note(
            text="Picture files changed since this training was begun, if only in their dates, as "
            "when a folder is copied. It goes on with them as they are now. Where the pictures "
            "themselves are others, train anew: it has learned from what they were."
        )


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state by `<parameter>.<name>`; every entry of AdamW and SGD is a tensor."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entry in state.items()
        for name, value in entry.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimizer the state that a checkpoint held.

    Each tensor takes its parameter's memory layout: the fused AdamW walks both in memory order,
    and files hold plain layouts where the weights are channels-last.
    """
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, requires_grad=False).copy_(value)
        entries.setdefault(int(index), {})[name] = value
    state = optimizer.state_dict()
    optimizer.load_state_dict({"state": entries, "param_groups": state["param_groups"]})
