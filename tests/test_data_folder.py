"""Folders of class folders: every layout that people have, and errors in words for the others."""

import os
from pathlib import Path

import pytest

from pictures import fill, png
from trainer.data import Data, Skipped, load_data
from trainer.data.names import natural_key
from trainer.errors import DatasetError
from trainer.limits import Limits

CLASSES = ("cats", "dogs")


def names(prefix: str, count: int = 4) -> list[str]:
    return [f"{prefix}{c}/{i}.png" for c in CLASSES for i in range(count)]


def load(path: Path, **limits: int) -> Data:
    return load_data(str(path), limits=Limits(**limits))


def refused(path: Path, **limits: int) -> str:
    with pytest.raises(DatasetError) as caught:
        load(path, **limits)
    return str(caught.value)


def test_class_folders_are_split_by_the_seed(tmp_path: Path) -> None:
    data = load(fill(tmp_path / "pets", names("", 10)))
    assert data.class_names == CLASSES
    assert (len(data.train), len(data.valid), data.test) == (16, 4, None)
    assert sorted(data.valid.labels) == [0, 0, 1, 1]
    assert data.provenance.kind == "folder"
    assert data.provenance.dataset_id == "pets"
    assert data.provenance.split_rule == "20 % of the pictures, stratified, seed 42"


def test_a_picture_knows_its_name_its_bytes_and_when_they_change(tmp_path: Path) -> None:
    root = fill(tmp_path, names("train/") + names("valid/"))
    before = load(root).train.pictures[0]
    assert before.name == "train/cats/0.png"
    assert before.read() == (root / "train/cats/0.png").read_bytes()
    assert load(root).train.pictures[0].stamp == before.stamp
    (root / "train/cats/0.png").write_bytes(png("blue", (9, 9)))
    assert load(root).train.pictures[0].stamp != before.stamp


@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
@pytest.mark.parametrize("valid", ["valid", "val", "Validation"])
def test_train_and_valid_folders_are_kept(tmp_path: Path, train: str, valid: str) -> None:
    data = load(fill(tmp_path, names(f"{train}/", 3) + names(f"{valid}/", 2)))
    assert [len(split) for split in data.splits] == [6, 4]
    assert [split.name for split in data.splits] == ["train", "valid"]
    assert data.provenance.split_rule == "the folders' own train and valid"


def test_train_valid_and_test_folders_are_kept(tmp_path: Path) -> None:
    data = load(fill(tmp_path, names("train/", 3) + names("valid/", 2) + names("test/", 1)))
    assert [(split.name, len(split)) for split in data.splits] == [
        ("train", 6),
        ("valid", 4),
        ("test", 2),
    ]


def test_without_valid_it_is_split_off_from_train_and_test_stays(tmp_path: Path) -> None:
    data = load(fill(tmp_path, names("train/", 5) + names("test/", 2)))
    assert [(split.name, len(split)) for split in data.splits] == [
        ("train", 8),
        ("valid", 2),
        ("test", 4),
    ]
    assert all(picture.name.startswith("train/") for picture in data.valid.pictures)


def test_a_train_folder_alone_is_split(tmp_path: Path) -> None:
    data = load(fill(tmp_path, names("train/", 5)))
    assert data.class_names == CLASSES
    assert [len(split) for split in data.splits] == [8, 2]


def test_an_empty_valid_folder_counts_as_none(tmp_path: Path) -> None:
    root = fill(tmp_path, names("train/", 5))
    (root / "valid").mkdir()
    assert [len(split) for split in load(root).splits] == [8, 2]


@pytest.mark.parametrize("wrapper", ["pets", "a/b/c"])
@pytest.mark.parametrize("inside", ["", "train/"])
def test_a_single_wrapping_folder_is_looked_through(
    tmp_path: Path, wrapper: str, inside: str
) -> None:
    data = load(fill(tmp_path, names(f"{wrapper}/{inside}")))
    assert data.class_names == CLASSES


def test_folders_within_a_class_belong_to_it(tmp_path: Path) -> None:
    data = load(fill(tmp_path, [*names(""), "cats/siamese/1.png", "cats/siamese/old/2.png"]))
    assert data.class_names == CLASSES
    assert len(data.train) + len(data.valid) == 10


def test_a_class_may_be_called_train_or_test(tmp_path: Path) -> None:
    vehicles = [f"{c}/{i}.png" for c in ("bus", "train", "test") for i in range(4)]
    assert load(fill(tmp_path, vehicles)).class_names == ("bus", "test", "train")


def test_other_folders_beside_the_splits_are_reported(tmp_path: Path) -> None:
    data = load(fill(tmp_path, [*names("train/"), *names("val/"), "raw/x/1.png"]))
    assert data.skipped == (Skipped("raw", "is beside the train, valid and test folders"),)


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    data = load(fill(tmp_path, [f"{c}/{i}.png" for c in ("10", "2", "b1", "A3") for i in (1, 2)]))
    assert data.class_names == ("2", "10", "A3", "b1")


def test_numbers_in_names_sort_by_size_however_long_they_are() -> None:
    long = "1" * 5_000
    shuffled = ["b1", f"a{long}0", "a12b", "a2", f"a{long}", "a10", "A02"]
    ordered = ["A02", "a2", "a10", "a12b", f"a{long}", f"a{long}0", "b1"]
    assert sorted(shuffled, key=natural_key) == ordered


def test_every_allowed_suffix_counts_in_any_case(tmp_path: Path) -> None:
    suffixes = ["jpg", "JPEG", "png", "webp", "gif", "bmp", "tif", "TIFF", "ppm", "pgm"]
    data = load(fill(tmp_path, [f"{c}/{i}.{s}" for c in CLASSES for i, s in enumerate(suffixes)]))
    assert len(data.train) + len(data.valid) == 20


def test_litter_is_ignored_without_a_word(tmp_path: Path) -> None:
    litter = [".DS_Store", "cats/.hidden.png", "cats/Thumbs.db", "__MACOSX/cats/1.png"]
    litter += [".ipynb_checkpoints/1.png", "dogs/.ipynb_checkpoints/1.png", "desktop.ini"]
    data = load(fill(tmp_path, names("") + litter))
    assert data.class_names == CLASSES
    assert data.skipped == ()


def test_what_is_left_out_is_reported_with_the_reason(tmp_path: Path) -> None:
    root = fill(tmp_path, names(""))
    extra = {
        "README.md": b"x",
        "loose.png": png(),
        "cats/notes.txt": b"x",
        "cats/more.zip": b"x",
        "cats/nothing.png": b"",
        "cats/large.png": png(1, (200, 200)) + b"x" * 2000,
    }
    data = load(fill(root, extra), max_picture_bytes=2000)
    assert {each.name: each.reason for each in data.skipped} == {
        "README.md": "is not a picture",
        "loose.png": "is not in a class folder",
        "cats/notes.txt": "is not a picture",
        "cats/more.zip": "is an archive within the dataset; unpack it first",
        "cats/nothing.png": "is empty",
        "cats/large.png": "is too large (0.1 MB; the limit is 0.1 MB)",
    }


def test_links_out_of_the_folder_and_pipes_are_not_followed(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", ["secret.png", "birds/1.png", "birds/2.png"])
    root = fill(tmp_path / "pets", names(""))
    (root / "cats/link.png").symlink_to(outside / "secret.png")
    (root / "cats/broken.png").symlink_to(root / "nowhere.png")
    (root / "cats/loop").symlink_to(root)
    (root / "birds").symlink_to(outside / "birds")
    (root / "cats/inside.png").symlink_to(root / "cats/0.png")
    os.mkfifo(root / "dogs/pipe.png")
    data = load(root)
    assert data.class_names == CLASSES
    assert len(data.train) + len(data.valid) == 9
    assert {each.name: each.reason for each in data.skipped} == {
        "birds": "is a link that leads outside the folder",
        "cats/broken.png": "is a link that leads nowhere",
        "cats/link.png": "is a link that leads outside the folder",
        "cats/loop": "is a link to another folder",
        "dogs/pipe.png": "is not a file",
    }


def test_a_link_to_the_folder_itself_is_followed(tmp_path: Path) -> None:
    fill(tmp_path / "pets", names(""))
    (tmp_path / "link").symlink_to(tmp_path / "pets")
    assert load(tmp_path / "link").class_names == CLASSES


def test_names_that_are_not_text_can_still_be_shown(tmp_path: Path) -> None:
    root = fill(tmp_path, names(""))
    (root / os.fsdecode(b"cats/bad\xff.png")).write_bytes(png(99))
    data = load(root)
    (name,) = (p.name for s in data.splits for p in s.pictures if "bad" in p.name)
    assert name == "cats/bad\\udcff.png"


def test_a_class_may_be_missing_in_valid(tmp_path: Path) -> None:
    data = load(fill(tmp_path, [*names("train/"), "valid/cats/1.png"]))
    assert data.class_names == CLASSES
    assert data.valid.labels == (0,)


def test_a_test_folder_without_classes_is_reported_and_left_out(tmp_path: Path) -> None:
    data = load(fill(tmp_path, [*names("train/"), "test/1.png"]))
    assert data.test is None
    reasons = {each.name: each.reason for each in data.skipped}
    assert reasons["test"] == "holds pictures without class folders, so their classes are unknown"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "'pets' holds nothing. It takes a folder for each class"),
        (["a.txt"], "'pets' holds 1 files, none of them a picture."),
        (["1.png", "2.png"], "'pets' holds 2 pictures but no class folders. Put the pictures"),
        (["x/1.png", "x/2.png"], "'pets' has only one class, 'x'; it takes at least two."),
        (["x/1.png", "y/1.png", "y/2.png"], "Class 'x' has a single picture (x/1.png); it takes"),
        (["x/1.txt", "y/1.png"], "Class 'x' of 'pets' has no usable picture; 1 were left out"),
        (["x/1.txt", "y/1.txt"], "'pets' holds no pictures to train on; 2 were left out, among"),
        (["Cat/1.png", "cat/1.png"], "'Cat' and 'cat' differ only in upper and lower case."),
        (["valid/x/1.png", "test/x/1.png"], "'pets' has a folder 'test' but no folder 'train'."),
        (["train/x/1.png", "val/x/1.png", "valid/x/1.png"], "'val' and 'valid' both mean 'valid'"),
        (["train/1.png", "valid/1.png"], "'train' holds 1 pictures but no class folders."),
        (["train/x/1.png", "train/y/1.png", "valid/1.png"], "'valid' holds 1 pictures but no"),
        (
            ["train/x/1.png", "train/y/1.png", "valid/Y/1.png"],
            "Class 'Y' is in valid but not in train, where the classes are 'x', 'y'.",
        ),
        (
            ["train/x/1.png", "train/y/1.png", "test/z/1.png"],
            "Class 'z' is in test but not in train",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_words(
    tmp_path: Path, files: list[str], sentence: str
) -> None:
    root = tmp_path / "pets"
    root.mkdir()
    assert sentence in refused(fill(root, files))


def test_a_missing_folder_and_a_file_are_said_in_words(tmp_path: Path) -> None:
    assert f"The folder '{tmp_path}/none' does not exist." in refused(tmp_path / "none")


def test_an_empty_class_folder_is_said_in_words(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", names(""))
    (root / "birds").mkdir()
    assert "Class 'birds' of 'pets' has no usable picture; the folder is empty" in refused(root)


def test_the_limits_are_kept(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", names(""))
    assert "'pets' holds more than 7 pictures" in refused(root, max_pictures=7)
    assert "'pets' has 2 class folders; the limit is 1" in refused(root, max_classes=1)
    assert "far too many files" in refused(root, max_pictures=1)
