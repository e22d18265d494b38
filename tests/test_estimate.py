"""The estimate: what it counts and what it leaves out, without a download."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiny import collect, result_of, tiny_config, tiny_data
from trainer import estimate as estimating
from trainer.config import Config, config_for
from trainer.estimate import Estimate, estimate
from trainer.events import Planned, Progress
from trainer.learner import ensure_features, prepare
from trainer.plan_words import approximately, duration_words


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))


def estimated(config: Config, num_train: int = 26) -> Estimate:
    events, found = collect(estimate(tiny_data(num_train), config))
    assert any(isinstance(event, Progress) for event in events)
    return found


def test_it_needs_no_weights_from_the_hub() -> None:
    config = config_for(model_name="test_resnet", image_size=32, device="cpu")
    assert estimated(config).train > 0


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every estimate counts with the speeds of the first: a busy machine measures other ones."""
    measure, first = estimating._measure, []

    def measured(*values: Any) -> Any:
        now = yield from measure(*values)
        first.append(now)
        known = {"train_known": now.train_known, "valid_known": now.valid_known}
        trials = first[0].trials if now.trials else 0.0
        return replace(first[0], views=now.views, trials=trials, **known)

    monkeypatch.setattr(estimating, "_measure", measured)


@pytest.mark.usefixtures("steady")
def test_more_epochs_take_longer_and_a_given_rate_saves_the_sweep() -> None:
    def train(**settings: Any) -> float:
        return estimated(tiny_config(**settings)).train

    assert train(epochs=40, lr=0.01) > 2 * train(epochs=4, lr=0.01)
    assert train(epochs=4, num_steps=100) > train(epochs=4, lr=0.01)


@pytest.mark.usefixtures("steady")
def test_features_that_are_kept_are_not_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "has_weights_here", lambda config: False)
    pretrained = tiny_config().to_dict() | {"pretrained": True, "unfreeze": "never"}
    config, data = config_for(**pretrained), tiny_data(300)
    first = result_of(estimate(data, config))
    learner = result_of(prepare(data, tiny_config(), kind="train"))
    result_of(ensure_features(learner))
    again = result_of(estimate(data, config))
    assert again.sweep < first.sweep


def test_a_phase_that_will_not_pay_is_not_promised() -> None:
    few = tiny_config().to_dict() | {"pretrained": True, "unfreeze": "auto"}
    assert estimated(config_for(**few)).optional == 0.0
    settings: dict[str, Any] = few | {"batch_size": 2, "epochs": 10}
    many = config_for(**settings)
    assert estimated(many).optional > 0.0


def test_words_for_a_duration() -> None:
    planned = Planned(
        phases=(),
        total_steps=0,
        num_train=0,
        num_valid=0,
        command="",
        train_seconds=12.4,
        optional_seconds=64.0,
    )
    assert duration_words(planned) == ("About 10 s on this machine; 65 s more if all layers train.")
    texts = [approximately(value) for value in (0.2, 7.6, 44.0, 200.0, 6000.0)]
    assert texts == ["1 s", "8 s", "45 s", "3 min", "1.7 h"]
