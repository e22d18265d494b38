"""`fit`: run a config's phases, validate each epoch, keep the best, stop and resume anywhere.

A generator of events. Everything random comes from (seed, phase, epoch, step), so a position in
the run is two integers and a resumed run takes the same steps as an uninterrupted one.
"""

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import numpy as np
import torch

from trainer.batches import epoch_batches, seed_for
from trainer.checkpoint import Checkpoint
from trainer.errors import CheckpointError, ConfigError
from trainer.events import EpochDone, Event, Note, PhaseStarted, Step, Stopped
from trainer.features import body_digest
from trainer.fit_state import Fit, Progression, load_optimizer, measured, resumed, save, saved
from trainer.infer import infer
from trainer.learner import Learner, ensure_features, ensure_training_runtime
from trainer.limits import Limits
from trainer.metrics import accuracy_and_loss
from trainer.model import head_of, make_optimizer, set_mode
from trainer.plan import (
    Phase,
    default_lr,
    momentum_for,
    num_steps,
    plan,
    reason_to_skip,
    schedule_for,
)
from trainer.stopping import StopRequested, stoppable
from trainer.sweep import rate_from, sweep
from trainer.task import Task, task_for
from trainer.update import (
    READ_EVERY,
    parts_words,
    read_losses,
    reads_together,
    set_momentum,
    update,
)


def fit(
    learner: Learner,
    folder: Path,
    *,
    should_stop: Callable[[], bool],
    resume: Checkpoint | None = None,
) -> Generator[Event, None, Fit | None]:
    """Train through every phase of the config's plan.

    Args:
        learner: as `prepare` made it; its model is trained in place.
        folder: where checkpoints go.
        should_stop: asked after each step; when true, a checkpoint is left.
        resume: go on from here; its config must be the learner's.

    Yields:
        PhaseStarted, (sweep events,) Steps and EpochDones of each phase; Stopped at a stop.

    Returns:
        The finished run with the best weights loaded into the model, and with the features where
        they are of its body; none if it was stopped.

    Raises:
        ConfigError: the loss or a weight is not finite; the message names the step and the rate.
            Or there are more steps than the limits allow.
        CheckpointError: a checkpoint cannot be saved; the last one is kept. Or the one to go on
            from was of other pictures.
    """
    run = Fit(learner, folder, plan(learner.config), Progression(), {}, time.perf_counter())
    _check_length(run)
    if resume is not None:
        yield from resumed(run, resume)
    try:
        yield from stoppable(_run_phases(run), should_stop)
    except StopRequested:
        yield from _stopped(run)
        return None
    return run


def _check_length(run: Fit) -> None:
    limit = Limits.from_env().max_steps
    if run.total_steps > limit:
        raise ConfigError(
            f"That would be {run.total_steps:,} steps; up to {limit:,} are allowed here. Choose "
            "fewer epochs or a larger batch_size."
        )


def _run_phases(run: Fit) -> Generator[Event, None, None]:
    """Every phase from where the run stands; `run` is consistent at each yield."""
    while run.at.phase < len(run.phases):
        phase = run.phases[run.at.phase]
        why = (yield from _reason_to_skip(run, phase)) if run.at.step_in_phase == 0 else ""
        if why:
            yield Note(text=why)
        else:
            yield from _run_phase(run, phase)
        _next_phase(run)
    yield from _finish(run)


def _reason_to_skip(run: Fit, phase: Phase) -> Generator[Event, None, str]:
    """Why an optional phase is left out; its speed is measured only where nothing else decides."""
    learner = run.learner
    config, count, accuracy = learner.config, learner.num_train, run.at.best_accuracy
    why = reason_to_skip(phase, config, accuracy=accuracy, num_train=count)
    if why or not phase.optional:
        return why
    yield from measured(run, ensure_training_runtime(learner))
    assert learner.training_runtime is not None
    speed = learner.training_runtime.images_per_second
    seconds = phase.epochs * count / speed if speed else None
    return reason_to_skip(phase, config, accuracy=accuracy, num_train=count, seconds=seconds)


def _run_phase(run: Fit, phase: Phase) -> Iterator[Event]:
    learner, config = run.learner, run.learner.config
    ensure = ensure_features if phase.frozen else ensure_training_runtime
    yield from measured(run, ensure(learner))
    if run.at.lr is None:
        yield from _choose_rate(run, phase)
    assert run.at.lr is not None
    run.at.first_lr = run.at.first_lr or run.at.lr
    set_mode(learner.model, frozen=phase.frozen, pretrained=config.pretrained)
    steps = num_steps(phase, config, learner.num_train)
    task = task_for(learner, phase, num_steps=steps)
    run.optimizer = make_optimizer(task.groups(), config, run.at.lr)
    if run.optimizer_state is not None:
        load_optimizer(run.optimizer, run.optimizer_state)
        run.optimizer_state = None
    yield PhaseStarted(
        phase=phase.name,
        title=phase.title,
        why=phase.why,
        first_step=run.at.step - run.at.step_in_phase,
        num_steps=steps,
        total_steps=run.total_steps,
        epochs=phase.epochs,
        frozen=phase.frozen,
        lr=run.at.lr,
    )
    while run.at.epoch < phase.epochs:
        yield from _run_epoch(run, phase, task, run.at.epoch)


def _choose_rate(run: Fit, phase: Phase) -> Iterator[Event]:
    """Set the phase's peak rate: the given one, or from a sweep now."""
    config = run.learner.config
    given = phase.lr or (run.at.first_lr if phase.same_lr else None)
    if given is not None:
        run.at.lr = given
        return
    swept = yield from sweep(run.learner, phase)
    run.at.lr, note = rate_from(swept, default_lr(phase, config))
    yield note
    yield from saved(run)  # a sweep is not made twice


def _run_epoch(run: Fit, phase: Phase, task: Task, epoch: int) -> Iterator[Event]:
    """The rest of one epoch and its validation."""
    config, learner, at = run.learner.config, run.learner, run.at
    began = time.perf_counter()
    batches = epoch_batches(learner.num_train, config.batch_size, config.seed, phase.name, epoch)
    first = at.step_in_phase - epoch * len(batches)
    if first == 0:
        at.losses = []
    yield from _steps(run, phase, task, epoch, batches, first)
    probs = yield from _validate(run, phase)
    accuracy, loss = accuracy_and_loss(probs, learner.valid_labels)
    best = (accuracy, -loss) > (at.best_accuracy, -at.best_loss)
    if best:
        at.best_accuracy, at.best_loss = accuracy, loss
        at.best_epoch = f"{phase.title}, epoch {epoch + 1}"
        run.best = {name: value.clone() for name, value in learner.model.state_dict().items()}
    at.epoch += 1
    yield EpochDone(
        step=at.step,
        phase=phase.name,
        epoch=epoch,
        epochs=phase.epochs,
        train_loss=float(np.mean(at.losses)),
        valid_loss=loss,
        valid_accuracy=accuracy,
        best=best,
        seconds=time.perf_counter() - began,
    )
    if not phase.cached or at.epoch == phase.epochs or run.save_is_due():
        yield from saved(run)


def _steps(
    run: Fit, phase: Phase, task: Task, epoch: int, batches: list[np.ndarray], first: int
) -> Iterator[Event]:
    """The updates of an epoch from its `first` batch on.

    On a GPU the losses are read together every few steps, because reading one waits for it.
    """
    learner, at = run.learner, run.at
    config, total = learner.config, phase.epochs * len(batches)
    schedule = schedule_for(phase, config.cycle_len)
    # Validation left the model in evaluation mode.
    set_mode(learner.model, frozen=phase.frozen, pretrained=config.pretrained)
    began, done = time.perf_counter(), 0
    together = reads_together(learner.runtime.device)
    pending: list[tuple[int, float, torch.Tensor]] = []
    at_once = learner.at_once
    assert run.optimizer is not None and at.lr is not None
    for index, indices in enumerate(batches[first:], start=first):
        position = at.step_in_phase / total
        lr = at.lr * schedule(position)
        set_momentum(run.optimizer, momentum_for(phase, position))
        seed = seed_for(config.seed, phase.name, epoch, index)
        loss = update(learner, task, run.optimizer, indices, lr=lr, seed=seed)
        at.step, at.step_in_phase = at.step + 1, at.step_in_phase + 1
        done += len(indices)
        pending.append((at.step, lr, loss))
        if together and len(pending) < READ_EVERY and index + 1 < len(batches):
            continue
        losses = read_losses(pending)
        at.losses += losses
        speed = done / (time.perf_counter() - began)
        left = (total - at.step_in_phase) * config.batch_size / speed
        for (step, rate, _), value in zip(pending, losses, strict=True):
            yield Step(
                step=step,
                total_steps=run.total_steps,
                epoch=epoch,
                loss=value,
                lr=rate,
                images_per_second=speed,
                seconds_left=left if run.at.phase == len(run.phases) - 1 else None,
            )
        pending = []
        if learner.at_once != at_once:
            at_once = learner.at_once
            yield Note(text=parts_words(learner))
        if run.save_is_due():
            yield from saved(run)


def _validate(run: Fit, phase: Phase) -> Generator[Event, None, np.ndarray]:
    """Probabilities of the validation pictures, `[N, num_classes]`."""
    learner = run.learner
    if phase.frozen and learner.features is not None:
        with torch.no_grad():
            logits = head_of(learner.model)(learner.features.valid)
        return logits.softmax(dim=1).cpu().numpy()
    images, text = learner.valid_images, "Checking the validation pictures"
    runtime = learner.training_runtime or learner.runtime
    return (yield from infer(learner.model, images, learner.preprocess, runtime, text=text))


def _next_phase(run: Fit) -> None:
    """Go to the next phase, from the best weights so far."""
    run.at.phase += 1
    run.at.epoch = run.at.step_in_phase = 0
    run.at.lr, run.at.losses = None, []
    run.optimizer = None
    run.learner.model.load_state_dict(run.best)


def _finish(run: Fit) -> Iterator[Event]:
    """The best weights, and all that their figures depend on, whether or not it was resumed.

    A run that goes on after the head's phases has not needed the features yet, and one that only
    has to end has set no number of threads: sums would round otherwise.
    """
    learner = run.learner
    learner.model.load_state_dict(run.best)
    if learner.made is not None and body_digest(learner.model) == learner.made.body:
        yield from ensure_features(learner)
    (learner.training_runtime or learner.runtime).apply(learner.model)


def _stopped(run: Fit) -> Iterator[Event]:
    """Leave a checkpoint and say so; or say loudly that an older one is the last."""
    at, total = run.at.step, run.total_steps
    message = f"Stopped at step {at} of {total}; it can go on from there."
    try:
        name = save(run).name
    except CheckpointError as error:
        name = max((path.name for path in run.folder.glob("ckpt-*")), default="")
        where = f"from {name}" if name else "from its beginning"
        message = f"Stopped at step {at} of {total}. {error} It can go on {where}."
    yield Stopped(step=at, total_steps=total, checkpoint=name, message=message)
