"""The sweep puts everything back, climbs its ladder, and finds a rate that learns."""

import math
import random
from collections.abc import Generator
from dataclasses import replace
from hashlib import sha256
from itertools import zip_longest
from typing import Any

import numpy as np
import pytest
import torch

from tiny import collect, digest, result_of, tiny_config, tiny_data, tiny_learner
from trainer import budget
from trainer.config import Config
from trainer.events import Event, Note, Raced, SweepStep, Swept, Tried
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
    settings["verify"] = how != "not a number"
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


def _swept(config: Config) -> tuple[list[SweepStep], Swept]:
    """A single sweep of all layers."""
    config = replace(config, repeats=1)
    learner = tiny_learner(config)
    phase = sweep_phase(config)
    events, swept = collect(sweep(learner, phase))
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


def test_slow_steps_shorten_the_ladder_but_keep_its_ends() -> None:
    config = tiny_config(lr_min=1e-6, lr_max=1e-3, num_steps=100, repeats=3, verify=False)
    learner = tiny_learner(config)
    learner.training_runtime = replace(learner.runtime, images_per_second=config.batch_size * 0.5)
    events, swept = collect(sweep(learner, sweep_phase(config)))  # two seconds a step
    steps = [event.lr for event in events if isinstance(event, SweepStep)]
    assert steps == pytest.approx(list(lr_ladder(1e-6, 1e-3, budget.FEWEST_STEPS, "exponential")))
    assert len(swept.lrs) == len(steps)
    assert any(isinstance(event, Note) and "40 steps" in event.text for event in events)


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


def test_all_layers_are_swept_again_while_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_config(repeats=3, num_steps=8, lr_max=0.1, verify=False)
    _, swept = collect(sweep(tiny_learner(config), sweep_phase(config)))
    assert len(swept.band_low) == len(swept.band_high) == 9
    bounds = zip(swept.band_low, swept.smooth_losses, swept.band_high, strict=True)
    assert all(low <= mean <= high for low, mean, high in bounds)
    monkeypatch.setattr(budget, "SECONDS", 0.0)  # a step costs more than a quarter of nothing
    config = replace(config, epochs=1)
    learner = tiny_learner(config, tiny_data(9))
    events, swept = collect(sweep(learner, sweep_phase(config)))
    assert {event.repeat for event in events if isinstance(event, SweepStep)} == {0}
    assert swept.band_low == ()


def test_a_learnable_problem_gets_a_measured_rate_that_learns() -> None:
    config = tiny_config(num_steps=60, batch_size=8, repeats=3, freeze_epochs=6)
    learner = tiny_learner(config, tiny_data(60, 9, spread=150), pretend=True)
    events, swept = collect(sweep(learner, sweep_phase(learner.config), race=True))
    tried = next(event for event in events if isinstance(event, Tried))
    raced = next(event for event in events if isinstance(event, Raced))
    assert swept.measured and swept.suggested_lr is not None
    low, high = swept.usable
    assert low <= swept.suggested_lr <= high
    inside = [a for lr, a in zip(tried.lrs, tried.accuracies, strict=True) if low <= lr <= high]
    assert np.mean(inside) > max(tried.accuracies) - 0.1 > 0.5
    assert "lies between their middle" in swept.reason  # sixty pictures
    assert tried.num_held_out == 60
    assert raced.lrs[1] == swept.suggested_lr
    assert [len(losses) for losses in raced.losses] == [8 * 6] * 3
    assert raced.losses[0][-1] > raced.losses[1][-1]  # too low: it has hardly learned
    rate, note = rate_from(swept, 0.123)
    assert (rate, note.text) == (swept.suggested_lr, swept.reason)


def test_from_random_weights_short_fits_check_the_reading() -> None:
    config = tiny_config(num_steps=60, repeats=1, epochs=8)
    learner = tiny_learner(config, tiny_data(120, 9, spread=40))
    before = _fingerprint(learner)
    events, swept = collect(sweep(learner, sweep_phase(config)))
    tried = next(event for event in events if isinstance(event, Tried))
    assert swept.measured and swept.suggested_lr is not None
    assert min(tried.lrs) <= swept.suggested_lr <= max(tried.lrs)
    assert "steps" in tried.what
    assert tried.num_held_out == 24
    assert _fingerprint(learner) == before


def test_the_loss_of_validation_images_can_be_watched() -> None:
    for phase_name in ("head", "all"):
        learner, phase = _learner(tiny_config("lesson", num_steps=6, repeats=1), phase_name)
        before = _fingerprint(learner)
        train = result_of(sweep(learner, phase)).losses
        learner.config = replace(learner.config, sweep_loss="valid")
        events, swept = collect(sweep(learner, phase))
        assert swept.losses != train
        assert _fingerprint(learner) == before
        steps = [event for event in events if isinstance(event, SweepStep)]
        assert tuple(step.loss for step in steps) == pytest.approx(swept.losses)


def test_labels_that_are_noise_give_no_rate_and_the_run_uses_its_fallback() -> None:
    learner = tiny_learner(tiny_config(num_steps=30), tiny_data(60), pretend=True)
    learner.train_labels = torch.from_numpy(np.random.default_rng(0).permutation(60) % 3)
    swept = result_of(sweep(learner, sweep_phase(learner.config)))
    assert swept.suggested_lr is None
    assert swept.usable == ()
    rate, note = rate_from(swept, 0.01)
    assert rate == 0.01
    assert "No usable signal" in note.text
    assert "Training with 1e-2 instead" in note.text


def test_without_a_check_a_range_that_is_too_low_gives_no_rate() -> None:
    config = tiny_config(num_steps=30, lr_max=1e-6, verify=False)
    learner = tiny_learner(config, pretend=True)
    swept = result_of(sweep(learner, sweep_phase(learner.config)))
    assert swept.suggested_lr is None
    assert "No usable signal" in swept.reason


def test_two_sweeps_at_once_give_what_each_gives_alone() -> None:
    config = tiny_config(num_steps=12, repeats=2, verify=False)
    other = replace(config, seed=7)
    alone = [result_of(sweep(*_learner(each, "all"))).losses for each in (config, other)]
    running = [sweep(*_learner(each, "all")) for each in (config, other)]
    found: list[tuple[float, ...]] = [(), ()]
    for pair in zip_longest(*running):  # step by step in turn
        for number, event in enumerate(pair):
            if isinstance(event, Swept):
                found[number] = event.losses
    assert found == alone


def test_a_closed_generator_ends_where_it_is() -> None:
    learner, phase = _learner(tiny_config(), "head")
    events: Generator[Event, None, Swept] = sweep(learner, phase)
    next(events)
    events.close()
    with pytest.raises(StopIteration):
        next(events)


def test_without_a_suggestion_the_rate_stays_below_where_the_loss_rises() -> None:
    reason = "No usable signal."
    swept = Swept(lrs=(), losses=(), suggestions={}, suggested_lr=None, reason=reason)
    assert rate_from(swept, 0.01)[0] == 0.01
    assert rate_from(replace(swept, ceiling=1.0), 0.01)[0] == 0.01
    rate, note = rate_from(replace(swept, ceiling=2e-3), 0.01)
    assert rate == pytest.approx(2e-3 / 3)
    assert "a third of 2e-3" in note.text
