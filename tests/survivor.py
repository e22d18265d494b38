"""A training that is killed and begun again: trials in forked processes, for tests and benchmarks.

`python -m survivor FOLDER KILLS FORCED SEED`, with this folder on the path, prints one JSON object.
Forked from a process that has imported torch once and computes nothing itself, because importing
takes longer than a trial.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from faults import Operations, die, faults
from tiny import digest, never, result_of, tiny_config, tiny_data, tiny_learner
from trainer import fit_state
from trainer.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from trainer.errors import CheckpointError
from trainer.fit import fit
from trainer.work import judged

INSIDE_SAVE = 12
"""Points within a save, spread over its operations, before and after."""


@dataclass
class Report:
    kills: int = 0
    forced_kills: int = 0
    unloadable: int = 0
    lost_generations: int = 0
    """Kills after which no generation loads that is as new as the last one whose save had ended."""
    finished: int = 0
    different: int = 0
    """Finished trainings whose weights or figures are not bit-identical."""
    worst_load_seconds: float = 0.0
    reached: list[int] = field(default_factory=list)
    """The steps of the checkpoints that the kills left."""


def train(folder: Path) -> dict[str, Any]:
    """The rest of the training in this folder, a checkpoint at every step; what it ends with."""
    fit_state.SAVE_SECONDS, fit_state.SAVE_SHARE = 0.0, 1e9
    fit_state.save_checkpoint = _noting(fit_state.save_checkpoint)
    settings = {"freeze_epochs": 1, "epochs": 2, "lr": 0.02, "unfreeze": "always"}
    config = tiny_config("lesson", **settings, unfrozen_lr=0.1, augment="light")
    learner = tiny_learner(config, tiny_data(18, 9, spread=150), pretend=True)
    # Measured speeds, and with them the arithmetic, may differ between trials that begin anew.
    measured = replace(learner.runtime, images_per_second=1.0, threads=1)
    learner.training_runtime = measured
    # In another layout than an evaluation of a model, so that features round otherwise.
    learner.runtime = replace(measured, channels_last=False)
    resume = load_checkpoint(folder) if has_checkpoint(folder) else None
    run = result_of(fit(learner, folder, should_stop=never, resume=resume))
    assert run is not None
    figures = (run.at.best_accuracy, run.at.best_loss, run.at.best_epoch, run.at.step)
    final = replace(result_of(judged(learner, folder)), seconds=0.0)
    return {"weights": digest(learner.model), "figures": figures, "final": asdict(final)}


def forked(
    folder: Path, *, seconds: float | None = None, inside: tuple[int, Operations] | None = None
) -> dict[str, Any] | None:
    """`train` in a child; killed after some seconds, or inside one of its saves.

    Args:
        folder: of the run.
        seconds: after which it is killed.
        inside: the number of a save, and the operations that it runs into there.

    Returns:
        What it ended with; None if it was killed.
    """
    result = folder.with_suffix(".json")
    pid = os.fork()
    if pid == 0:
        try:
            if inside is not None:
                _arm(*inside)
            result.write_text(json.dumps(train(folder)))
        except BaseException as error:  # noqa: BLE001 a child must not run on in the parent's code
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0, "a trial failed by itself"
    return json.loads(result.read_text())


def _noting(save: Callable[..., Path]) -> Callable[..., Path]:
    """The same save, which leaves beside the folder the step of the last one that has ended."""

    def noting(folder: Path, step: int, *rest: Any) -> Path:
        made = save(folder, step, *rest)
        with folder.with_suffix(".saved").open("a") as file:
            file.write(f"{step}\n")
        return made

    return noting


def _last_saved(folder: Path) -> int:
    path = folder.with_suffix(".saved")
    return int(path.read_text().split()[-1]) if path.exists() else -1


def _arm(number: int, operations: Operations) -> None:
    """Let the save with this number run into the faults."""
    saves = iter(range(number + 1))

    def save(*args: Any) -> Path:
        if next(saves, None) != number:
            return save_checkpoint(*args)
        with faults(operations):
            return save_checkpoint(*args)

    fit_state.save_checkpoint = save


def check_left(folder: Path, report: Report) -> None:
    """What a kill has left must load, and be no older than the last save that had ended."""
    if not has_checkpoint(folder):
        report.lost_generations += _last_saved(folder) >= 0
        return
    began = time.perf_counter()
    try:
        found = load_checkpoint(folder)
    except CheckpointError:
        report.unloadable += 1
        return
    report.worst_load_seconds = max(report.worst_load_seconds, time.perf_counter() - began)
    report.reached.append(int(found.state["step"]))
    report.lost_generations += bool(found.skipped) or report.reached[-1] < _last_saved(folder)


def killed_at_random(root: Path, kills: int, seed: int) -> Report:
    """Trainings killed again and again at random instants, until so many kills have hit."""
    rng, report = random.Random(seed), Report()
    began = time.perf_counter()
    truth = forked(root / "truth")
    whole = time.perf_counter() - began
    number = 0
    while report.kills < kills:
        folder, found = root / f"run{number}", None
        number += 1
        while found is None:
            left = report.kills < kills
            found = forked(folder, seconds=rng.uniform(0.2, 0.8) * whole if left else None)
            if found is None:
                report.kills += 1
                check_left(folder, report)
        report.finished += 1
        report.different += found != truth
    return report


def killed_inside_save(root: Path, times: int) -> Report:
    """A save of the training killed before and after each of its kinds of operations."""
    report = Report()
    truth = forked(root / "truth")
    counted = Operations(die, range(0))
    tensors = {name: {"w": torch.zeros(2)} for name in ("model", "best", "optim")}
    with faults(counted):
        save_checkpoint(root / "count", 1, tensors, {"config": {}})
    for point in range(INSIDE_SAVE):
        for turn in range(times):
            folder = root / f"point{point}-{turn}"
            at = frozenset({point * len(counted.names) // INSIDE_SAVE})
            hit = Operations(die, at, after=bool((point + turn) % 2))
            assert forked(folder, inside=(5 + turn, hit)) is None
            report.forced_kills += 1
            check_left(folder, report)
            report.finished += 1
            report.different += forked(folder) != truth
    return report


def main(root: Path, kills: int, forced: int, seed: int) -> None:
    """Carry out both and print the report."""
    torch.set_num_threads(1)
    for name in ("random", "forced"):
        (root / name).mkdir(parents=True)
    found = {"random": asdict(killed_at_random(root / "random", kills, seed))}
    if forced:
        found["forced"] = asdict(killed_inside_save(root / "forced", forced))
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
