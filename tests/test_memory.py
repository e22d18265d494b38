"""Memory that does not suffice, and numbers that are not finite, injected at every place of a step.

The errors are PyTorch's own, raised where it would raise them; the trainings are real.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

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
from trainer import probe
from trainer.batches import epoch_batches
from trainer.checkpoint import has_checkpoint, load_checkpoint
from trainer.errors import ConfigError
from trainer.events import Event, Note, Step, Stopped
from trainer.fit import fit
from trainer.infer import infer
from trainer.jobs import Job, execute
from trainer.learner import Learner, ensure_features
from trainer.memory import TooBigError, is_out_of_memory, parts, smaller
from trainer.model import head_of, make_optimizer, set_mode
from trainer.plan import plan
from trainer.sweep import sweep
from trainer.task import Task, task_for
from trainer.update import fewest_at_once, update

WORDS = "CUDA out of memory. Tried to allocate 2.00 GiB."
PLACES = ("forward", "backward", "step")


class Scarce:
    """Memory for `most` images at a time: more of them fail at one place of the step."""

    def __init__(self, patch: pytest.MonkeyPatch, place: str, most: int) -> None:
        self.most, self.failures, self._size = most, 0, 0
        patch.setattr(functional, "cross_entropy", self._forward(place, functional.cross_entropy))
        if place == "backward":
            patch.setattr(torch.Tensor, "backward", self._failing(torch.Tensor.backward))
        for kind in (torch.optim.SGD, torch.optim.AdamW) if place == "step" else ():
            patch.setattr(kind, "step", self._failing(kind.step))

    def _forward(self, place: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def forward(logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            self._size = len(logits)
            if place == "forward":
                self._check()
            return real(logits, *args, **kwargs)

        return forward

    def _failing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._check()
            return real(*args, **kwargs)

        return call

    def _check(self) -> None:
        if self._size > self.most:
            self.failures += 1
            raise torch.OutOfMemoryError(WORDS)


def _prepared(phase_name: str, optimizer: str) -> tuple[Learner, Task, torch.optim.Optimizer]:
    config = tiny_config("lesson", optimizer=optimizer, batch_size=8, augment="strong")
    learner = tiny_learner(config, tiny_data(18, 9), pretend=phase_name != "scratch")
    phase = next(p for p in plan(learner.config) if p.name == phase_name or not p.frozen)
    if phase.cached:
        result_of(ensure_features(learner))
    set_mode(learner.model, frozen=phase.frozen, pretrained=learner.config.pretrained)
    task = task_for(learner, phase)
    return learner, task, make_optimizer(task.groups(), learner.config, 1e-3)


def _updated(phase_name: str, optimizer: str, *, count: int = 1) -> tuple[Learner, list[float]]:
    learner, task, stepper = _prepared(phase_name, optimizer)
    batches = epoch_batches(learner.num_train, 8, 0)
    losses = [
        float(update(learner, task, stepper, batches[number % 3], lr=1e-3, seed=number))
        for number in range(count)
    ]
    return learner, losses


def _gap(one: Learner, other: Learner) -> float:
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("phase_name", ["head", "head_augmented", "all"])
def test_steps_in_parts_are_the_same_steps(
    phase_name: str, optimizer: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, losses = _updated(phase_name, optimizer, count=4)
    scarce = Scarce(monkeypatch, place, most=2)
    halved, found = _updated(phase_name, optimizer, count=4)
    assert (scarce.failures, halved.at_once) == (2, 2)  # 8, 4, then it fits
    assert found == pytest.approx(losses, abs=1e-6)
    assert _gap(whole, halved) <= 1e-6


@pytest.mark.parametrize("place", PLACES)
def test_from_random_weights_a_failed_attempt_leaves_no_trace(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that is begun again has the statistics, and the optimizer's state, of before."""
    Scarce(monkeypatch, place, most=4)
    halved, _ = _updated("scratch", "adamw", count=3)
    monkeypatch.undo()
    learner, task, stepper = _prepared("scratch", "adamw")
    learner.at_once = 4
    batches = epoch_batches(learner.num_train, 8, 0)
    for number in range(3):
        update(learner, task, stepper, batches[number], lr=1e-3, seed=number)
    assert halved.at_once == 4
    assert digest(halved.model) == digest(learner.model)


@pytest.mark.parametrize(("phase_name", "floor"), [("all", 1), ("scratch", 2)])
def test_where_not_even_the_smallest_part_fits_the_message_says_what_to_do(
    phase_name: str, floor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, task, stepper = _prepared(phase_name, "sgd")
    assert fewest_at_once(learner) == floor
    before = [parameter.clone() for parameter in learner.model.parameters()]
    scarce = Scarce(monkeypatch, "forward", most=0)
    with pytest.raises(TooBigError, match="a step of 8 images") as error:
        update(learner, task, stepper, np.arange(8), lr=1e-3, seed=0)
    assert "image_size" in str(error.value)
    assert scarce.failures == (4 if floor == 1 else 3)
    assert all(map(torch.equal, before, learner.model.parameters()))


def test_a_training_says_so_once_and_goes_on_in_parts_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "ALONE", 0.0)  # else each run on a busy machine chooses anew
    config = tiny_config(epochs=2, freeze_epochs=1, lr=0.01, unfreeze="always", batch_size=8)
    plain = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
    result_of(fit(plain, tmp_path / "plain", should_stop=never))
    Scarce(monkeypatch, "forward", most=3)
    once = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
    events, run = collect(fit(once, tmp_path / "once", should_stop=never))
    assert run is not None
    notes = [e.text for e in events if isinstance(e, Note) and "not enough memory" in e.text]
    assert len(notes) == 1
    assert "2 at a time" in notes[0]
    assert "the same update" in notes[0]
    assert _gap(plain, once) <= 1e-4  # rounding, over a whole training
    for count in (9, 14):
        folder = tmp_path / str(count)
        stopped = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
        assert result_of(fit(stopped, folder, should_stop=stop_after(count))) is None
        again = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
        checkpoint = load_checkpoint(folder)
        assert checkpoint.state["at_once"] == 2
        result_of(fit(again, folder, should_stop=never, resume=checkpoint))
        assert digest(again.model) == digest(once.model)


def test_random_weights_are_told_that_their_statistics_are_of_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Scarce(monkeypatch, "forward", most=4)
    learner = tiny_learner(tiny_config(epochs=1, lr=1e-3), tiny_data(18, 9))
    learner.training_runtime = learner.runtime
    events, _ = collect(fit(learner, tmp_path, should_stop=never))
    notes = [e.text for e in events if isinstance(e, Note) and "not enough memory" in e.text]
    assert ["BatchNorm measures 4 at a time" in note for note in notes] == [True]


def test_pictures_go_through_the_body_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny_learner(tiny_config(), pretend=True)
    images = learner.train_images
    _, whole = collect(infer(learner.model, images, learner.preprocess, learner.runtime, text=""))
    real = learner.model.forward

    def scarce(inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > 3:
            raise torch.OutOfMemoryError(WORDS)
        return real(inputs)

    monkeypatch.setattr(learner.model, "forward", scarce)
    events, found = collect(
        infer(learner.model, images, learner.preprocess, learner.runtime, text="")
    )
    assert np.abs(found - whole).max() < 1e-6
    assert len(events) == math.ceil(len(images) / 2)


@pytest.mark.parametrize("place", PLACES)
def test_a_sweep_without_memory_puts_everything_back_and_suggests_the_same(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swept() -> tuple[Learner, str, list[float]]:
        config = tiny_config(num_steps=10, repeats=1, verify=False, lr_max=0.1)
        learner = tiny_learner(config, pretend=True)
        phase = plan(learner.config)[-1]
        before = digest(learner.model)
        return learner, before, list(result_of(sweep(learner, phase)).losses)

    plain, _, losses = swept()
    Scarce(monkeypatch, place, most=4)
    learner, before, found = swept()
    assert learner.at_once == 4
    assert digest(learner.model) == before == digest(plain.model)
    assert found == pytest.approx(losses, abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "place"), [("sweep", "trainer.sweep.sweep"), ("train", "trainer.fit.fit")]
)
def test_a_run_that_is_begun_again_takes_as_many_as_it_was_told(
    kind: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int | None] = []

    def begun(learner: Learner, *_: object, **__: object) -> Iterator[Event]:
        seen.append(learner.at_once)
        yield Stopped(step=0, total_steps=0)

    monkeypatch.setattr(place, begun)
    config = tiny_config(image_size=32)
    job = Job(kind=kind, config=config, dataset="digits", at_once=4)
    list(execute(job, tmp_path))
    assert seen == [4]


def test_parts_are_even_and_never_too_small() -> None:
    batch = torch.arange(25)
    assert [len(part) for part in parts(batch, 12)] == [9, 8, 8]
    assert [len(part) for part in parts(batch, None)] == [25]
    assert [len(part) for part in parts(batch[:3], 2, fewest=2)] == [3]
    assert [len(part) for part in parts(batch[:3], 1)] == [1, 1, 1]
    assert [smaller(count, 32) for count in (32, 5, 2)] == [16, 2, 1]
    assert smaller(3, 32, fewest=2) == 2


def test_only_a_lack_of_memory_counts_as_one() -> None:
    allocator = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 4 bytes")
    primitive = RuntimeError("could not create a primitive")
    for error in (torch.OutOfMemoryError(WORDS), allocator, primitive, MemoryError()):
        assert is_out_of_memory(error)
    for error in (RuntimeError("shapes do not match"), ValueError("out of memory"), OSError()):
        assert not is_out_of_memory(error)


# Numbers that are not finite.


def _broken_at(step: int, how: str, patch: pytest.MonkeyPatch) -> None:
    """Break the `step`-th update of a training, counted from 1."""
    real, calls = functional.cross_entropy, [0]

    def cross_entropy(logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        calls[0] += 1
        if calls[0] != step:
            return real(logits, *args, **kwargs)
        if how == "gradient":  # finite itself, but its slope is not
            logits.register_hook(lambda slope: slope * math.inf)
            return real(logits, *args, **kwargs)
        return real(logits, *args, **kwargs) * {"nan": math.nan, "inf": math.inf}[how]

    patch.setattr(functional, "cross_entropy", cross_entropy)


@pytest.mark.parametrize("how", ["nan", "inf", "gradient"])
@pytest.mark.parametrize("step", [1, 3, 5])
def test_the_step_whose_numbers_break_is_not_made_and_is_named(
    step: int, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(epochs=3, lr=0.004, schedule="constant")
    learner = tiny_learner(config, tiny_data(18, 9))
    learner.training_runtime = learner.runtime  # no probe, which takes steps too
    weights = [digest(learner.model.parameters())]
    _broken_at(step, how, monkeypatch)
    words = rf"not a number at step {step}, at the rate 4e-3"
    with pytest.raises(ConfigError, match=words):
        for event in fit(learner, tmp_path, should_stop=never):
            if isinstance(event, Step):
                weights.append(digest(learner.model.parameters()))
    assert len(weights) == step  # of before, and after each step that was made
    assert digest(learner.model.parameters()) == weights[-1]
    assert has_checkpoint(tmp_path) == (step > 3)
    if step > 3:
        kept = load_checkpoint(tmp_path)
        assert kept.state["step"] == 3
        assert all(bool(value.isfinite().all()) for value in kept.tensors["model"].values())


def test_weights_that_are_not_finite_never_become_a_checkpoint(tmp_path: Path) -> None:
    learner = tiny_learner(tiny_config(epochs=3, lr=0.004), tiny_data(18, 9))
    broken: list[bool] = []
    with pytest.raises(ConfigError, match="no longer finite at step 4"):
        for event in fit(learner, tmp_path, should_stop=lambda: bool(broken)):
            assert not isinstance(event, Stopped)
            if isinstance(event, Step) and event.step == 4:
                broken.append(True)
                with torch.no_grad():
                    head_of(learner.model).linear.bias[0] = math.inf
    assert load_checkpoint(tmp_path).state["step"] == 3


def test_a_rate_that_is_out_of_this_world_ends_in_words(tmp_path: Path) -> None:
    learner = tiny_learner(tiny_config(epochs=2, lr=1e3, optimizer="sgd"), tiny_data(18, 9))
    learner.config = replace(learner.config, schedule="constant")
    try:
        result_of(fit(learner, tmp_path, should_stop=never))
    except ConfigError as error:
        assert "1e3" in str(error)
        assert "a tenth" in str(error)
    assert all(bool(value.isfinite().all()) for value in learner.model.parameters())
