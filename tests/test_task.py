"""Tasks and updates: where images come from, and an update that is not made leaves no trace."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tiny import digest, never, result_of, tiny_config, tiny_learner
from trainer import fit as fitting
from trainer.checkpoint import load_checkpoint
from trainer.errors import ConfigError
from trainer.events import EpochDone, Step
from trainer.fit import fit
from trainer.fit_state import Fit, Progression, restore, save
from trainer.learner import Learner, ensure_features
from trainer.model import head_of, make_optimizer, set_mode
from trainer.plan import plan
from trainer.runtime import Runtime
from trainer.task import COMPILE_STEPS, MAX_NORM, compile_pays, image_source, resident, task_for
from trainer.update import read_losses, update

CPU = torch.device("cpu")


def prepared(**settings: Any) -> tuple[Learner, torch.optim.Optimizer]:
    """A learner whose layers all train, and its optimizer."""
    learner = tiny_learner(tiny_config(augment="none", **settings))
    (phase,) = plan(learner.config)
    set_mode(learner.model, frozen=False, pretrained=True)
    task = task_for(learner, phase)
    return learner, make_optimizer(task.groups(), learner.config, 0.01)


def test_pictures_on_the_device_are_those_on_the_disk() -> None:
    images = tiny_learner().train_images
    indices = np.array([25, 0, 3, 3])
    runtime = Runtime(device=CPU, dtype=torch.float32, reason="")
    whole, read = resident(images, CPU), image_source(images, runtime)
    assert torch.equal(whole(indices), read(indices))
    assert whole(indices).shape == (4, 3, 32, 32)
    assert whole(indices).dtype == torch.uint8


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_update_whose_loss_is_not_finite_is_not_made(optimizer: str) -> None:
    learner, optim = prepared(optimizer=optimizer)
    (phase,) = plan(learner.config)
    task = task_for(learner, phase)
    indices = np.arange(8)
    assert torch.isfinite(update(learner, task, optim, indices, lr=0.01, seed=0))
    before = digest(learner.model)
    broken = type(task)(task.inputs, lambda inputs: task.logits(inputs) * torch.inf, task.groups)
    assert not torch.isfinite(update(learner, broken, optim, indices, lr=0.01, seed=1))
    assert digest(learner.model) == before
    assert torch.isfinite(update(learner, task, optim, indices, lr=0.01, seed=2))
    assert digest(learner.model) != before


def test_compiling_is_for_long_runs_on_a_gpu_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Runtime(device=torch.device("cuda"), dtype=torch.bfloat16, reason="")
    cpu = Runtime(device=CPU, dtype=torch.bfloat16, reason="")
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    assert compile_pays(gpu, COMPILE_STEPS)
    assert not compile_pays(gpu, COMPILE_STEPS - 1)
    assert not compile_pays(cpu, COMPILE_STEPS)
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not compile_pays(gpu, COMPILE_STEPS)


def test_losses_that_are_read_together_are_the_same_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a GPU run does, on a CPU: the journal must not depend on when losses are read."""
    one_by_one = list(fit(tiny_learner(), tmp_path / "a", should_stop=never))
    monkeypatch.setattr(fitting, "reads_together", lambda device: True)
    together = list(fit(tiny_learner(), tmp_path / "b", should_stop=never))
    for kind in (Step, EpochDone):
        first = [e for e in one_by_one if isinstance(e, kind)]
        second = [e for e in together if isinstance(e, kind)]
        assert [e.step for e in first] == [e.step for e in second]
    losses = [[e.loss for e in es if isinstance(e, Step)] for es in (one_by_one, together)]
    assert losses[0] == losses[1]


def test_a_bad_loss_among_several_is_named_by_its_step() -> None:
    losses = [torch.tensor(value) for value in (1.0, torch.nan, 1.0)]
    pending = [(step, 0.5, loss) for step, loss in zip((8, 9, 10), losses, strict=True)]
    with pytest.raises(ConfigError, match=r"not a number at step 9, at the rate 5e-1"):
        read_losses(pending)


def test_a_resumed_run_keeps_the_arithmetic_that_was_measured(tmp_path: Path) -> None:
    learner = tiny_learner(pretend=True)
    result_of(ensure_features(learner))
    measured = learner.runtime
    run = Fit(learner, tmp_path, plan(learner.config), Progression(), {}, 0.0)
    save(run)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None
    other = tiny_learner(pretend=True)
    again = Fit(other, tmp_path, plan(learner.config), Progression(), {}, 0.0)
    restore(again, checkpoint)
    assert other.runtime == measured
    assert other.runtime.images_per_second > 0


@pytest.mark.parametrize(("save_seconds", "due_after"), [(0.1, 60.0), (3.0, 60.0), (6.0, 120.0)])
def test_no_more_than_a_minute_is_lost_unless_saving_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_seconds: float, due_after: float
) -> None:
    """A checkpoint within an epoch takes a twentieth of the time at most."""
    learner = tiny_learner()
    run = Fit(learner, tmp_path, plan(learner.config), Progression(), {}, 0.0, saved_at=1000.0)
    run.save_seconds = save_seconds
    for passed, due in ((due_after - 0.5, False), (due_after + 0.5, True)):
        clock = SimpleNamespace(perf_counter=partial(float, 1000.0 + passed))
        monkeypatch.setattr("trainer.fit_state.time", clock)
        assert run.save_is_due() == due


@pytest.mark.parametrize(
    ("optimizer", "pretrained", "clipped"),
    [("sgd", True, True), ("sgd", False, False), ("adamw", True, False)],
)
def test_a_long_gradient_is_cut_for_sgd_through_a_pretrained_body(
    optimizer: str, pretrained: bool, clipped: bool
) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "momentum": 0.0, "unfreeze": "always"}
    learner = tiny_learner(tiny_config(**settings), pretend=pretrained)
    phase = plan(learner.config)[-1]
    set_mode(learner.model, frozen=False, pretrained=True)
    task = task_for(learner, phase)
    with torch.no_grad():
        head_of(learner.model).linear.weight.mul_(1e4)
    steps = make_optimizer(task.groups(), learner.config, 1.0)
    update(learner, task, steps, np.arange(8), lr=1e-9, seed=0)
    gradients = [p.grad for group in steps.param_groups for p in group["params"]]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    assert (float(norm) <= MAX_NORM * 1.001) == clipped
