"""`Runner`: submit a run, follow it by its folder, stop it, resume it; at its start, recover runs.

Three lanes: looking at data never waits for somebody's training, and predicting for neither.
Not covered: several trainings at once, and several machines.
"""

import json
import shutil
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from trainer.data.cache import cache_root
from trainer.disk import free_bytes
from trainer.errors import BusyError, DiskFullError
from trainer.events import Event, Step
from trainer.jobs import PUBLISHING, Job
from trainer.limits import Limits
from trainer.runner.cleaning import clean
from trainer.runner.folder import (
    ENDED,
    Run,
    create_run,
    make_root,
    new_run_id,
    read_folder,
    read_run,
)
from trainer.runner.journal import last_events, read_events
from trainer.runner.lane import Lane
from trainer.runner.lock import held
from trainer.runner.owner import visitor_named
from trainer.runner.publisher import Publisher
from trainer.runner.recovery import Recovery
from trainer.runner.restart import can_go_on, go_on
from trainer.runner.stopping import ask_to_stop

TRAIN, LOOK, PREDICT = "train", "look", "predict"
ESTIMATE = "estimate"
"""A run that gives way to whatever else comes into its lane."""
SHORT = ("predict", ESTIMATE)
"""Kinds that take no time."""
LANE_OF = {
    "sweep": TRAIN,
    "train": TRAIN,
    "check": LOOK,
    ESTIMATE: LOOK,
    "evaluate": LOOK,
    "export": LOOK,
    "predict": PREDICT,
}

CLEAN_SECONDS = 3600.0
"""Between two times of clearing up."""

CLOSE_SECONDS = 7.0
"""For the workers to end, together: a Space that is restarted has ten seconds."""


class Runner:
    """The runs of one app. Its state is the run folders and the lanes' queues."""

    def __init__(self, root: Path, *, limits: Limits | None = None) -> None:
        self.root = root.resolve()
        make_root(self.root)
        self.uploads.mkdir(parents=True, exist_ok=True)
        self._limits = limits = limits or Limits.from_env()
        self._names_path = cache_root() / f"timm-models-{version('timm')}.json"
        home = (self._names_path, self.root / "workers.log")
        slow, quick = limits.max_run_seconds, limits.max_quick_seconds
        self._own: set[str] = set()
        """Runs that this app has begun, resumed or taken up: none that another one left."""
        self._publisher = Publisher(self.root, limits=limits, log=home[1], own=self._own)
        self._lanes = {
            TRAIN: Lane(TRAIN, niceness=5, max_seconds=slow, limits=limits, home=home),
            LOOK: Lane(LOOK, niceness=2, max_seconds=quick, limits=limits, home=home),
            PREDICT: Lane(PREDICT, niceness=0, max_seconds=quick, limits=limits, home=home),
        }
        self._submitting = threading.Lock()
        self._closed = threading.Event()
        self._recovery = Recovery(
            self.root,
            lane_for=lambda kind: self._lanes[LANE_OF.get(kind, LOOK)],
            limits=limits,
            own=self._own,
        )

    @property
    def uploads(self) -> Path:
        """Where uploaded archives are kept."""
        return self.root / "uploads"

    def start(self) -> None:
        """Start the workers, and last the one that predicts: it is needed last, and each imports
        torch."""
        for lane in (self._lanes[LOOK], self._lanes[TRAIN]):
            lane.start()
        threading.Thread(target=self._start_predicting, name="start", daemon=True).start()
        threading.Thread(target=self._keep_clean, name="cleaning", daemon=True).start()

    def ready(self, kind: str) -> bool:
        """Whether the worker for such runs has started up."""
        return kind in PUBLISHING or self._lanes[LANE_OF[kind]].ready

    def device(self) -> str:
        """What trainings compute on, in words; empty until the worker has looked."""
        return self._lanes[TRAIN].device

    def model_names(self) -> list[str]:
        """timm's models with weights; empty until a worker has written them down."""
        try:
            return json.loads(self._names_path.read_text())
        except (OSError, ValueError):
            return []

    def submit(self, job: Job, *, owner: str, sender: str = "") -> Run:
        """Put a new run in its lane.

        Args:
            job: what is asked for.
            owner: what the visitor calls themselves; they may say anything.
            sender: the address that they come from; empty for this machine.

        Raises:
            BusyError: the queue is full, or this visitor or address has runs enough in it.
            DiskFullError: there is too little room on the disk.
        """
        owner = visitor_named(owner)
        with self._submitting:  # two at once would both find the last place free
            self._check_room(job.kind, owner, sender)
            run_id = new_run_id()
            self._own.add(run_id)  # before anybody can see it
            run = create_run(self.root, job, owner=owner, run_id=run_id)
            self._lanes[LANE_OF[job.kind]].add(Path(run.folder), owner=owner, sender=sender)
        if job.kind != ESTIMATE and LANE_OF[job.kind] != TRAIN:
            self._put_off_estimates()
        return run

    def publish(self, job: Job, *, owner: str, token: str) -> Run:
        """Carry out a job of publishing at once, with this token.

        Raises:
            BusyError: this visitor is publishing already, or too many others are.
            DiskFullError: there is no room for its folder.
        """
        return self._publisher.publish(job, owner=visitor_named(owner), token=token)

    def resume(self, run_id: str, *, owner: str, sender: str = "") -> Run | None:
        """Go on with a stopped or failed training; none if there is no such run.

        Raises:
            BusyError, DiskFullError: as `submit`; or another process is at work on it.
        """
        owner = visitor_named(owner)
        with self._submitting, suppress(FileNotFoundError):  # it is being removed
            run = self.get(run_id)
            if run is None or not can_go_on(run):
                return None
            folder = Path(run.folder)
            with held(folder, seconds=2.0):  # nobody removes it or takes it up meanwhile
                run = self.get(run_id)
                if run is None or not can_go_on(run):
                    return None
                self._check_room("train", owner, sender)
                self._own.add(run_id)
                run = go_on(run)
            self._lanes[TRAIN].add(folder, owner=owner, sender=sender)
            return run
        return None

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
        if run is None or run.kind in PUBLISHING:
            return 0
        folders = [each.folder for each in self._lanes[LANE_OF[run.kind]].queue()]
        return folders.index(Path(run.folder)) if Path(run.folder) in folders else 0

    def wait_seconds(self, run_id: str) -> float | None:
        """How long a waiting run waits at least: what the running one's last step says that all of
        it still needs; none where that is unknown, or the run does not wait."""
        run = self.get(run_id)
        if run is None or not self.position(run_id):
            return None
        current = self._lanes[LANE_OF[run.kind]].current()
        said = [
            event.seconds_left
            for event in (last_events(current) if current else ())
            if isinstance(event, Step)  # a Progress tells of a part alone, a validation for one
        ]
        return said[-1] if said else None

    def stop(self, run_id: str, *, at_once: bool = False) -> None:
        """Ask a run to stop; `at_once` ends its process, whatever it does.

        Raises:
            DiskFullError: that cannot be written.
        """
        run = self.get(run_id)
        if run is None or run.status in ENDED:
            return
        if run.kind in PUBLISHING:
            self._publisher.stop(run, at_once=at_once)
            return
        lane, folder = self._lanes[LANE_OF[run.kind]], Path(run.folder)
        with self._submitting:  # a run on its way into its lane is not abandoned
            ask_to_stop(lane, folder)
        if at_once:
            lane.kill(folder)

    def forget(self, run_id: str) -> None:
        """Remove the folder of a run that has ended and that nobody will look at again."""
        run = self.get(run_id)
        if run is not None and run.status in ENDED:
            shutil.rmtree(run.folder, ignore_errors=True)
            self._own.discard(run_id)

    def needed_uploads(self) -> set[Path]:
        """The folders of the archives that a run which has not ended, or will go on, works on."""
        runs = (read_folder(folder) for folder in self.root.iterdir())
        datasets = [
            str(run.job["dataset"])
            for run in runs
            if run is not None and (run.status not in ENDED or run.interrupted)
        ]
        return {Path(each).parent for each in datasets if each.startswith(f"{self.uploads}/")}

    def recover(self) -> None:
        """Take up the runs that an earlier app left unfinished (see `Recovery`); before `start`."""
        self._recovery.begin()

    def close(self) -> None:
        """End the workers and what is being published; a training leaves a checkpoint."""
        self._publisher.close()
        self._closed.set()
        deadline = time.monotonic() + CLOSE_SECONDS
        for lane in self._lanes.values():
            lane.begin_close()
        for lane in self._lanes.values():
            lane.close(max(0.1, deadline - time.monotonic()))
        self._recovery.close()

    def _put_off_estimates(self) -> None:
        """End those that run or wait: nobody has asked for one, and somebody waits for this."""
        for waiting in self._lanes[LOOK].queue():
            run = self.get(waiting.folder.name)
            if run is not None and run.kind == ESTIMATE:
                self.stop(run.run_id)

    def _start_predicting(self) -> None:
        others, lane = (self._lanes[LOOK], self._lanes[TRAIN]), self._lanes[PREDICT]
        while not all(each.ready for each in others) and not lane.queue():
            if self._closed.wait(0.2):
                return
        lane.start()

    def _keep_clean(self) -> None:
        while True:
            with suppress(OSError):
                clean(self.root, self._limits)
            if self._closed.wait(CLEAN_SECONDS):
                return

    def _check_room(self, kind: str, owner: str, sender: str) -> None:
        """One address has half of a lane's places, for what takes no time three quarters."""
        waiting = self._lanes[LANE_OF[kind]].queue()
        mine = sum(each.owner == owner for each in waiting)
        limits = self._limits
        if mine >= limits.max_waiting_each:
            raise BusyError(
                "You have as many runs as one visitor may have at once, running or waiting: "
                f"{mine}. Stop one, or wait for it to end."
            )
        near = sum(each.sender == sender for each in waiting) if sender else 0
        share = limits.max_waiting * (3 if kind in SHORT else 2) // 4
        if near >= max(1, share):
            raise BusyError(
                f"{near} runs from your network are already waiting. Try again in a few minutes."
            )
        if len(waiting) >= limits.max_waiting:
            raise BusyError(f"{len(waiting)} runs are already waiting. Try again in a few minutes.")
        if free_bytes(self.root) < limits.min_free_bytes:
            clean(self.root, limits)
            free = free_bytes(self.root)
            if free < limits.min_free_bytes:
                raise DiskFullError(
                    f"The disk is nearly full ({free / 1e6:.0f} MB are free, "
                    f"{limits.min_free_bytes / 1e6:.0f} MB are needed), so no run can begin. Make "
                    "room, or try again later."
                )
