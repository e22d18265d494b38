"""How long a sweep and a training will take on this machine, before they begin.

Nothing is guessed from tables: the probe's images a second, a few head updates and, where the
pictures are not decoded yet, a few decodings are measured here and multiplied.
"""

import os
import statistics
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch

from trainer.budget import budget_for
from trainer.config import Config
from trainer.data import Data, Picture, Split
from trainer.data.decoded import decoded_path, is_decoded, least_side
from trainer.data.picture import decode
from trainer.errors import PictureError
from trainer.events import Event, Progress
from trainer.features import (
    PictureView,
    body_digest,
    features_path,
    num_views,
    picture_views,
)
from trainer.head import Head
from trainer.head_stack import HeadStack
from trainer.head_trials import plan_trials
from trainer.image_size import choose_preprocess
from trainer.learner import augmentation_for
from trainer.model import (
    TimmModel,
    build_model,
    has_weights_here,
    head_of,
)
from trainer.plan import Phase, num_steps, plan, reason_to_skip, sweep_phase
from trainer.probe import probe
from trainer.runtime import Runtime, choose_runtime
from trainer.transforms import Preprocess

_HEAD_STEPS, _TRIAL_STEPS = 30, 5
_UNTIL_DIVERGED = 0.7
"""Share of its rates that a sweep of all layers reaches until it diverges: 25 to 32 of 41."""
_EXPORTS = 4
"""Times that building the model is spent again on saving, comparing and loading it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, on a machine that has nothing else to do."""

    sweep: float
    """The sweep alone."""
    train: float
    """The training with its sweeps, without the phases that may be left out."""
    optional: float
    """More, if those are carried out; 0 where it is clear already that they are not."""


@dataclass(frozen=True, slots=True)
class _Speeds:
    """What was measured."""

    build: float
    read: float
    body: Runtime
    training: Runtime
    head_step: float
    trials: float
    """Of the trainings that check the head's rate."""
    views: int
    train_known: bool
    valid_known: bool


def estimate(
    data: Data, config: Config, *, opening: float = 0.0
) -> Generator[Event, None, Estimate]:
    """Measure what is not known yet, and add up the phases of the plan.

    Args:
        data: the dataset, checked.
        config: the run's.
        opening: seconds that opening the dataset took.

    Yields:
        Progress while something is measured.

    Raises:
        ModelError, ConfigError: as `build_model` and `choose_runtime`.
    """
    preprocess, _ = choose_preprocess(config, data)
    began = time.perf_counter()
    # Random weights compute as fast as the right ones, and need no download.
    model = build_model(
        config if has_weights_here(config) else replace(config, pretrained=False),
        len(data.class_names),
    )
    build = time.perf_counter() - began
    speeds = yield from _measure(model, data, config, preprocess, build)
    opening += speeds.build + speeds.read
    features = _features_seconds(data, speeds)
    sweep = opening + (features if sweep_phase(config).cached else 0.0)
    sweep += _sweep_seconds(sweep_phase(config), data, config, speeds)
    train = opening + _EXPORTS * speeds.build
    optional = 0.0
    for number, phase in enumerate(plan(config)):
        seconds = _phase_seconds(phase, data, config, speeds)
        if number == 0 and phase.frozen:
            seconds += features
        if phase.optional:
            optional += 0.0 if _left_out(phase, data, config, seconds) else seconds
        else:
            train += seconds
    return Estimate(sweep=sweep, train=train, optional=optional)


def _measure(
    model: TimmModel, data: Data, config: Config, preprocess: Preprocess, build: float
) -> Generator[Event, None, _Speeds]:
    """Each part of it may be the last: whoever waits for something else goes first."""
    yield _measuring(0)
    runtime, size = choose_runtime(config), preprocess.image_size
    model.to(runtime.device)
    body = probe(model, config, runtime, size, training=False)
    yield _measuring(1)
    trains_all = any(
        not phase.frozen and not _left_out(phase, data, config, None) for phase in plan(config)
    )
    training = probe(model, config, body, size, training=True) if trains_all else body
    yield _measuring(2)
    read = sum(_read_seconds(split, preprocess) for split in (data.train, data.valid))
    how = augmentation_for(data, config, preprocess)
    yield _measuring(3)
    views = picture_views(num_views(config, how, len(data.train)), how, config.seed)
    head = head_of(model)
    trials = plan_trials(head, plan(config)[0], config, len(data.train))
    checked = plan(config)[0].cached and config.verify and config.lr is None and trials is not None
    digest = body_digest(model)

    def known(split: Split, runtime: Runtime, views: tuple[PictureView, ...]) -> bool:
        key = decoded_path(split, preprocess).stem
        return features_path(digest, key, preprocess, runtime, views).exists()

    return _Speeds(
        build=build,
        read=read,
        body=body,
        training=training,
        head_step=_head_seconds(head, config, (1e-3,), 1, times=_HEAD_STEPS),
        trials=trials.num_steps
        * _head_seconds(head, config, trials.lrs, trials.num_folds, times=_TRIAL_STEPS)
        if checked and trials is not None
        else 0.0,
        views=len(views),
        train_known=known(data.train, body, views),
        valid_known=known(data.valid, body.exact(), views[:1]),
    )


def _measuring(num_done: int) -> Progress:
    return Progress(text="Measuring this machine", done=num_done, total=4)


def _features_seconds(data: Data, speeds: _Speeds) -> float:
    """The passes through the frozen body that are not kept from an earlier run."""
    train = len(data.train) * speeds.views / _rate(speeds.body)
    valid = len(data.valid) / _rate(speeds.body.exact())
    return (0.0 if speeds.train_known else train) + (0.0 if speeds.valid_known else valid)


def _sweep_seconds(phase: Phase, data: Data, config: Config, speeds: _Speeds) -> float:
    """A phase's sweep within a training, with what checks it."""
    if phase.cached:
        return config.num_steps * config.repeats * speeds.head_step + speeds.trials
    step = config.batch_size / _rate(speeds.body if phase.frozen else speeds.training)
    budget = budget_for(phase, config, len(data.train), step=step)
    once = _UNTIL_DIVERGED * budget.sweep_steps(config) * step
    checked = config.verify and not config.pretrained
    return max(once, budget.total if checked else budget.total / 2)


def _phase_seconds(phase: Phase, data: Data, config: Config, speeds: _Speeds) -> float:
    """A phase with its sweep and its validations, without the features."""
    count = len(data.train)
    sweeps = phase.lr is None and not phase.same_lr
    seconds = _sweep_seconds(phase, data, config, speeds) if sweeps else 0.0
    if phase.cached:
        return seconds + num_steps(phase, config, count) * speeds.head_step
    speed = _rate(speeds.body if phase.frozen else speeds.training)
    seconds += phase.epochs * count / speed
    if not phase.frozen:  # an exact look at the end, and one after each epoch
        looks = phase.epochs / _rate(speeds.training, looking=True) + 1 / _rate(speeds.body.exact())
        seconds += len(data.valid) * looks
    return seconds


def _left_out(phase: Phase, data: Data, config: Config, seconds: float | None) -> bool:
    """Whether it is clear before the training that the phase will not pay."""
    count = len(data.train)
    return bool(reason_to_skip(phase, config, accuracy=0.0, num_train=count, seconds=seconds))


def _rate(runtime: Runtime, *, looking: bool = False) -> float:
    """Images a second; a pass without gradients takes about a third of one with them."""
    known = runtime.images_per_second or 1000.0  # a GPU is not probed
    return 3 * known if looking else known


def _head_seconds(
    head: Head, config: Config, lrs: Sequence[float], num_parts: int, *, times: int
) -> float:
    """One update of so many heads, the median of some."""
    stack = HeadStack(head, lrs, num_parts, config)
    shape, device = (num_parts, config.batch_size), head.mean.device
    features = torch.zeros(*shape, len(head.mean), device=device)
    labels = torch.zeros(shape, dtype=torch.int64, device=device)
    seconds: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        float(stack.step(features, labels, factor=1.0).sum())  # waits for a GPU
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _read_seconds(split: Split, preprocess: Preprocess) -> float:
    """Decoding the split, from a few of its pictures; 0 where that was done before."""
    if is_decoded(split, preprocess):
        return 0.0
    some = split.pictures[:: max(1, len(split) // 32)]
    min_side = least_side(split.name, preprocess)

    def make(picture: Picture) -> None:
        try:
            preprocess.view(decode(picture.read(), min_side=min_side))
        except (PictureError, OSError):
            return  # the check has said so

    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, some))
    return (time.perf_counter() - began) / max(1, len(some)) * len(split)
