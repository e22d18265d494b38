"""`load_data`: which words mean which dataset."""

import pickle
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pictures import fill
from trainer.data import load_data, samples
from trainer.data.cache import cache_root, read_json, write_json
from trainer.data.load import _local_path, pinned
from trainer.errors import ConfigError, DatasetError

NAMES = [f"{c}/{i}.png" for c in ("cats", "dogs") for i in range(4)]


def test_the_digits_are_8_by_8_grey_pictures() -> None:
    data = load_data("digits")
    assert data.class_names == tuple("0123456789")
    assert data.provenance.kind == "builtin"
    first = min((p for s in data.splits for p in s.pictures), key=lambda p: p.name)
    assert (first.name, first.label) == ("digits[0000]", 0)
    image = Image.open(BytesIO(first.read()))
    assert (image.size, image.mode) == ((8, 8), "L")
    assert image.getpixel((2, 0)) == round(5 * 255 / 16)
    assert pickle.loads(pickle.dumps(first)).read() == first.read()  # noqa: S301 our own bytes


def test_a_folder_in_the_working_directory_hides_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "owner/name", NAMES)
    monkeypatch.chdir(tmp_path)
    assert load_data("owner/name").provenance.kind == "folder"


@pytest.mark.parametrize(
    "dataset", ["/none", "./none", "../none", "~/none", "none.zip", "a/none.ZIP", "."]
)
def test_what_looks_like_a_path_never_asks_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _local_path(dataset) is not None
    with pytest.raises(DatasetError, match="does not exist|holds nothing"):
        load_data(dataset)


@pytest.mark.parametrize("dataset", ["owner/name", "owner/name@main", "a.b/c_d-e", "a/b@0123abc"])
def test_a_hub_id_is_not_a_path(dataset: str) -> None:
    assert _local_path(dataset) is None


@pytest.mark.parametrize(
    "dataset",
    ["", " ", "imagefolder", "a/b/c", "a b/c", "ów/name", "owner/na\0me", "a/b@", "@", "x" * 5000]
    + ["https://huggingface.co/datasets/a/b", "hf://a/b", "~nobody-of-that-name/x/y"],
)
def test_what_is_neither_is_said_in_words(dataset: str) -> None:
    with pytest.raises(DatasetError, match="is not a dataset. Give 'digits', the path"):
        load_data(dataset)


def test_a_path_that_is_too_long_is_said_in_words() -> None:
    with pytest.raises(DatasetError):
        load_data("/" + "x" * 5000)


def test_a_file_that_is_no_zip_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "pets.csv"
    path.write_text("a,b\n")
    with pytest.raises(DatasetError, match="'pets.csv' is not a zip, or is damaged"):
        load_data(str(path))


def test_a_share_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="valid_fraction is 2"):
        load_data(str(fill(tmp_path, NAMES)), valid_fraction=2)


def test_a_picture_of_a_folder_can_be_sent_to_another_process(tmp_path: Path) -> None:
    picture = load_data(str(fill(tmp_path, NAMES))).train.pictures[0]
    assert pickle.loads(pickle.dumps(picture)).read() == picture.read()  # noqa: S301 our own bytes


def test_samples_are_the_same_each_time_and_of_every_class(tmp_path: Path) -> None:
    many = [f"{c}/{i:02d}.png" for c in ("a", "b", "c") for i in range(20)]
    data = load_data(str(fill(tmp_path, many)))
    chosen = samples(data, per_class=3, total=100)
    assert [name for name, _ in chosen] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert all(data.class_names[picture.label] == name for name, picture in chosen)
    assert samples(data, per_class=3, total=100) == chosen
    assert samples(data, per_class=3, total=100, seed=1) != chosen
    few = samples(data, per_class=3, total=6)
    assert [name for name, _ in few] == ["a", "a", "b", "b", "c", "c"]
    assert [name for name, _ in samples(data, per_class=3, total=2)] == ["a", "b"]
    assert len(samples(data, per_class=99, total=99)) == 48


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("LRLAB_CACHE")
    assert cache_root() == tmp_path / "xdg" / "lrlab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "lrlab"


def test_a_json_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]
    path.write_text("{")
    assert read_json(path) is None
    path.write_text("[]")
    assert read_json(path) is None


@pytest.mark.parametrize(
    ("dataset", "revision", "expected"),
    [
        ("digits", None, "digits"),
        ("../pets.zip", None, "../pets.zip"),
        ("ada/pets", "c0ffee", "hf://datasets/ada/pets@c0ffee"),
        (" hf://datasets/ada/pets@main", "c0ffee", "hf://datasets/ada/pets@c0ffee"),
    ],
)
def test_a_dataset_of_the_hub_is_opened_again_as_it_was(
    dataset: str, revision: str | None, expected: str
) -> None:
    assert pinned(dataset, revision) == expected
