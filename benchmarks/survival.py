"""Runs that survive, in full size: kills, kills inside a save, a failing disk, damages, signals.

    python benchmarks/survival.py [kills|disk|damage|signals …] [--kills 200] [--forced 5]

Prints one JSON object; the targets stand beside the figures. Kills are SIGKILL of a process that
trains, at random instants; 12 points of a save are hit before and after `--forced` times each.
Signals: SIGTERM, SIGINT and SIGHUP to the worker in each of six phases, and to the whole app in
four. `tests/test_survival.py` and `tests/test_signals.py` are the same in small.
"""

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import ROOT

TESTS = ROOT / "tests"
sys.path.insert(0, str(TESTS))

import test_signals as signals  # noqa: E402 the path must be set before
import test_survival as survival  # noqa: E402
from app_server import AppServer  # noqa: E402
from faults import Operations, failing, faults  # noqa: E402
from trainer.checkpoint import load_checkpoint  # noqa: E402
from trainer.errors import CheckpointError  # noqa: E402
from trainer.events import EpochDone, Event, PhaseStarted, Progress, Started, Step  # noqa: E402

PHASES: dict[str, Callable[[list[Event]], bool]] = {
    "importing": lambda _: True,
    "opening": lambda events: bool(events),
    "reading pictures": lambda events: any(isinstance(e, Progress) for e in events),
    "preparing": lambda events: any(isinstance(e, Started) for e in events),
    "starting a phase": lambda events: any(isinstance(e, PhaseStarted) for e in events),
    "first step": lambda events: any(isinstance(e, Step) for e in events),
    "validating": lambda events: any(isinstance(e, EpochDone) for e in events),
}
APP_PHASES = ("importing", "reading pictures", "first step", "validating")
KINDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def kills(root: Path, count: int, forced: int, seed: int) -> dict[str, Any]:
    """T1: targets: nothing unloadable, lost or different."""
    command = [sys.executable, "-m", "survivor", str(root), *map(str, (count, forced, seed))]
    paths = os.pathsep.join((str(TESTS), str(ROOT)))
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True
    )
    found = json.loads(done.stdout)
    for report in found.values():
        reached = report.pop("reached")
        report["different_steps_reached"] = len(set(reached))
    return found


def disk(root: Path) -> dict[str, Any]:
    """T3: every error at every operation of a save; targets: 0 that do not load, 0 left over."""
    count = survival._operations_of_a_save(root / "count")
    points = unloadable = untold = 0
    for number in survival.ERRORS:
        for at in range(count):
            folder = root / f"{errno.errorcode[number]}-{at}"
            survival._save(folder, 20)
            points += 1
            told = False
            try:
                with faults(Operations(failing(number), frozenset({at}))):
                    survival._save(folder, 30)
            except CheckpointError:
                told = True
            try:
                left = load_checkpoint(folder)
                untold += not told and left.state["step"] != 30
            except CheckpointError:
                unloadable += 1
    return {"points": points, "unloadable": unloadable, "failed_without_a_word": untold}


def damage(root: Path) -> dict[str, Any]:
    """T4: targets: every damage found, and the generation before loaded."""
    survival._save(root / "good", 10)
    survival._save(root / "good", 20)
    found = 0
    damages = survival._damages()
    for number, (_, harm) in enumerate(damages):
        folder = root / str(number)
        shutil.copytree(root / "good", folder)
        harm(folder / "ckpt-00000010", folder / "ckpt-00000020")
        left = load_checkpoint(folder)
        found += left.state["step"] == 10 and len(left.skipped) == 1
    return {"damages": len(damages), "found_with_fallback": found}


def to_worker(root: Path) -> list[dict[str, Any]]:
    """T16, the worker: each signal in each phase."""
    rows = []
    for phase, reached in PHASES.items():
        for kind in KINDS:
            folder = root / f"{phase}-{kind.name}".replace(" ", "-")
            folder.mkdir(parents=True)
            worker, run = signals.Worker(folder), signals._run(folder, epochs=500)
            worker.give(run)
            if phase == "importing":
                time.sleep(1.5)
            signals._wait(lambda test=reached, r=run: test(signals._events(r)))
            seconds = worker.end(kind)
            worker.input.close()
            rows.append(_row(f"worker: {phase}", kind, seconds, [worker.process.pid], run))
    return rows


def to_app(root: Path) -> list[dict[str, Any]]:
    """T16, the app with a training in its worker."""
    rows = []
    for phase in APP_PHASES:
        for kind in KINDS:
            folder = root / f"app-{phase}-{kind.name}".replace(" ", "-")
            (folder / "runs").mkdir(parents=True)
            run = signals._run(folder / "runs", epochs=500)
            app = AppServer(folder)
            try:
                app.wait()
                signals._wait(lambda p=phase, r=run: PHASES[p](signals._events(r)))
                pids = [app.process.pid, signals._now(run).pid]
                began = time.monotonic()
                app.stop(kind)
                seconds = time.monotonic() - began
            finally:
                app.process.kill()
            rows.append(_row(f"app: {phase}", kind, seconds, pids[1:], run))
    return rows


def _row(
    where: str, kind: signal.Signals, seconds: float, pids: list[int], run: Any
) -> dict[str, Any]:
    time.sleep(0.5)
    now = signals._now(run)
    consistent = True
    try:
        if signals._events(run):
            signals._is_consistent(run)
    except (AssertionError, ValueError):
        consistent = False
    return {
        "where": where,
        "signal": kind.name,
        "seconds": round(seconds, 2),
        "in_time": seconds <= signals.SECONDS,
        "journal_consistent": consistent,
        "resumable": now.status == "queued" or now.interrupted,
        "no_orphans": all(signals._gone(pid) for pid in pids),
    }


def both_signals(root: Path) -> dict[str, Any]:
    """Targets: all of them true in every row."""
    rows = to_worker(root) + to_app(root)
    checks = ("in_time", "journal_consistent", "resumable", "no_orphans")
    counts = {check: sum(row[check] for row in rows) for check in checks}
    bad = [row for row in rows if not all(row[check] for check in checks)]
    return {"cases": len(rows), **counts, "slowest": max(r["seconds"] for r in rows), "bad": bad}


def main() -> None:
    """Carry out what was asked for, or everything."""
    parser = argparse.ArgumentParser(description="Kills, disk faults, damages and signals.")
    parts = ("kills", "disk", "damage", "signals")
    parser.add_argument("parts", nargs="*", default=parts, metavar="PART")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--forced", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lrlab-survival-") as scratch:
        root = Path(scratch)
        os.environ |= {"LRLAB_CACHE": str(root / "cache"), "HF_HUB_OFFLINE": "1"}
        work = {
            "kills": lambda: kills(root / "kills", asked.kills, asked.forced, asked.seed),
            "disk": lambda: disk(root / "disk"),
            "damage": lambda: damage(root / "damage"),
            "signals": lambda: both_signals(root / "signals"),
        }
        for part in asked.parts:
            began = time.perf_counter()
            found[part] = work[part]() | {"seconds": round(time.perf_counter() - began, 1)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
