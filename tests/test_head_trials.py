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
from trainer.head_trials import MAX_WORK, num_folds, train_heads, try_heads
from trainer.learner import Learner, ensure_features
from trainer.model import head_of
from trainer.plan import Phase, plan


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
    events, trials = collect(try_heads(learner, phase, (1e-3, 1e-1)))
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


@pytest.mark.parametrize("most", [None, 12])
def test_folds_hold_every_picture_out_once_and_spread_the_classes(most: int | None) -> None:
    labels = np.repeat([0, 1, 2], [10, 30, 7])
    folds = split_folds(labels, 3, most=most)
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert len(folds) == FOLDS
    assert len(set(held_out)) == len(held_out) == (most or len(labels))
    for fold in folds:
        assert not set(fold.train) & set(fold.held_out)
        assert sorted([*fold.train, *fold.held_out]) == sorted(held_out)
        if most is None:
            counts = np.bincount(labels[fold.held_out], minlength=3)
            assert (abs(counts - np.bincount(labels) / FOLDS) < 1).all()


def test_the_same_seed_gives_the_same_folds_and_few_pictures_fewer_of_them() -> None:
    labels = np.arange(40) % 4
    same = zip(split_folds(labels, 1), split_folds(labels, 1), strict=True)
    assert all((a.train == b.train).all() for a, b in same)
    assert not (split_folds(labels, 1)[0].train == split_folds(labels, 2)[0].train).all()
    assert len(split_folds(np.array([0, 1, 1]), 0)) == 3


def test_few_pictures_go_several_rounds_and_much_work_is_cut() -> None:
    learner, phase = head_learner()
    head = head_of(learner.model)
    assert num_folds(head, phase, 11, 100) == 3 * FOLDS
    assert num_folds(head, phase, 11, 500) == 2 * FOLDS
    assert num_folds(head, phase, 11, 501) == FOLDS
    per_picture = 6.0 * phase.epochs * head.linear.weight.numel() * 11
    some = int(MAX_WORK / per_picture / 2.5)
    assert num_folds(head, phase, 11, some) == 2
    assert num_folds(head, phase, 11, 100 * some) == 1


def test_only_some_pictures_are_tried_where_all_would_be_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner, phase = head_learner(60)
    per_picture = 6.0 * phase.epochs * head_of(learner.model).linear.weight.numel() * 2
    monkeypatch.setattr(head_trials, "MAX_WORK", 30.5 * per_picture)
    trials = result_of(try_heads(learner, phase, (1e-3, 1e-1)))
    assert trials.correct.shape == (2, 6)  # a fifth of thirty
