"""`fit`: learns, keeps the best, and goes on after a stop as if there had been none."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import (
    collect,
    digest,
    never,
    result_of,
    stop_after,
    tiny_config,
    tiny_data,
    tiny_learner,
)
from trainer.checkpoint import has_checkpoint, load_checkpoint
from trainer.config import Config
from trainer.errors import ConfigError
from trainer.events import EpochDone, Evaluated, Event, Note, PhaseStarted, Step, Stopped, Swept
from trainer.fit import fit
from trainer.infer import infer
from trainer.learner import Learner
from trainer.metrics import accuracy_and_loss
from trainer.model import head_of
from trainer.plan import plan, schedule_for
from trainer.work import judged

SCENARIOS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "frozen and cached": ("quick", True, {"unfreeze": "never", "num_steps": 8, "repeats": 1}),
    "frozen and augmented": (
        "lesson",
        True,
        {"unfreeze": "never", "freeze_epochs": 2, "lr": 0.01, "augment": "strong"},
    ),
    "head, then all layers": (
        "quick",
        True,
        {"freeze_epochs": 1, "unfreeze": "always", "lr": 0.02, "optimizer": "sgd"},
    ),
    "the whole lesson": (
        "lesson",
        True,
        {"freeze_epochs": 1, "epochs": 2, "num_steps": 8, "repeats": 1},
    ),
    "from random weights": ("quick", False, {"lr": 0.003, "augment": "light", "seed": 5}),
}


@dataclass(frozen=True)
class Outcome:
    steps: tuple[tuple[int, int, float, float], ...]
    epochs: tuple[EpochDone, ...]
    weights: str
    figures: tuple[float, float, str]
    evaluated: Evaluated


def _learner(config: Config, *, pretend: bool) -> Learner:
    # Hard to tell apart, so that accuracy is not 1 from the first epoch on.
    learner = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=pretend)
    # On a busy machine each run would measure for itself, and could choose other arithmetic.
    measured = replace(learner.runtime, images_per_second=1000.0, threads=1)
    learner.training_runtime = measured
    # In another layout than an evaluation of a model, so that features round otherwise.
    learner.runtime = replace(measured, channels_last=False)
    return learner


def _outcome(learner: Learner, events: list[Event], run: Any, folder: Path) -> Outcome:
    steps = [event for event in events if isinstance(event, Step)]
    epochs = [replace(event, seconds=0.0) for event in events if isinstance(event, EpochDone)]
    at = run.at
    return Outcome(
        tuple((step.step, step.epoch, step.loss, step.lr) for step in steps),
        tuple(epochs),
        digest(learner.model),
        (at.best_accuracy, at.best_loss, at.best_epoch),
        replace(result_of(judged(learner, folder)), seconds=0.0),
    )


def _uninterrupted(name: str, folder: Path) -> tuple[Outcome, list[Event]]:
    preset, pretend, settings = SCENARIOS[name]
    learner = _learner(tiny_config(preset, **settings), pretend=pretend)
    events, run = collect(fit(learner, folder, should_stop=never))
    return _outcome(learner, events, run, folder), events


def _interrupted(name: str, folder: Path, counts: Iterator[int]) -> Outcome:
    """The same run, stopped after so many events, in a new learner each time."""
    preset, pretend, settings = SCENARIOS[name]
    everything: list[Event] = []
    while True:
        learner = _learner(tiny_config(preset, **settings), pretend=pretend)
        checkpoint = load_checkpoint(folder) if has_checkpoint(folder) else None
        count = next(counts, None)
        should_stop = never if count is None else stop_after(count)
        events, run = collect(fit(learner, folder, should_stop=should_stop, resume=checkpoint))
        everything += events
        if run is not None:
            return _outcome(learner, everything, run, folder)
        stopped = events[-1]
        assert isinstance(stopped, Stopped)
        assert stopped.checkpoint == load_checkpoint(folder).path.name
        assert f"step {stopped.step} of {stopped.total_steps}" in stopped.message


@pytest.fixture(scope="module", params=SCENARIOS)
def truth(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Outcome, list[Event]]:
    outcome, events = _uninterrupted(request.param, tmp_path_factory.mktemp("truth"))
    return request.param, outcome, events


def test_the_same_run_again_is_bit_identical(
    truth: tuple[str, Outcome, list[Event]], tmp_path: Path
) -> None:
    name, outcome, _ = truth
    assert _uninterrupted(name, tmp_path)[0] == outcome


def test_stopped_once_anywhere_a_run_ends_bit_identical(
    truth: tuple[str, Outcome, list[Event]], tmp_path: Path
) -> None:
    """After one event of each kind in each phase: a sweep's step, a step, the last step before a
    validation, a picture of the validation, an epoch's end, a phase's beginning, a note."""
    name, outcome, events = truth
    rng = random.Random(name)
    places: dict[tuple[str, ...], list[int]] = {}
    phase = ""
    for index, event in enumerate(events[:-1]):
        if isinstance(event, PhaseStarted):
            phase = event.phase
        after = type(events[index + 1]).__name__ if isinstance(event, Step) else ""
        places.setdefault((phase, type(event).__name__, after), []).append(index + 1)
    assert len(places) >= 5
    chosen = rng.sample(list(places.items()), min(8, len(places)))
    for number, (place, indices) in enumerate(chosen):
        folder = tmp_path / str(number)
        count = rng.choice(indices)
        assert _interrupted(name, folder, iter([count])) == outcome, (place, count)


def test_stopped_again_and_again_a_run_ends_bit_identical(
    truth: tuple[str, Outcome, list[Event]], tmp_path: Path
) -> None:
    name, outcome, _ = truth
    rng = random.Random(f"again {name}")
    counts = (rng.randint(4, 20) for _ in range(4))
    assert _interrupted(name, tmp_path, counts) == outcome


def test_the_events_of_a_run_come_in_order(truth: tuple[str, Outcome, list[Event]]) -> None:
    name, outcome, events = truth
    preset, pretend, settings = SCENARIOS[name]
    phases = plan(replace(tiny_config(preset, **settings), pretrained=pretend))
    begun = [event for event in events if isinstance(event, PhaseStarted)]
    assert [event.phase for event in begun] == [phase.name for phase in phases]
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.step for step in steps] == list(range(1, begun[0].total_steps + 1))
    assert [event.first_step for event in begun] == [
        sum(event.num_steps for event in begun[:index]) for index in range(len(begun))
    ]
    assert len(outcome.epochs) == sum(phase.epochs for phase in phases)
    swept = [event for event in events if isinstance(event, Swept)]
    assert bool(swept) == any(phase.lr is None for phase in phases)
    assert max(step.lr for step in steps if step.step <= begun[0].num_steps) <= begun[0].lr


def test_the_best_epoch_is_kept_and_is_what_the_run_ends_with(
    truth: tuple[str, Outcome, list[Event]],
) -> None:
    _, outcome, _ = truth
    ranked = [(epoch.valid_accuracy, -epoch.valid_loss) for epoch in outcome.epochs]
    best: tuple[float, float] = (-1.0, -math.inf)
    for epoch, rank in zip(outcome.epochs, ranked, strict=True):
        assert epoch.best == (rank > best)
        best = max(best, rank)
    assert outcome.figures[:2] == (best[0], -best[1])


def test_the_model_at_the_end_gives_the_figures_of_the_best_epoch(tmp_path: Path) -> None:
    config = tiny_config(epochs=4, lr=0.1, optimizer="sgd", schedule="constant")
    learner = _learner(config, pretend=False)
    _, run = collect(fit(learner, tmp_path, should_stop=never))
    assert run is not None
    assert "epoch 4" not in run.at.best_epoch  # so that best and last are two
    images, preprocess = learner.valid_images, learner.preprocess
    _, probs = collect(infer(learner.model, images, preprocess, learner.runtime, text=""))
    figures = accuracy_and_loss(probs, learner.valid_labels)
    assert figures == pytest.approx((run.at.best_accuracy, run.at.best_loss), rel=1e-5)


def test_one_batch_can_be_learnt_by_heart(tmp_path: Path) -> None:
    config = tiny_config(epochs=25, lr=0.02, augment="none", schedule="one_cycle")
    learner = tiny_learner(config, tiny_data(8, 3, spread=150))
    events, _ = collect(fit(learner, tmp_path, should_stop=never))
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert len(losses) == 25  # one batch an epoch
    assert losses[0] > 0.8
    assert losses[-1] < 0.1


def test_a_last_batch_that_is_smaller_counts_and_one_of_one_picture_does_not(
    tmp_path: Path,
) -> None:
    for num_train, sizes in ((18, [8, 8, 2]), (17, [8, 8])):
        learner = tiny_learner(tiny_config(epochs=1, lr=1e-3), tiny_data(num_train, 3))
        events, _ = collect(fit(learner, tmp_path / str(num_train), should_stop=never))
        steps = [event for event in events if isinstance(event, Step)]
        assert len(steps) == len(sizes)
        done = next(event for event in events if isinstance(event, EpochDone))
        assert done.train_loss == pytest.approx(sum(s.loss for s in steps) / len(sizes))


def test_a_loss_that_is_not_a_number_ends_the_run_with_step_and_rate(tmp_path: Path) -> None:
    learner = _learner(tiny_config(epochs=2, lr=0.004, schedule="constant"), pretend=False)
    events = fit(learner, tmp_path, should_stop=never)
    seen = 0
    with pytest.raises(ConfigError, match="not a number at step 2, at the rate 4e-3"):
        for event in events:
            seen += isinstance(event, Step)
            if seen == 1:  # as after an update that was too large
                with torch.no_grad():
                    head_of(learner.model).linear.bias[0] = math.nan


def test_a_run_that_failed_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    name = "from random weights"
    truth, _ = _uninterrupted(name, tmp_path / "truth")
    preset, _, settings = SCENARIOS[name]
    learner = _learner(tiny_config(preset, **settings), pretend=False)
    with pytest.raises(ConfigError):
        for event in fit(learner, tmp_path / "run", should_stop=never):
            if isinstance(event, Step) and event.step == 5:
                with torch.no_grad():
                    head_of(learner.model).linear.bias[0] = math.nan
    resumed = _interrupted(name, tmp_path / "run", iter([]))
    assert resumed.weights == truth.weights
    assert resumed.epochs == truth.epochs[1:]


def test_a_good_head_leaves_the_body_alone_unless_it_is_asked_for(tmp_path: Path) -> None:
    for unfreeze, phases in (("auto", ["head"]), ("always", ["head", "all"])):
        config = tiny_config(unfreeze=unfreeze, freeze_epochs=4, epochs=1, lr=0.05)
        learner = tiny_learner(config, tiny_data(spread=10), pretend=True)
        events, run = collect(fit(learner, tmp_path / unfreeze, should_stop=never))
        assert run is not None
        assert run.at.best_accuracy == 1.0
        begun = [event.phase for event in events if isinstance(event, PhaseStarted)]
        assert begun == phases
        notes = [event.text for event in events if isinstance(event, Note)]
        assert any("100.0 %" in note for note in notes) == (unfreeze == "auto")


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant", "sgdr"])
def test_every_schedule_sets_the_rate_of_each_step(schedule: str, tmp_path: Path) -> None:
    config = tiny_config(epochs=3, lr=0.02, schedule=schedule, cycle_mult=2)
    learner = tiny_learner(config, tiny_data(8, 3))
    events, _ = collect(fit(learner, tmp_path, should_stop=never))
    (phase,) = plan(config)
    factor = schedule_for(phase, config.cycle_len)
    expected = [0.02 * factor(step / 3) for step in range(3)]
    assert [event.lr for event in events if isinstance(event, Step)] == pytest.approx(expected)


GOLDEN = [1.2535, 1.2661, 1.2833, 1.3059, 1.3032, 0.6734]
"""torch 2.11.0 and timm 1.0.31 on x86-64; other processors round the last digits otherwise."""


def test_a_fixed_seed_gives_the_losses_that_it_always_gave(tmp_path: Path) -> None:
    learner = _learner(tiny_config(epochs=2, lr=1e-3, augment="light"), pretend=False)
    events, _ = collect(fit(learner, tmp_path, should_stop=never))
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert losses == pytest.approx(GOLDEN, abs=2e-3)
