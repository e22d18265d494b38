"""The sweep puts everything back, climbs its ladder, and finds a rate that learns."""

import math
import random
from collections.abc import Generator
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
import torch

from tiny import collect, digest, result_of, tiny_config, tiny_data, tiny_learner
from trainer.config import Config
from trainer.events import Event, SweepStep, Swept
from trainer.learner import Learner, ensure_features
from trainer.model import head_of
from trainer.plan import Phase, plan, sweep_phase
from trainer.restored import restored
from trainer.schedule import lr_ladder
from trainer.sweep import DIVERGED, rate_from, sweep

RANGES = {
    "normal": {"lr_min": 1e-6, "lr_max": 1e-2},
    "diverged": {"lr_min": 1e-3, "lr_max": 1e3, "optimizer": "sgd", "num_steps": 60},
}


def _fingerprint(learner: Learner) -> dict[str, Any]:
    """Everything that a sweep may not change."""
    model = learner.model
    numpy_state: Any = np.random.get_state()
    return {
        "weights and buffers": digest(model),
        "modes": [module.training for module in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "gradients": [p.grad is None for p in model.parameters()],
        "torch": sha256(torch.get_rng_state().numpy().tobytes()).hexdigest(),
        "numpy": sha256(numpy_state[1].tobytes()).hexdigest() + str(numpy_state[2]),
        "python": random.getstate(),
    }


def _learner(config: Config, phase_name: str) -> tuple[Learner, Phase]:
    """A learner in a mode that no sweep would choose, and the phase to sweep."""
    learner = tiny_learner(config, pretend=True)
    phase = next(phase for phase in plan(learner.config) if phase.name == phase_name)
    if phase.cached:
        result_of(ensure_features(learner))  # part of preparing: sets the head's scale once
    learner.model.eval()
    next(learner.model.modules()).training = True
    next(learner.model.parameters()).requires_grad_(False)
    return learner, phase


@pytest.mark.parametrize("how", [*RANGES, "not a number", "closed", "failing"])
@pytest.mark.parametrize("phase_name", ["head", "head_augmented", "all"])
def test_a_sweep_leaves_everything_bit_identical(phase_name: str, how: str) -> None:
    settings: dict[str, Any] = {"num_steps": 14, "repeats": 2, **RANGES.get(how, {})}
    learner, phase = _learner(tiny_config("lesson", **settings), phase_name)
    # BatchNorm's statistics move in this mode, as they do from random weights.
    learner.config = replace(learner.config, pretrained=phase_name != "all")
    if how == "failing":
        learner.train_labels = torch.full_like(learner.train_labels, 99)
    before = _fingerprint(learner)
    events = sweep(learner, phase)
    if how == "failing":
        with pytest.raises(IndexError):
            list(events)
    else:
        for _ in range(5):  # past the Notes and Progress before the first step
            assert next(event for event in events if isinstance(event, SweepStep))
        assert _fingerprint(learner) != before
        _end(events, learner, how)
    assert _fingerprint(learner) == before


def _end(events: Generator[Event, None, Swept], learner: Learner, how: str) -> None:
    """Let a sweep that has taken five steps end in some way."""
    if how == "closed":
        events.close()
        return
    if how == "not a number":  # as after an update that was too large
        with torch.no_grad():
            head_of(learner.model).linear.bias[0] = math.nan
    swept = result_of(events)
    assert swept.diverged == (how != "normal")
    if how == "not a number":
        assert len(swept.losses) == 6
        assert math.isnan(swept.losses[-1])
        assert swept.suggested_lr is None


def test_the_fingerprint_sees_a_sweep_that_puts_nothing_back() -> None:
    learner, _ = _learner(tiny_config(), "head")
    before = _fingerprint(learner)
    with restored(learner.model):
        with torch.no_grad():
            next(learner.model.buffers()).add_(1e-7)
            next(learner.model.parameters()).mul_(1 + 1e-6)
        _ = torch.rand(1), np.random.rand(), random.random()
        inside = _fingerprint(learner)
        assert {key for key in before if before[key] != inside[key]} == {
            "weights and buffers",
            "torch",
            "numpy",
            "python",
        }
    assert _fingerprint(learner) == before


def _swept(config: Config, **options: int) -> tuple[list[SweepStep], Swept]:
    learner = tiny_learner(config)
    phase = sweep_phase(config)
    events, swept = collect(sweep(learner, phase, **options))
    assert events[-1] is swept
    return [event for event in events if isinstance(event, SweepStep)], swept


def test_an_exponential_sweep_takes_every_rung_of_its_ladder() -> None:
    config = tiny_config(lr_min=1e-6, lr_max=1e-3, num_steps=9)
    steps, swept = _swept(config)
    assert [step.lr for step in steps] == list(lr_ladder(1e-6, 1e-3, 9, "exponential"))
    assert [step.step for step in steps] == list(range(1, 11))
    assert {step.total_steps for step in steps} == {10}
    assert swept.lrs == tuple(step.lr for step in steps)
    assert swept.losses == tuple(step.loss for step in steps)
    assert len(swept.smooth_losses) == 10
    assert not swept.diverged


def test_a_doubling_sweep_doubles_the_rate_each_step() -> None:
    steps, _ = _swept(tiny_config(lr_min=1e-5, lr_max=1e-3, growth="doubling"))
    assert [step.lr for step in steps] == [1e-5 * 2**k for k in range(7)]


def test_max_steps_shortens_the_ladder_but_keeps_its_ends() -> None:
    steps, _ = _swept(tiny_config(lr_min=1e-6, lr_max=1e-3, num_steps=100), max_steps=6)
    assert [step.lr for step in steps] == pytest.approx([1e-6 * 10 ** (k / 2) for k in range(7)])


def test_the_same_sweep_again_gives_the_same_losses() -> None:
    config = tiny_config(lr_min=1e-5, lr_max=1e-2, num_steps=6)
    losses = _swept(config)[1].losses
    assert _swept(config)[1].losses == losses
    assert _swept(replace(config, seed=43))[1].losses != losses


def test_the_smoothed_loss_is_the_debiased_running_mean() -> None:
    steps, _ = _swept(tiny_config(lr_min=1e-6, lr_max=1e-3, num_steps=6))
    mean = 0.0
    for count, step in enumerate(steps, start=1):
        mean = 0.9 * mean + 0.1 * step.loss
        assert step.smooth_loss == pytest.approx(mean / (1 - 0.9**count))


def test_a_sweep_stops_once_the_loss_is_four_times_its_best() -> None:
    config = tiny_config(optimizer="sgd", lr_min=1e-3, lr_max=1e3, num_steps=60)
    steps, swept = _swept(config)
    assert swept.diverged
    assert 11 < len(steps) < 61
    best = min(step.smooth_loss for step in steps)
    last = steps[-1]
    assert not math.isfinite(last.loss) or last.smooth_loss > DIVERGED * best
    assert all(step.smooth_loss <= DIVERGED * best for step in steps[11:-1])


def test_on_cached_features_the_curve_is_the_mean_of_its_repeats() -> None:
    learner, phase = _learner(tiny_config(repeats=3, num_steps=8, lr_max=0.1), "head")
    events, swept = collect(sweep(learner, phase))
    steps = [event for event in events if isinstance(event, SweepStep)]
    assert [step.repeat for step in steps] == [0] * 9 + [1] * 9 + [2] * 9
    assert [step.step for step in steps] == list(range(1, 28))
    curves = [[step.loss for step in steps if step.repeat == repeat] for repeat in range(3)]
    assert curves[0] != curves[1] != curves[2]
    assert swept.losses == pytest.approx(np.mean(curves, axis=0).tolist())


def test_a_learnable_problem_gets_a_suggestion_that_learns() -> None:
    config = tiny_config(num_steps=60, batch_size=8, repeats=3)
    learner = tiny_learner(config, tiny_data(60, 9, spread=40), pretend=True)
    swept = result_of(sweep(learner, sweep_phase(learner.config)))
    assert swept.suggested_lr is not None
    assert 1e-4 < swept.suggested_lr < 1
    assert swept.suggested_lr == swept.suggestions["minimum"]
    rate, note = rate_from(swept, 0.123)
    assert rate == swept.suggested_lr
    assert note.text == swept.reason


def test_labels_that_are_noise_give_no_rate_and_the_run_uses_its_fallback() -> None:
    learner = tiny_learner(tiny_config(num_steps=30, lr_max=1e-6), pretend=True)
    swept = result_of(sweep(learner, sweep_phase(learner.config)))
    assert swept.suggested_lr is None
    rate, note = rate_from(swept, 0.01)
    assert rate == 0.01
    assert "No usable signal" in note.text
    assert "Training with 0.01 instead" in note.text


def test_a_closed_generator_ends_where_it_is() -> None:
    learner, phase = _learner(tiny_config(), "head")
    events: Generator[Event, None, Swept] = sweep(learner, phase)
    next(events)
    events.close()
    with pytest.raises(StopIteration):
        next(events)
