"""`Context`: what every handler needs: the runner, and what a visitor's words mean to it."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gradio.context import LocalContext

from trainer.data.load import pinned
from trainer.errors import DatasetError, ModelError
from trainer.events import Checked
from trainer.hub import reachable
from trainer.hub_client import parse_hub_name
from trainer.jobs import Job
from trainer.limits import Limits
from trainer.runner import Run, Runner
from ui.confirm import Confirmations
from ui.intake import address_of, reserve
from ui.login import Login
from ui.temp import received
from ui.visit import Visit

_DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Context:
    runner: Runner
    login: Login = field(default_factory=Login)
    confirmations: Confirmations = field(default_factory=Confirmations)

    def submit(self, job: Job, *, owner: str) -> Run:
        """Put a visitor's run into the queue.

        Raises:
            BusyError, DiskFullError: as `Runner.submit`.
        """
        return self.runner.submit(job, owner=owner, sender=sender())

    def resume(self, run_id: str, *, owner: str) -> bool:
        """Go on with a stopped or failed training; False if there is no such run.

        Raises:
            BusyError, DiskFullError: as `submit`.
        """
        return self.runner.resume(run_id, owner=owner, sender=sender()) is not None

    def device_words(self) -> str:
        """What the runs compute on, for the badge."""
        cores = os.cpu_count() or 1
        return self.runner.device() or f"{cores} CPU core{'s' if cores > 1 else ''}, starting up"

    def run(self, visit: Visit, kind: str) -> Run | None:
        """The run that the visitor sees in this place."""
        run_id = visit.shown.get(kind)
        run = self.runner.get(run_id) if run_id else None
        return run if run is not None and run.kind == kind else None

    def dataset(self, visit: Visit) -> str:
        """The dataset that the visitor chose, as the server remembers it from its check; of one on
        the Hub the commit that was checked, whatever its owner changes meanwhile.

        Raises:
            DatasetError: none is chosen, or its check has not ended well.
        """
        run = self.run(visit, "check")
        if run is None or run.status in ("failed", "stopped"):
            raise DatasetError("Choose pictures first, under “Data and model”.")
        if run.status != "done":
            raise DatasetError("The pictures are still being looked at; wait a moment.")
        events, _ = self.runner.events(run.run_id)
        revisions = [event.revision for event in events if isinstance(event, Checked)]
        return pinned(str(run.job["dataset"]), "".join(revisions[-1:]) or None)

    def hub_dataset(self, typed: str) -> str:
        """A Hub id that a visitor typed, so that it cannot be taken for a path.

        Raises:
            DatasetError: it is no id.
        """
        if typed == _DIGITS:
            return typed
        if not isinstance(typed, str) or parse_hub_name(typed.strip()) is None:
            raise DatasetError(
                f"{str(typed)[:60]!r} is not the id of a dataset on the Hugging Face Hub. Use "
                "owner/name or owner/name@revision."
            )
        return f"hf://datasets/{typed.strip()}"

    @contextmanager
    def kept_upload(self, path: str | None) -> Iterator[str]:
        """An uploaded archive's path among the uploads; it stays there unless the block fails.

        It is a second name of the same file, so it takes no room, however often somebody asks.

        Raises:
            DatasetError: there is no such upload, or no room.
        """
        source = received(path)
        if source is None:
            raise DatasetError("Choose a zip file to upload.")
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", source.name)[-60:]
        folder = Path(tempfile.mkdtemp(dir=self.runner.uploads))
        target = folder / (name if name.endswith(".zip") else f"{name}.zip")
        try:
            self._link(source, target)
            yield str(target)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _link(self, source: Path, target: Path) -> None:
        try:
            target.hardlink_to(source)
        except OSError:  # on another disk, or one without links
            usage = shutil.disk_usage(target.parent)
            if usage.free - source.stat().st_size < reserve(usage.total, Limits.from_env()):
                raise DatasetError(
                    "There is not enough room on this app's disk for the upload. Try a smaller "
                    "zip file, or again later."
                ) from None
            shutil.copyfile(source, target)

    def model(self, chosen: str | None) -> str:
        """A model to predict with: a finished training by its id, or an id on the Hub.

        Raises:
            ModelError: neither.
        """
        typed = chosen.strip() if isinstance(chosen, str) else ""
        run = self.runner.get(typed) if typed else None
        if run is not None and run.kind == "train" and run.status == "done":
            return run.folder
        if parse_hub_name(typed) is not None:
            return f"hf-hub:{typed}"
        raise ModelError(
            "Train a model first, or type the Hub id (owner/name) of a timm image classifier."
        )


def is_online() -> bool:
    """A fast probe of the Hub; its answer is kept for some seconds."""
    return reachable()


def sender() -> str:
    """The address of whoever sent the event that is handled now, as `address_of`."""
    event = LocalContext.request.get(None)
    request = event.request if event is not None else None
    return address_of(request.scope, request.headers) if request is not None else ""
