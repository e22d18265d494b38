"""Heads trained side by side: each exactly as alone, one that breaks down disturbs no other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tiny import collect, digest, never, result_of, tiny_config, tiny_data, tiny_learner
from trainer import head_trials
from trainer.events import EpochDone, Progress
from trainer.fit import fit
from trainer.folds import FOLDS, split_folds
from trainer.head_stack import HeadStack
from trainer.head_trials import (
    MAX_WEIGHTS,
    MAX_WORK,
    TrialPlan,
    plan_trials,
    train_heads,
    try_heads,
)
from trainer.learner import Learner, ensure_features
from trainer.model import head_of
from trainer.plan import Phase, plan
from trainer.sweep import sweep


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))


def head_learner(num_train: int = 26, **settings: Any) -> tuple[Learner, Phase]:
    """A learner whose features are there, and the head's phase."""
    config = tiny_config(unfreeze="auto", **settings)
    learner = tiny_learner(config, tiny_data(num_train), pretend=True)
    learner.config = replace(learner.config, unfreeze="never")
    result_of(ensure_features(learner))
    return learner, plan(learner.config)[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adamw", "views": 2},
        {"optimizer": "sgd", "schedule": "cosine"},
        {"optimizer": "adamw", "label_smoothing": 0.1, "schedule": "sgdr", "weight_decay": 0.3},
    ],
    ids=["adamw", "sgd", "smoothed"],
)
def test_each_head_learns_as_a_training_at_its_rate_does(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    learner, phase = head_learner(freeze_epochs=4, **settings)
    assert learner.features is not None
    lrs, everything = (1e-3, 3e-2), np.arange(learner.num_train)
    _, (stack, _) = collect(train_heads(learner, phase, lrs, [everything], [learner.config.seed]))
    start = {name: value.clone() for name, value in learner.model.state_dict().items()}
    for number, lr in enumerate(lrs):
        learner.model.load_state_dict(start)
        learner.config = replace(learner.config, lr=lr)
        events, run = collect(fit(learner, tmp_path / str(number), should_stop=never))
        assert run is not None
        correct, found = stack.judge(0, learner.features.valid, learner.valid_labels)
        last = [event for event in events if isinstance(event, EpochDone)][-1]
        assert found[number].mean() == pytest.approx(last.valid_loss, rel=2e-4)
        assert correct[number].mean() == pytest.approx(last.valid_accuracy)


def test_nothing_of_the_learner_changes() -> None:
    learner, phase = head_learner()
    before, state = digest(learner.model), torch.get_rng_state()
    events, trials = collect(try_heads(learner, phase, TrialPlan((1e-3, 1e-1), FOLDS, 8)))
    assert trials is not None
    assert all(isinstance(event, Progress) for event in events) and events
    assert digest(learner.model) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert trials.correct.shape == trials.losses.shape == (2, learner.num_train)


def test_a_head_that_breaks_down_disturbs_no_other() -> None:
    learner, _ = head_learner(optimizer="sgd", momentum=0.0)
    head, config = head_of(learner.model), learner.config
    assert learner.features is not None
    features = learner.features.train[:1, :8]
    labels = learner.train_labels[None, :8]
    alone = HeadStack(head, [0.1], 1, config)
    beside = HeadStack(head, [0.1, float("inf"), 1e30], 1, config)
    for _ in range(5):
        one = alone.step(features, labels, factor=1.0)
        several = beside.step(features, labels, factor=1.0)
        assert several[0, 0] == pytest.approx(float(one[0, 0]), rel=1e-5)
    correct, losses = beside.judge(0, features[0], labels[0].numpy())
    assert not correct[1:].any()
    assert np.isinf(losses[1:]).all()
    assert np.isfinite(losses[0]).all()


def test_folds_hold_every_picture_out_once_and_spread_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [10, 30, 7])
    folds = split_folds(labels, 3)
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert len(folds) == FOLDS
    assert sorted(held_out) == list(range(47))
    for fold in folds:
        assert sorted([*fold.train, *fold.held_out]) == list(range(47))
        counts = np.bincount(labels[fold.held_out], minlength=3)
        assert (abs(counts - np.bincount(labels) / FOLDS) < 1).all()


def test_a_part_of_what_is_held_out_holds_every_class() -> None:
    fold = split_folds(np.repeat(np.arange(10), 200), 0)[0]
    assert set(fold.held_out[:100] // 200) == set(range(10))


def test_the_same_seed_gives_the_same_folds_and_few_pictures_fewer_of_them() -> None:
    labels = np.arange(40) % 4
    same = zip(split_folds(labels, 1), split_folds(labels, 1), strict=True)
    assert all((a.train == b.train).all() for a, b in same)
    assert not (split_folds(labels, 1)[0].train == split_folds(labels, 2)[0].train).all()
    assert len(split_folds(np.array([0, 1, 1]), 0)) == 3
    assert split_folds(np.array([0, 1]), 0) == []


def test_few_pictures_go_several_rounds_and_much_work_is_cut() -> None:
    learner, phase = head_learner()
    head, config = head_of(learner.model), learner.config

    def planned(num_train: int) -> TrialPlan:
        found = plan_trials(head, phase, config, num_train)
        assert found is not None
        return found

    assert planned(100).num_folds == 3 * FOLDS
    assert planned(500).num_folds == 2 * FOLDS
    assert planned(501).num_folds == FOLDS
    assert planned(501).num_steps == phase.epochs * 50  # four fifths in batches of 8
    assert len(planned(501).lrs) == 11


@pytest.mark.parametrize("limit", ["MAX_WORK", "MAX_WEIGHTS"])
def test_too_much_for_a_fold_is_tried_at_decades_then_not_at_all(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    learner, phase = head_learner()
    head, config = head_of(learner.model), learner.config
    weights = head.linear.weight.numel()
    work = phase.epochs * 50 * weights * (6 * config.batch_size + head_trials.UPDATE_WORK)
    one_rate = {"MAX_WORK": work, "MAX_WEIGHTS": weights}[limit]
    monkeypatch.setattr(head_trials, "WORK_PER_PICTURE", 0)
    for rates, left in ((33.5, (11, 3)), (11.5, (11, 1)), (6.5, (6, 1))):
        monkeypatch.setattr(head_trials, limit, rates * one_rate)
        found = plan_trials(head, phase, config, 501)
        assert found is not None
        assert (len(found.lrs), found.num_folds) == left
    monkeypatch.setattr(head_trials, limit, 5.5 * one_rate)
    assert plan_trials(head, phase, config, 501) is None
    assert min(MAX_WORK, MAX_WEIGHTS) > 0


def test_two_pictures_cannot_be_held_out() -> None:
    learner, phase = head_learner(2)
    assert result_of(try_heads(learner, phase, TrialPlan((1e-3,), FOLDS, 2))) is None
    swept = result_of(sweep(learner, phase))
    assert not swept.measured


def test_a_short_training_compresses_its_schedule() -> None:
    learner, phase = head_learner()
    everything = [np.arange(learner.num_train)]
    _, losses = result_of(train_heads(learner, phase, (0.1,), everything, [1], most_steps=3))
    assert losses.shape == (1, 3)
