"""Which pictures of a run a demo page may show to everybody."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pictures import png
from trainer.config import config_for
from trainer.data import Picture
from trainer.data.sheet import evenly, read_sheet, write_sheet
from trainer.events import Started
from trainer.jobs import Job
from trainer.publish.examples import MAX_EXAMPLES, shareable_examples
from trainer.runner.folder import create_run
from trainer.runner.journal import append_event


def model_of(root: Path, kind: str, licence: str = "") -> Path:
    """The model folder of a run that began so, with nine examples."""
    folder = Path(create_run(root, Job(kind="train", config=config_for()), owner="ada").folder)
    append_event(folder, Started(kind="train", dataset_kind=kind, dataset_licence=licence))
    rows = []
    for number in range(9):
        read = partial(png, number, (40, 40))
        rows.append((("cat", "..", "a/b")[number % 3], Picture(f"{number}.png", 0, read)))
    write_sheet(rows, folder / "examples", whole=True)
    (folder / "model").mkdir()
    return folder / "model"


@pytest.mark.parametrize("licence", ["cc0-1.0", "MIT", "cc-by-4.0", "cc-by-sa-3.0", "apache-2.0"])
def test_pictures_under_a_free_licence_are_shown_under_their_class(
    tmp_path: Path, licence: str
) -> None:
    model = model_of(tmp_path, kind="hub", licence=licence)
    shown = shareable_examples(model, tmp_path / "made")
    assert len(shown) == MAX_EXAMPLES
    assert {path.parent.name for path in shown} == {"cat", "example"}
    assert all(path.resolve().is_relative_to(tmp_path / "made") for path in shown)
    for path in shown:
        with Image.open(path) as image:
            assert image.size == (40, 40)


def test_what_is_shown_is_of_every_class(tmp_path: Path) -> None:
    """A sheet goes class by class."""
    classes = [name for name in ("cat", "dog", "owl") for _ in range(4)]
    rows = [(name, Picture(f"{n}.png", 0, partial(png, n))) for n, name in enumerate(classes)]
    write_sheet(rows, tmp_path, whole=True)
    for most, numbers in ((1, [1, 0, 0]), (6, [2, 2, 2]), (8, [3, 3, 2]), (20, [4, 4, 4])):
        shown = [caption for _, caption, _ in evenly(read_sheet(tmp_path), most)]
        assert [shown.count(name) for name in ("cat", "dog", "owl")] == numbers


def test_pictures_that_are_built_in_are_shown(tmp_path: Path) -> None:
    model = model_of(tmp_path, kind="builtin")
    assert len(shareable_examples(model, tmp_path / "made")) == MAX_EXAMPLES


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_persons_own_pictures_are_shown_under_no_licence(tmp_path: Path, kind: str) -> None:
    model = model_of(tmp_path, kind=kind, licence="mit")
    assert shareable_examples(model, tmp_path / "made") == []


@pytest.mark.parametrize(
    "licence", ["", "other", "unknown", "cc-by-nc-4.0", "cc-by-nd-4.0", "x mit"]
)
def test_pictures_without_a_free_licence_stay_out(tmp_path: Path, licence: str) -> None:
    model = model_of(tmp_path, kind="hub", licence=licence)
    assert shareable_examples(model, tmp_path / "made") == []


def test_a_model_without_its_run_has_no_examples(tmp_path: Path) -> None:
    assert shareable_examples(tmp_path, tmp_path / "made") == []
