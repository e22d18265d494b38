"""A finished model as a zip to download: one file, however often somebody asks for it."""

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path

from trainer.errors import ModelError
from ui.context import Context
from ui.temp import new_folder, temp_root
from ui.visit import Visit


def archive(context: Context, visit: Visit) -> str:
    """The path of a zip of the finished model that Train shows.

    Raises:
        ModelError: there is none.
    """
    run = context.run(visit, "train")
    folder = Path(run.folder) / "model" if run is not None else None
    if folder is None or not folder.is_dir():
        raise ModelError("There is no finished model here to download.")
    files = _files(folder)
    target = temp_root() / f"zip-{_state(files)}" / "model.zip"
    with suppress(FileNotFoundError):  # not made yet, or swept
        target.stat()
        target.touch()
        return str(target)
    made = new_folder() / "model.zip"
    with zipfile.ZipFile(made, "w") as packed:  # weights do not get smaller
        for path in files:
            packed.write(path, path.relative_to(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    return str(made.replace(target))


def _files(folder: Path) -> list[Path]:
    """All but hidden ones, such as an ONNX copy that is being made."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != "."]


def _state(files: list[Path]) -> str:
    """Names the model as it is now: its ONNX copy comes some seconds after the training."""
    stated = repr([(str(path), path.stat().st_mtime_ns) for path in files])
    return hashlib.sha256(stated.encode()).hexdigest()[:32]
