"""`push`: publish a model folder on the Hugging Face Hub, load it back from there and compare.

Not covered: repositories under review (pull requests), gated models.
"""

import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

from trainer.errors import ModelError
from trainer.events import Event, Note, Progress
from trainer.export import CONFIG, LoadedModel, load_model
from trainer.onnx_export import ONNX, check_onnx, export_onnx
from trainer.publish.card import CARD, write_card
from trainer.publish.facts import run_folder_of
from trainer.publish.preflight import Wish
from trainer.publish.publication import Publication
from trainer.publish.verify import difference, load_back, pictures_for

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
"""Endings of files that can run code when they are loaded; a folder with one is not published."""


def push(folder: Path, wish: Wish, token: str) -> Generator[Event, None, None]:
    """Publish every file of a model folder but hidden ones, in one commit, and verify it.

    The files and the model are looked at before the Hub is asked, and the Hub is asked before
    anything is made there. `model.onnx` is made where there is none that answers like the model.

    Args:
        folder: what `export_model` wrote; beside it, in a run folder, the journal of the training.
        wish: where to, and for whom to see.
        token: whose publication it is; it goes with each call and nowhere else.

    Yields:
        Preflight, Progress, and at the end Pushed. It is `verified` where the Hub states the hashes
        of our files, and the model that it sends back for the new commit has the same class names
        and answers the same pictures alike, to within `MAX_GAP`.

    Raises:
        HubError: the id is none, or the Hub is unreachable or refuses.
        ModelError: the folder holds no model that loads, a pickle, or a link out of it.
    """
    refuse_pickles(folder)
    _refuse_links(folder)
    yield Progress(text="Looking at the model", done=0, total=1)
    local = load_model(folder)
    publication = Publication(wish, token)
    found = publication.checked()
    yield found
    target = publication.target(found)
    yield from with_onnx(local, folder)
    run_folder = run_folder_of(folder)
    with tempfile.TemporaryDirectory(prefix="lrlab-card-") as made:
        yield Progress(text="Writing the card", done=0, total=1)
        files = _files(folder) | _card_files(folder, run_folder, Path(made), target.repo_id)
        publication.check_card(target, files[CARD].read_text(encoding="utf-8"))
        done = yield from publication.send(target, files, "Publish the model")
        yield Progress(text="Loading it back from the Hub", done=0, total=1)
        pictures = pictures_for(local, run_folder)
        altered = publication.altered(target, done, files)
        with publication.afterwards(target):
            remote = load_back(publication.api, target, done.sha, token)
        differs = difference(local, remote, pictures) or altered
    yield publication.pushed(target, done, differs, len(pictures))


def refuse_pickles(folder: Path) -> None:
    """Refuse a folder with a file that can run code where it is loaded.

    Raises:
        ModelError: there is one.
    """
    pickles = [name for name in _files(folder) if name.lower().endswith(PICKLES)]
    if pickles:
        raise ModelError(
            f"{folder.name} holds {pickles[0]}, a pickle, which may run any code where it is "
            "loaded, so it is not published. Take it out; model.safetensors holds the weights."
        )


def _refuse_links(folder: Path) -> None:
    """Refuse a folder through which a file from elsewhere would be published."""
    whole = folder.resolve()
    outside = [name for name, path in _files(folder).items() if whole not in path.resolve().parents]
    if outside:
        raise ModelError(
            f"{folder.name} holds {outside[0]}, a link to a file outside of the folder, so it is "
            "not published. Take it out, or put a copy of the file in its place."
        )


def _files(folder: Path) -> dict[str, Path]:
    """What is published: path within the repository to file, without anything hidden."""
    inside = {path.relative_to(folder): path for path in sorted(folder.rglob("*"))}
    return {
        name.as_posix(): path
        for name, path in inside.items()
        if path.is_file() and not any(part.startswith(".") for part in name.parts)
    }


def with_onnx(loaded: LoadedModel, folder: Path) -> Generator[Event, None, None]:
    """See to it that the folder's `model.onnx` answers like the model.

    Yields:
        What is done; a Note where this model has no ONNX, and is published without.
    """
    path = folder / ONNX
    try:
        if path.is_file():
            check_onnx(loaded, path)
            return
    except ModelError:
        path.unlink()
    yield Progress(text="Making the ONNX copy", done=0, total=1)
    try:
        export_onnx(folder)
    except ModelError as error:
        yield Note(text=f"It is published without ONNX. {error}")


def _card_files(folder: Path, run_folder: Path | None, made: Path, repo_id: str) -> dict[str, Path]:
    """The card with its pictures, written anew for this repository beside the model folder."""
    for name in (CONFIG, CARD):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, made / name)
    if (folder / ONNX).is_file():
        (made / ONNX).symlink_to((folder / ONNX).resolve())  # the card says whether it is there
    write_card(made, run_folder, repo_id=repo_id)
    return {name: path for name, path in _files(made).items() if name not in (CONFIG, ONNX)}
