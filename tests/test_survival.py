"""Runs that survive: killed anywhere, the disk full or failing at any operation, files damaged.

The sizes are what every run of the tests can afford; `benchmarks/survival.py` has the full ones.
"""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import Operations, failing, faults
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
from trainer import disk
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.data import Data
from trainer.errors import CheckpointError
from trainer.events import (
    EpochDone,
    Event,
    Failed,
    Note,
    PhaseStarted,
    Progress,
    Step,
    Stopped,
)
from trainer.fit import fit
from trainer.jobs import Job
from trainer.learner import Learner, ensure_features
from trainer.runner.folder import create_run, read_folder, record
from trainer.runner.journal import Journal, read_events

TESTS = Path(__file__).parent
KILLS = 20
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE)


@pytest.mark.timeout(600)
def test_killed_at_random_and_inside_a_save_a_training_ends_bit_identical(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "survivor", str(tmp_path / "runs"), str(KILLS), "1", "0"]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["random"]["kills"] == KILLS
    assert found["forced"]["forced_kills"] == len(found["forced"]["reached"]) == 12
    for report in found.values():
        assert report["unloadable"] == report["lost_generations"] == report["different"] == 0
        assert report["finished"] > 0
        assert max(report["reached"]) > min(report["reached"]) or report["forced_kills"]


# Resuming: every combination of what could make a difference.

INTERRUPTS = ("step", "epoch", "validation")
MATRIX = list(product(("adamw", "sgd"), ("one_cycle", "sgdr"), ("fp32", "bf16"), (None, 3)))


def _matrix_learner(combination: tuple[Any, ...]) -> Learner:
    optimizer, schedule, precision, at_once = combination
    config = tiny_config(
        epochs=2,
        lr=0.003,
        optimizer=optimizer,
        schedule=schedule,
        precision=precision,
        augment="light",
    )
    learner = tiny_learner(config, tiny_data(18, 9, spread=150))
    learner.training_runtime = learner.runtime
    learner.at_once = at_once
    return learner


def _place(events: list[Event], interrupt: str) -> int:
    """After how many events the run is stopped."""
    kinds = {"step": Step, "epoch": EpochDone, "validation": Progress}
    where = [n for n, event in enumerate(events[:-1], 1) if isinstance(event, kinds[interrupt])]
    return where[len(where) // 2 if interrupt == "step" else 0]


@pytest.mark.parametrize("combination", MATRIX, ids=lambda each: "-".join(map(str, each)))
def test_a_resumed_run_is_the_uninterrupted_one(
    combination: tuple[Any, ...], tmp_path: Path
) -> None:
    whole = _matrix_learner(combination)
    events, run = collect(fit(whole, tmp_path / "whole", should_stop=never))
    assert run is not None
    for interrupt in INTERRUPTS:
        folder = tmp_path / interrupt
        count = _place(events, interrupt)
        first, ended = collect(
            fit(_matrix_learner(combination), folder, should_stop=stop_after(count))
        )
        assert ended is None
        assert isinstance(first[-1], Stopped)
        learner, checkpoint = _matrix_learner(combination), load_checkpoint(folder)
        _, again = collect(fit(learner, folder, should_stop=never, resume=checkpoint))
        assert again is not None
        assert digest(learner.model) == digest(whole.model), interrupt
        assert again.at.best_loss == run.at.best_loss


def test_features_that_were_dropped_meanwhile_are_made_again_in_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run had made them in other batches; their bits depend on that."""
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))

    def learner(batch_size: int) -> Learner:
        config = tiny_config(freeze_epochs=3, lr=0.02, unfreeze="never")
        made = tiny_learner(config, tiny_data(60, 9, spread=150), pretend=True)
        made.runtime = replace(made.runtime, images_per_second=1.0, batch_size=batch_size)
        return made

    result_of(ensure_features(learner(5)))
    whole = learner(16)
    collect(fit(whole, tmp_path / "whole", should_stop=never))
    collect(fit(learner(16), tmp_path / "run", should_stop=stop_after(9)))
    shutil.rmtree(tmp_path / "cache" / "features")
    result_of(ensure_features(learner(16)))  # by a run that began meanwhile
    resumed, checkpoint = learner(16), load_checkpoint(tmp_path / "run")
    collect(fit(resumed, tmp_path / "run", should_stop=never, resume=checkpoint))
    assert digest(resumed.model) == digest(whole.model)


@pytest.mark.parametrize("unfreeze", ["always", "auto"])
def test_what_a_phase_was_measured_to_be_fastest_in_is_saved_before_its_first_step(
    unfreeze: str, tmp_path: Path
) -> None:
    """Measured again after a kill, on a machine that is busier, it could be another."""
    settings = {"freeze_epochs": 1, "epochs": 12, "lr": 0.002, "batch_size": 2}
    config = tiny_config(unfreeze=unfreeze, **settings, precision="auto")
    learner = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
    saved: list[tuple[Any, Any]] = []
    for event in fit(learner, tmp_path, should_stop=never):
        if isinstance(event, PhaseStarted):
            state = load_checkpoint(tmp_path).state
            saved.append((state["runtime"], state["training_runtime"]))
        if len(saved) == 2:
            break
    assert learner.training_runtime is not None
    body, training = learner.runtime.to_dict(), learner.training_runtime.to_dict()
    assert saved == [(body, None), (body, training)]


def test_pictures_that_changed_in_place_are_told_once_when_a_run_goes_on(tmp_path: Path) -> None:
    """Not refused: the copy of a folder has other dates and the same pictures."""
    data = tiny_data(18, 9, spread=150)
    touched = replace(data.train.pictures[4], stamp="of another day")
    changed = [*data.train.pictures[:4], touched, *data.train.pictures[5:]]
    after = replace(data, train=replace(data.train, pictures=tuple(changed)))

    def told(now: Data) -> list[bool]:
        learner = tiny_learner(tiny_config(epochs=2, lr=0.003), now)
        checkpoint = load_checkpoint(tmp_path)
        events, _ = collect(fit(learner, tmp_path, should_stop=stop_after(6), resume=checkpoint))
        return [e.text.startswith("Picture files changed") for e in events if isinstance(e, Note)]

    learner = tiny_learner(tiny_config(epochs=2, lr=0.003), data)
    collect(fit(learner, tmp_path, should_stop=stop_after(4)))
    assert [any(told(now)) for now in (data, after, after)] == [False, True, False]


# The disk.


def _save(folder: Path, step: int) -> Path:
    tensors = {"model": {"w": torch.full((9,), float(step))}, "best": {"w": torch.ones(5) / step}}
    return save_checkpoint(folder, step, tensors, {"step": step, "config": {"lr": 0.1}})


def _operations_of_a_save(folder: Path) -> int:
    for step in (1, 2, 3):
        _save(folder, step)
    with faults(Operations(failing(0), range(0))) as counted:
        _save(folder, 4)
    assert {"mkdir", "save_file", "open", "fsync", "replace", "rmtree"} <= set(counted.names)
    return len(counted.names)


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("again", [False, True], ids=["a new step", "the same step"])
def test_a_disk_that_fails_at_any_operation_leaves_a_checkpoint_that_loads(
    number: int, again: bool, tmp_path: Path
) -> None:
    count = _operations_of_a_save(tmp_path / "count")
    assert count >= 12
    told = 0
    for at in range(count + again):
        folder = tmp_path / str(at)
        _save(folder, 10)
        _save(folder, 20)
        step = 20 if again else 30
        try:
            with faults(Operations(failing(number), frozenset({at}))):
                _save(folder, step)
        except CheckpointError as error:
            told += 1
            assert f"step {step} could not be saved" in str(error)
            assert os.strerror(number) in str(error)
            assert disk.is_full(error) == (number in (errno.ENOSPC, errno.EDQUOT))
        left = load_checkpoint(folder)
        assert left.skipped == ()
        assert left.state["step"] in (20, step)
        _save(folder, 40)  # when it works again
        assert load_checkpoint(folder).state["step"] == 40
        assert all(path.name.startswith("ckpt-") for path in folder.iterdir())
        assert len(list(folder.iterdir())) == 2
    assert told >= count - 4  # only what is removed at the end may fail without a word


def test_a_training_waits_for_room_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RETRY_SECONDS", 0.01)
    whole = _matrix_learner(MATRIX[0])
    collect(fit(whole, tmp_path / "whole", should_stop=never))
    learner = _matrix_learner(MATRIX[0])
    seen: list[Event] = []
    full = Operations(failing(errno.ENOSPC), range(8))
    with faults(full):
        for event in fit(learner, tmp_path / "run", should_stop=never):
            seen.append(event)
    notes = [event.text for event in seen if isinstance(event, Note)]
    assert "The disk is full, so the training waits for room" in notes[0]
    assert "There is room on the disk again" in notes[1]
    waits = [event for event in seen if isinstance(event, Progress) and "Waiting" in event.text]
    assert len(waits) > 1
    assert digest(learner.model) == digest(whole.model)
    assert load_checkpoint(tmp_path / "run").state["step"] == 6


def test_without_room_for_long_a_training_ends_and_keeps_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.05)
    learner = _matrix_learner(MATRIX[0])
    events = fit(learner, tmp_path, should_stop=never)
    assert any(isinstance(event, Step) and event.step == 4 for event in events)
    with (
        pytest.raises(CheckpointError, match="The last one is kept"),
        faults(Operations(failing(errno.ENOSPC), range(9999))),
    ):
        list(events)
    assert load_checkpoint(tmp_path).state["step"] == 3


def test_a_stop_on_a_full_disk_names_the_checkpoint_that_is_there(tmp_path: Path) -> None:
    learner = _matrix_learner(MATRIX[0])
    steps = 0
    events = fit(learner, tmp_path, should_stop=lambda: steps >= 5)
    last = None
    with pytest.MonkeyPatch.context() as patch:
        for last in events:
            steps += isinstance(last, Step)
            if steps == 5:
                patch.setattr(os, "fsync", failing(errno.ENOSPC))
    assert isinstance(last, Stopped)
    assert "could not be saved" in last.message
    assert last.checkpoint == "ckpt-00000003"
    assert load_checkpoint(tmp_path).state["step"] == 3


def test_events_wait_in_memory_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "RETRY_SECONDS", 0.01)
    journal = Journal(tmp_path)
    notes = [Note(text=str(number)) for number in range(6)]
    journal.add(notes[0])
    with faults(Operations(failing(errno.ENOSPC), range(3))):
        for note in notes[1:4]:
            journal.add(note)
    assert read_events(tmp_path)[0] == notes[:1]
    journal.add(notes[4])
    assert read_events(tmp_path)[0] == notes[:5]
    with faults(Operations(failing(errno.EDQUOT), range(3))):
        journal.add(notes[5])
        journal.settle()
    assert read_events(tmp_path)[0] == notes
    with (
        faults(Operations(failing(errno.EIO), range(1))),
        pytest.raises(OSError, match="Input/output"),
    ):
        journal.add(notes[0])


def test_of_very_many_steps_the_journal_holds_some(tmp_path: Path) -> None:
    """Two million lines would be read whole by each page that is opened."""
    now = 0.0
    journal = Journal(tmp_path, clock=lambda: now)
    for step in range(1, 100_001):
        now += 4.0 if step > 99_990 else 0.001
        journal.add(
            Step(step=step, total_steps=100_000, epoch=0, loss=1.0, lr=0.1, images_per_second=1.0)
        )
    steps = [event.step for event in read_events(tmp_path)[0] if isinstance(event, Step)]
    assert 2_000 <= len(steps) <= 2_030
    assert {50 * number for number in range(1, 2_001)} <= set(steps)
    assert {99_992, 99_994, 99_996, 99_998} <= set(steps)  # slow ones are not waited for


def _patient(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk, "RETRY_SECONDS", 0.01)


@pytest.mark.parametrize("at", range(0, 60, 4))
def test_a_disk_that_is_full_for_a_while_costs_a_whole_run_nothing_but_words(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Journal, run.json, caches, checkpoint, export, thumbnails: each in turn has no room."""
    _patient(monkeypatch)
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    config = tiny_config(batch_size=64, epochs=1, lr=0.005)
    job = Job(kind="train", config=config, dataset=str(_pictures(tmp_path)))
    run = create_run(tmp_path, job, owner="a")
    with faults(Operations(failing(errno.ENOSPC), range(at, at + 3))):
        last = list(record(run))[-1]
    found = read_folder(Path(run.folder))
    assert found is not None
    journaled = read_events(Path(run.folder))[0]
    assert journaled[-1] == last
    if isinstance(last, Failed):
        assert found.status == "failed"
        assert last.error in ("DiskFullError", "DatasetError", "CheckpointError", "ModelError")
        assert "disk is full" in last.message.lower() or "No space left" in last.message
    else:
        assert found.status == "done"
    assert not [path for path in Path(run.folder).iterdir() if path.name.startswith(".making")]


def _pictures(root: Path) -> Path:
    """A small folder of class folders."""
    for part, count, data in (("train", 12, tiny_data(12, 6)), ("valid", 6, tiny_data(12, 6))):
        split = data.train if part == "train" else data.valid
        for number, picture in enumerate(split.pictures[:count]):
            folder = root / "pictures" / part / data.class_names[picture.label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.png").write_bytes(picture.read())
    return root / "pictures"


# Damage.


def _flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def _damages() -> list[tuple[str, Callable[[Path, Path], None]]]:
    """250 ways to damage the newer of two generations (given second)."""
    rng = random.Random(0)
    names = ("model.safetensors", "best.safetensors", "state.json", "manifest.json")
    found: list[tuple[str, Callable[[Path, Path], None]]] = []
    for number in range(20):
        name, share = names[number % 4], number / 20
        found.append((f"cut {name} {share}", lambda _, new, n=name, s=share: _cut(new / n, s)))
    for number in range(200):
        name, seed = names[number % 4], rng.random()
        found.append(
            (
                f"flip {name} {number}",
                lambda _, new, n=name, s=seed: _flip(new / n, random.Random(s)),
            )
        )
    for name in names:
        found.append((f"swap {name}", lambda old, new, n=name: shutil.copy(old / n, new / n)))  # pyright: ignore[reportArgumentType]
        found.append((f"gone {name}", lambda _, new, n=name: (new / n).unlink()))
        found.append((f"empty {name}", lambda _, new, n=name: (new / n).write_bytes(b"")))  # pyright: ignore[reportArgumentType]
        found.append((f"longer {name}", lambda _, new, n=name: _longer(new / n)))
    for one, other in product(names, names):
        if one < other:
            found.append(
                (
                    f"exchange {one} {other}",
                    lambda _, new, a=one, b=other: _exchange(new / a, new / b),
                )
            )
    for version in (0, 1, 3, "2", None, [2], 2.5, -1):
        found.append((f"version {version!r}", lambda _, new, v=version: _reversion(new, v)))
    return found


def _cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def _exchange(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def _reversion(folder: Path, version: object) -> None:
    """A manifest of another version, whose own digest is right."""
    from trainer.checkpoint import _sealed

    body = json.loads((folder / "manifest.json").read_text())
    body.pop("sha256")
    (folder / "manifest.json").write_text(_sealed({**body, "version": version}))


def test_every_damage_is_found_and_the_generation_before_is_used(tmp_path: Path) -> None:
    _save(tmp_path / "good", 10)
    _save(tmp_path / "good", 20)
    damages = _damages()
    assert len(damages) == 250
    for number, (name, damage) in enumerate(damages):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "good", folder)
        damage(folder / "ckpt-00000010", folder / "ckpt-00000020")
        found = load_checkpoint(folder)
        assert found.state["step"] == 10, name
        assert len(found.skipped) == 1, name
        assert found.skipped[0].startswith("ckpt-00000020: ")
        shutil.rmtree(folder)


def test_a_generation_under_another_name_is_not_believed(tmp_path: Path) -> None:
    _save(tmp_path, 10)
    _save(tmp_path, 20).rename(tmp_path / "ckpt-00000030")
    found = load_checkpoint(tmp_path)
    assert found.state["step"] == 10
    assert "of another step" in found.skipped[0]


def test_a_kill_between_the_two_renames_hides_no_generation(tmp_path: Path) -> None:
    _save(tmp_path, 20).rename(tmp_path / ".replaced-ckpt-00000020")
    assert load_checkpoint(tmp_path).state["step"] == 20
    _save(tmp_path, 30)
    assert {path.name for path in tmp_path.iterdir()} == {"ckpt-00000020", "ckpt-00000030"}
