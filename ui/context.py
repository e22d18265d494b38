"""`Context`: what every handler needs: the runner, and what a visitor's words mean to it."""

import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from trainer.errors import DatasetError, ModelError
from trainer.hub import reachable
from trainer.hub_client import parse_hub_name
from trainer.runner import Run, Runner
from ui.confirm import Confirmations
from ui.login import Login
from ui.temp import temp_root
from ui.visit import Visit

_DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Context:
    runner: Runner
    login: Login = field(default_factory=Login)
    confirmations: Confirmations = field(default_factory=Confirmations)

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
        """The dataset that the visitor chose, as the server remembers it from its check.

        Raises:
            DatasetError: none is chosen, or its check has not ended well.
        """
        run = self.run(visit, "check")
        if run is None or run.status in ("failed", "stopped"):
            raise DatasetError("Choose pictures first, under “Data and model”.")
        if run.status != "done":
            raise DatasetError("The pictures are still being looked at; wait a moment.")
        return str(run.job["dataset"])

    def hub_dataset(self, typed: str) -> str:
        """A Hub id that a visitor typed, so that it cannot be taken for a path.

        Raises:
            DatasetError: it is no id.
        """
        if typed == _DIGITS:
            return typed
        if not isinstance(typed, str) or parse_hub_name(typed.strip()) is None:
            raise DatasetError(
                f"{str(typed)[:60]!r} is no dataset of the Hugging Face Hub; ids look like "
                "owner/name or owner/name@revision."
            )
        return f"hf://datasets/{typed.strip()}"

    def keep_upload(self, path: str | None) -> str:
        """Move an uploaded archive to the uploads; returns its path there.

        Raises:
            DatasetError: there is no such upload.
        """
        source = Path(path) if isinstance(path, str) else None
        inside = source is not None and temp_root() in source.resolve().parents
        if source is None or not inside or not source.is_file():
            raise DatasetError("Choose a zip file to upload.")
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", source.name)[-60:]
        folder = Path(tempfile.mkdtemp(dir=self.runner.uploads))
        target = folder / (name if name.endswith(".zip") else f"{name}.zip")
        return str(shutil.copyfile(source, target))

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
