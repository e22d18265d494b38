"""`Runner`: submit a run, follow it by its folder, stop it, resume it.

Two lanes, so that looking at data and predicting never wait for somebody's training.
Not covered: several trainings at once, and several machines.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

from trainer.data.cache import cache_root
from trainer.errors import BusyError
from trainer.events import Event, Stopped
from trainer.jobs import Job, job_from_dict
from trainer.limits import Limits
from trainer.runner.folder import (
    ENDED,
    Run,
    create_run,
    read_folder,
    read_run,
    write_run,
)
from trainer.runner.journal import append_event, read_events
from trainer.runner.lane import Lane, ask_to_stop

TRAIN, QUICK = "train", "quick"
LANE_OF = {
    "sweep": TRAIN,
    "train": TRAIN,
    "check": QUICK,
    "estimate": QUICK,
    "predict": QUICK,
    "evaluate": QUICK,
    "export": QUICK,
}


class Runner:
    """The runs of one app. Its state is the run folders and the two lanes' queues."""

    def __init__(self, root: Path, *, limits: Limits | None = None) -> None:
        self.root = root.resolve()
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._limits = limits or Limits.from_env()
        self._names_path = cache_root() / "timm-models-1.0.31.json"
        log = self.root / "workers.log"
        names = self._names_path
        self._lanes = {
            TRAIN: Lane(TRAIN, niceness=5, names_path=names, log=log),
            QUICK: Lane(QUICK, niceness=0, names_path=names, log=log),
        }

    @property
    def uploads(self) -> Path:
        """Where uploaded archives are kept."""
        return self.root / "uploads"

    def start(self) -> None:
        """Start both workers."""
        for lane in self._lanes.values():
            lane.start()

    def ready(self, kind: str) -> bool:
        """Whether the worker for such runs has started up."""
        return self._lanes[LANE_OF[kind]].ready

    def device(self) -> str:
        """What trainings compute on, in words; empty until the worker has looked."""
        return self._lanes[TRAIN].device

    def model_names(self) -> list[str]:
        """timm's models with weights; empty until a worker has written them down."""
        try:
            return json.loads(self._names_path.read_text())
        except (OSError, ValueError):
            return []

    def submit(self, job: Job, *, owner: str) -> Run:
        """Put a new run in its lane.

        Raises:
            BusyError: the queue is full, or this visitor has runs enough in it.
        """
        self._check_room(LANE_OF[job.kind], owner)
        run = create_run(self.root, job, owner=owner)
        self._lanes[LANE_OF[job.kind]].add(Path(run.folder))
        return run

    def resume(self, run_id: str, *, owner: str) -> Run | None:
        """Go on with a stopped or failed training; none if there is no such run.

        Raises:
            BusyError: as `submit`.
        """
        run = self.get(run_id)
        if run is None or run.kind != "train" or run.status not in ("stopped", "failed"):
            return None
        self._check_room(TRAIN, owner)
        folder = Path(run.folder)
        (folder / "stop").unlink(missing_ok=True)
        has_checkpoint = any(folder.glob("ckpt-*"))
        job = replace(job_from_dict(run.job), resume=has_checkpoint)
        run = write_run(replace(run, status="queued", job=job.to_dict(), pid=os.getpid()))
        self._lanes[TRAIN].add(folder)
        return run

    def get(self, run_id: str) -> Run | None:
        """The run as it stands; none if there is none with this id."""
        return read_run(self.root, run_id)

    def events(self, run_id: str, offset: int = 0) -> tuple[list[Event], int]:
        """The run's events from a byte offset on, and the next offset."""
        run = self.get(run_id)
        return read_events(Path(run.folder), offset) if run else ([], offset)

    def position(self, run_id: str) -> int:
        """How many runs are before it in its lane; 0 for one that runs or has ended."""
        run = self.get(run_id)
        if run is None:
            return 0
        folders = self._lanes[LANE_OF[run.kind]].folders()
        return folders.index(Path(run.folder)) if Path(run.folder) in folders else 0

    def stop(self, run_id: str, *, at_once: bool = False) -> None:
        """Ask a run to stop; `at_once` ends its process, whatever it does."""
        run = self.get(run_id)
        if run is None or run.status in ENDED:
            return
        lane, folder = self._lanes[LANE_OF[run.kind]], Path(run.folder)
        ask_to_stop(lane, folder)
        if at_once:
            lane.kill(folder)

    def forget(self, run_id: str) -> None:
        """Remove the folder of a run that has ended and that nobody will look at again."""
        run = self.get(run_id)
        if run is not None and run.status in ENDED:
            shutil.rmtree(run.folder, ignore_errors=True)

    def recover(self) -> None:
        """Mark the runs that an earlier process left unfinished as stopped."""
        for folder in self.root.iterdir():
            run = read_folder(folder) if folder.is_dir() else None
            if run is None or run.status in ENDED or _alive(run.pid):
                continue
            message = "The app ended before this run did; it can go on from its last checkpoint."
            append_event(folder, Stopped(step=0, total_steps=0, message=message))
            write_run(replace(run, status="stopped"))

    def close(self) -> None:
        """End both workers; a training that runs leaves a checkpoint."""
        for lane in self._lanes.values():
            lane.close()

    def _check_room(self, lane: str, owner: str) -> None:
        runs = [read_folder(folder) for folder in self._lanes[lane].folders()]
        mine = sum(run is not None and run.owner == owner for run in runs)
        limits = self._limits
        if mine >= limits.max_waiting_each:
            raise BusyError(
                f"You have {mine} runs that run or wait already. Stop one, or wait for it to end."
            )
        if len(runs) >= limits.max_waiting:
            raise BusyError(f"{len(runs)} runs wait already. Try again in a few minutes.")


def _alive(pid: int) -> bool:
    """Whether a process with this number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()
