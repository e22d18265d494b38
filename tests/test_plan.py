"""The phases of a run, whatever their lengths and rates are."""

from itertools import product
from typing import Any

import pytest

from trainer.batches import num_batches
from trainer.config import CHOICES, config_for
from trainer.errors import ConfigError
from trainer.plan import (
    ENOUGH,
    MAX_SECONDS,
    MIN_STEPS,
    default_lr,
    default_unfrozen_lr,
    num_steps,
    plan,
    reason_to_skip,
    sweep_phase,
)


def test_quick_trains_the_head_on_cached_features_and_then_all_layers() -> None:
    config = config_for("quick", freeze_epochs=3, epochs=2, unfrozen_lr=0.004)
    head, all_layers = plan(config)
    assert (head.name, head.frozen, head.cached, head.epochs) == ("head", True, True, 3)
    assert head.lr is None  # swept
    assert (all_layers.name, all_layers.frozen, all_layers.cached) == ("all", False, False)
    assert (all_layers.epochs, all_layers.lr) == (2, 0.004)
    assert all_layers.optional


def test_lesson_trains_the_head_twice_and_sweeps_before_each_part() -> None:
    config = config_for("lesson", freeze_epochs=2, epochs=3)
    head, augmented, all_layers = plan(config)
    assert [p.name for p in (head, augmented, all_layers)] == ["head", "head_augmented", "all"]
    assert (head.frozen, head.cached) == (True, True)
    assert (augmented.frozen, augmented.cached) == (True, False)
    assert (all_layers.frozen, all_layers.cached) == (False, False)
    assert [p.lr for p in (head, augmented, all_layers)] == [None, None, None]
    assert augmented.same_lr  # the head's sweep serves it too
    assert not all_layers.optional  # the lesson always unfreezes
    assert all_layers.schedule == "sgdr"


@pytest.mark.parametrize("preset", ["quick", "lesson"])
def test_a_random_body_trains_in_one_phase(preset: str) -> None:
    (only,) = plan(config_for(preset, pretrained=False, epochs=5, lr=0.01))
    assert (only.frozen, only.cached, only.epochs, only.lr) == (False, False, 5, 0.01)
    assert not only.optional


@pytest.mark.parametrize("preset", ["quick", "lesson"])
def test_unfreeze_never_leaves_the_body_alone(preset: str) -> None:
    phases = plan(config_for(preset, unfreeze="never", freeze_epochs=1, epochs=5))
    assert phases
    assert all(phase.frozen for phase in phases)


def test_unfreeze_always_skips_nothing() -> None:
    assert not any(phase.optional for phase in plan(config_for(unfreeze="always")))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, ""),
        ({"seconds": MAX_SECONDS}, ""),
        ({"accuracy": ENOUGH}, "98.0 %"),
        ({"accuracy": 1.0}, "100.0 %"),
        ({"num_train": 2 * (MIN_STEPS // 4)}, "steps are too few"),
        ({"seconds": 420.0}, "would take 7 minutes on this machine"),
    ],
)
def test_an_optional_phase_is_left_out_where_it_does_not_pay(
    facts: dict[str, Any], words: str
) -> None:
    config = config_for(epochs=2, batch_size=2)
    usual = {"accuracy": 0.9, "num_train": MIN_STEPS}
    why = reason_to_skip(plan(config)[-1], config, **{**usual, **facts})
    assert words in why
    assert bool(words) == bool(why)
    must = config_for(epochs=2, batch_size=2, unfreeze="always")
    assert reason_to_skip(plan(must)[-1], must, **{**usual, **facts}) == ""


@pytest.mark.parametrize("preset", ["quick", "lesson"])
def test_phases_without_epochs_are_left_out(preset: str) -> None:
    (only,) = plan(config_for(preset, freeze_epochs=0, epochs=2))
    assert (only.name, only.optional) == ("all", False)
    frozen = plan(config_for(preset, freeze_epochs=2, epochs=0))
    assert frozen
    assert all(phase.frozen for phase in frozen)


@pytest.mark.parametrize("unfreeze", CHOICES["unfreeze"])
@pytest.mark.parametrize("preset", CHOICES["preset"])
def test_every_config_that_is_allowed_has_something_to_do(preset: str, unfreeze: str) -> None:
    allowed = 0
    for pretrained, freeze_epochs, epochs in product((True, False), (0, 1), (0, 1)):
        try:
            config = config_for(
                preset,
                unfreeze=unfreeze,
                pretrained=pretrained,
                freeze_epochs=freeze_epochs,
                epochs=epochs,
            )
        except ConfigError:
            continue
        allowed += 1
        assert plan(config)
    assert allowed >= 4


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_rate_that_nobody_chose_suits_the_optimizer(optimizer: str) -> None:
    config = config_for(optimizer=optimizer, unfrozen_lr=None)
    assert plan(config)[-1].lr == default_unfrozen_lr(config)
    assert 1e-6 < default_unfrozen_lr(config) < default_lr(plan(config)[0], config) <= 1


def test_the_steps_of_a_phase_are_its_epochs_times_its_batches() -> None:
    config = config_for(freeze_epochs=3, epochs=2, batch_size=8)
    head, all_layers = plan(config)
    assert num_steps(head, config, 20) == 3 * 3
    assert num_steps(all_layers, config, 20) == 2 * num_batches(20, 8)


def test_a_sweep_tries_what_the_run_would_do_first() -> None:
    for config in (config_for(), config_for("lesson"), config_for(pretrained=False)):
        assert sweep_phase(config) == plan(config)[0]


def test_every_phase_says_in_words_what_it_does_and_why() -> None:
    for config in (config_for(), config_for("lesson"), config_for(pretrained=False)):
        for phase in plan(config):
            assert len(phase.title) > 10
            assert len(phase.why) > 10
