"""The run folder: `run.json` (what was asked, how it stands) and `events.jsonl` (what happened).

The id of a run is the capability to see and to stop it. `events.jsonl` only grows, one write a
line; whoever follows reads from an offset and ignores a last line that is not complete yet.
"""

import json
import os
import re
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trainer.data.names import title_of
from trainer.errors import UserError
from trainer.events import Event, Failed, Stopped, from_json, to_json
from trainer.jobs import Job, execute, job_from_dict

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
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


def new_run_id() -> str:
    """128 random bits: nobody guesses it."""
    return secrets.token_urlsafe(16)


def create_run(root: Path, job: Job, *, owner: str, run_id: str | None = None) -> Run:
    """Make the folder of a run that waits."""
    run_id = run_id or new_run_id()
    folder = root / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return write_run(
        Run(
            run_id=run_id,
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
    making.write_text(json.dumps(asdict(run)), encoding="utf-8")
    making.replace(path)
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


def read_events(folder: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The complete events from a byte offset on, and the offset to go on from.

    A damaged line is passed over, so that one bad write does not hide a run.
    """
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(offset)
            text = file.read()
    except OSError:
        return [], offset
    complete = text[: text.rfind(b"\n") + 1]
    events: list[Event] = []
    for line in complete.splitlines():
        try:
            events.append(from_json(line.decode()))
        except ValueError:
            continue
    return events, offset + len(complete)


def append_event(folder: Path, event: Event) -> None:
    """Add one event to the journal, in one write."""
    handle = os.open(folder / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(handle, (to_json(event) + "\n").encode())
    finally:
        os.close(handle)


def stop_requested(folder: Path) -> bool:
    """Whether somebody asked this run to stop."""
    return (folder / "stop").exists()


def request_stop(folder: Path) -> None:
    """Ask the run to stop at its next step."""
    (folder / "stop").touch()


def record(
    run: Run, should_stop: Callable[[], bool] | None = None, *, token: str = ""
) -> Iterator[Event]:
    """Carry out a run and journal it; the one place where an exception becomes a Failed event.

    Args:
        run: as `create_run` made it.
        should_stop: asked after each event; by default, whether the folder holds a wish to stop.
        token: whose publication it is, for a run that publishes; it is not written anywhere.

    Yields:
        The events, after each one is in the journal; the last one says how it ended.
    """
    folder = Path(run.folder)
    run = write_run(replace(run, status="running", pid=os.getpid()))
    status = "done"
    asked = should_stop or (lambda: stop_requested(folder))
    for event in _guarded(run, folder, asked, token):
        append_event(folder, event)
        if isinstance(event, Failed):
            status = "failed"
        elif isinstance(event, Stopped):
            status = "stopped"
        yield event
    write_run(replace(run, status=status))


def _guarded(
    run: Run, folder: Path, should_stop: Callable[[], bool], token: str
) -> Iterator[Event]:
    try:
        yield from execute(job_from_dict(run.job), folder, should_stop=should_stop, token=token)
    except UserError as error:
        yield Failed(error=type(error).__name__, message=str(error))
    except MemoryError as error:
        _log(folder)
        yield Failed(error="MemoryError", message=_too_big(run, error))
    except Exception as error:  # noqa: BLE001 the run's outermost frame: nothing may get past it
        _log(folder)
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error):
            yield Failed(error="MemoryError", message=_too_big(run, error))
            return
        yield Failed(
            error=type(error).__name__,
            message=f"Something went wrong that should not ({type(error).__name__}). The details "
            f"are in {folder.name}/error.log; what was reached before is kept.",
        )


def _too_big(run: Run, error: BaseException) -> str:
    del error
    size = run.job["config"]["batch_size"]
    return (
        f"There is not enough memory for batches of {size} images. Try batch_size "
        f"{max(2, size // 2)}, a smaller image_size or a smaller model."
    )


def _log(folder: Path) -> None:
    with (folder / "error.log").open("a", encoding="utf-8") as file:
        file.write(traceback.format_exc() + "\n")


def _title(job: Job) -> str:
    """What a person calls the run: its data, or its model and pictures."""
    if job.repo_id:
        return job.repo_id
    return title_of(job.dataset) if job.dataset else Path(job.model).name
