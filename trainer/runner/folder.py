"""The run folder: `run.json` (what was asked, how it stands) and `events.jsonl` (what happened).

The id of a run is the capability to see and to stop it. While a process carries a run out it holds
the folder's lock.
"""

import json
import os
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainer.data.names import title_of
from trainer.disk import is_full, patiently
from trainer.errors import DiskFullError, UserError
from trainer.events import Event, Failed, Stopped
from trainer.jobs import Job, execute, job_from_dict
from trainer.memory import TooBigError, is_out_of_memory
from trainer.redact import environment_secrets, redacted
from trainer.runner.journal import Journal, append_event
from trainer.runner.lock import check_free, held

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
DEVICE_LOST = "AcceleratorError"
"""PyTorch's error of a GPU; it stays with the process, whatever is computed next."""
LOCK_SECONDS = 10.0
"""For an earlier worker of the run to end."""
ENDED = ("done", "stopped", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run as it stands."""

    run_id: str
    owner: str
    """Whose it is, for fairness in the queue; not a secret and no proof of anything."""
    kind: str
    status: str
    """queued, running, done, stopped or failed."""
    folder: str
    created: float
    """Unix time."""
    title: str
    pid: int
    """The process that answers for it while it waits or runs."""
    job: dict[str, Any]
    restarts: int = 0
    """How often it was begun again after its process died, or the app."""
    interrupted: bool = False
    """It was stopped because the app or its process had to end, not because somebody asked."""


def new_run_id() -> str:
    """128 random bits: nobody guesses it."""
    return secrets.token_urlsafe(16)


def make_root(root: Path) -> None:
    """Make a folder of runs where there is none; nobody else on the machine may list the ids.

    Raises:
        DiskFullError: there is no room for it.
    """
    with _room_for("the folder of runs"):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)


def create_run(root: Path, job: Job, *, owner: str, run_id: str | None = None) -> Run:
    """Make the folder of a run that waits.

    Raises:
        BusyError: another process carries out the run that is there.
        DiskFullError: there is no room for it.
    """
    run_id = run_id or new_run_id()
    folder = root / run_id
    with _room_for("a new run"):
        folder.mkdir(parents=True, exist_ok=True)
        check_free(folder)
        return _created(job, folder, owner=owner)


def _created(job: Job, folder: Path, *, owner: str) -> Run:
    return write_run(
        Run(
            run_id=folder.name,
            owner=owner,
            kind=job.kind,
            status="queued",
            folder=str(folder),
            created=time.time(),
            title=_title(job),
            pid=os.getpid(),
            job=job.to_dict(),
        )
    )


def write_run(run: Run) -> Run:
    """Write `run.json`, whole or not at all."""
    path = Path(run.folder) / "run.json"
    making = path.with_name(f".run-{os.getpid()}-{secrets.token_hex(4)}.json")
    try:
        making.write_text(json.dumps(asdict(run)), encoding="utf-8")
        making.replace(path)
    finally:
        making.unlink(missing_ok=True)
    return run


def read_run(root: Path, run_id: str) -> Run | None:
    """The run with this id; none if there is none, or the text is no id."""
    if not _ID.fullmatch(run_id):
        return None
    return read_folder(root / run_id)


def read_folder(folder: Path) -> Run | None:
    """The run of a folder; none if it holds no readable `run.json`."""
    try:
        values = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return Run(**{**values, "folder": str(folder)})
    except (OSError, ValueError, TypeError):
        return None


def stop_requested(folder: Path) -> bool:
    """Whether somebody asked this run to stop."""
    return (folder / "stop").exists()


def request_stop(folder: Path) -> None:
    """Ask the run to stop at its next step."""
    (folder / "stop").touch()


def holds_checkpoint(folder: Path) -> bool:
    """Whether a training left something to go on from."""
    return any(folder.glob("ckpt-*")) or any(folder.glob(".replaced-ckpt-*"))


def record(
    run: Run, should_stop: Callable[[], bool] | None = None, *, token: str = ""
) -> Iterator[Event]:
    """Carry out a run and journal it; the one place where an exception becomes a Failed event.

    While the disk is full the events wait in memory, and the end of the run for room.

    Args:
        run: as `create_run` made it.
        should_stop: asked after each event; by default, whether the folder holds a wish to stop.
        token: whose publication it is, for a run that publishes; it is not written anywhere.

    Yields:
        The events, after each one is in the journal; the last one says how it ended.

    Raises:
        BusyError: another process carries it out.
    """
    folder = Path(run.folder)
    journal = Journal(folder)
    with held(folder, seconds=LOCK_SECONDS):
        run = replace(run, status="running", pid=os.getpid(), interrupted=False)
        patiently(lambda: write_run(run))
        status = "done"
        asked = should_stop or (lambda: stop_requested(folder))
        for event in _guarded(run, folder, asked, token):
            journal.add(event)
            if isinstance(event, Failed):
                status = "failed"
            elif isinstance(event, Stopped):
                status = "stopped"
            yield event
        journal.settle()
        interrupted = status == "stopped" and not stop_requested(folder)
        ended = replace(run, status=status, interrupted=interrupted)
        patiently(lambda: write_run(ended))


def refuse(run: Run, error: UserError) -> None:
    """End a run that cannot even begin."""
    append_event(Path(run.folder), Failed(error=type(error).__name__, message=str(error)))
    write_run(replace(run, status="failed"))


def _guarded(
    run: Run, folder: Path, should_stop: Callable[[], bool], token: str
) -> Iterator[Event]:
    try:
        with _room_for("what this run writes"):
            yield from execute(job_from_dict(run.job), folder, should_stop=should_stop, token=token)
    except UserError as error:
        yield Failed(error=type(error).__name__, message=str(error))
    except Exception as error:  # noqa: BLE001 the run's outermost frame: nothing may get past it
        _log(folder, token)
        if is_out_of_memory(error):
            yield Failed(error="MemoryError", message=_too_big(run, error))
            return
        if type(error).__name__ == DEVICE_LOST or "CUDA error" in str(error):
            kept = holds_checkpoint(folder)
            advice = "The last checkpoint is kept: go on from it." if kept else "Try again."
            yield Failed(
                error=DEVICE_LOST,
                message="The GPU reported an error, after which this process cannot use it any "
                f"more; the next run gets a new one. {advice}",
            )
            return
        yield Failed(
            error=type(error).__name__,
            message=f"Something went wrong that should not ({type(error).__name__}). The details "
            f"are in {folder.name}/error.log; what was reached before is kept.",
        )


@contextmanager
def _room_for(what: str) -> Iterator[None]:
    """Say in words that the disk is full, where some write inside has found that out."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise DiskFullError(
            f"The disk is full: there is no room for {what}. What was reached before is "
            "kept. Make room, then try again; a training can be resumed."
        ) from error


def _too_big(run: Run, error: BaseException) -> str:
    if isinstance(error, TooBigError):
        return str(error)
    size = run.job["config"]["batch_size"]
    return (
        f"There is not enough memory for batches of {size} images. Try batch_size "
        f"{max(2, size // 2)}, a smaller image_size or a smaller model."
    )


def _log(folder: Path, token: str) -> None:
    secrets = (*filter(None, [token]), *environment_secrets())
    with suppress(OSError), (folder / "error.log").open("a", encoding="utf-8") as file:
        file.write(redacted(traceback.format_exc(), secrets) + "\n")


def _title(job: Job) -> str:
    """What a person calls the run: its data, or its model and pictures."""
    if job.repo_id:
        return job.repo_id
    return title_of(job.dataset) if job.dataset else Path(job.model).name
