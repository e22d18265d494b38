"""The check: counts, damaged pictures, copies across splits, and what it says about them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pictures import encode, fill, png
from trainer.config import config_for
from trainer.data import Check, Data, Finding, Picture, check, fingerprint, load_data, usable
from trainer.errors import DatasetError
from trainer.events import Note
from trainer.limits import Limits
from trainer.opening import usable_data


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pets(root: Path, *, train: int = 12, valid: int = 4) -> Path:
    """Cats and dogs, all pictures different."""
    names = [f"train/{c}/{i:02d}.png" for c in ("cats", "dogs") for i in range(train)]
    names += [f"valid/{c}/{i:02d}.png" for c in ("cats", "dogs") for i in range(valid)]
    return fill(root, names)


def load(root: Path) -> Data:
    return load_data(str(root))


def texts(result: Check, level: str) -> list[str]:
    return [finding.text for finding in result.findings if finding.level == level]


def test_counts_and_sizes_are_those_of_the_pictures(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    fill(
        root, {"train/cats/wide.png": png(900, (100, 40)), "train/cats/high.png": png(901, (2, 90))}
    )
    result = check(load(root))
    assert result.class_names == ("cats", "dogs")
    assert result.counts == (("train", (14, 12)), ("valid", (4, 4)))
    assert result.num_pictures == 34
    assert result.widths == (2, 4, 100)
    assert result.heights == (4, 4, 90)
    assert result.tiny_share == 33 / 34
    assert result.imbalance == 14 / 12
    assert result.identical == result.failed == result.skipped == ()


def test_good_data_gets_no_warning(tmp_path: Path) -> None:
    result = check(load(pets(tmp_path / "pets", valid=25)))
    assert texts(result, "warning") == texts(result, "error") == []
    assert result.findings[0] == Finding(
        "info", "24 training and 50 validation pictures in 2 classes."
    )


def test_damaged_pictures_are_named_and_can_be_left_out(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets", train=20)
    fill(root, {"train/cats/00.png": png()[:-30], "valid/dogs/00.png": b"hello", "a.txt": b""})
    data = load(root)
    result = check(data)
    assert {each.name: each.reason for each in result.failed} == {
        "train/cats/00.png": "is cut off",
        "valid/dogs/00.png": "is not a picture (JPEG, PNG, WebP, GIF, BMP, TIFF or PPM)",
    }
    assert result.counts == (("train", (19, 20)), ("valid", (4, 3)))
    assert (
        "2 of 48 pictures (4.2 %) cannot be decoded and are left out; the first is "
        "train/cats/00.png, which is cut off." in texts(result, "warning")
    )
    assert any(text.startswith("1 file or row is not used") for text in texts(result, "info"))
    rest = usable(data, result)
    assert [len(split) for split in rest.splits] == [39, 7]
    assert [each.name for each in rest.skipped] == ["a.txt", *(e.name for e in result.failed)]
    again = check(rest)
    assert again.failed == ()
    assert again.skipped == rest.skipped


def test_nothing_is_trained_on_pictures_of_which_too_many_are_damaged(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets", train=36)  # 80 pictures
    fill(root, {f"train/cats/{number:02}.png": png()[:-30] for number in range(4)})
    data = load(root)
    assert len(usable(data, check(data)).train) == 68  # 5 % are left out
    fill(root, {"valid/dogs/00.png": b"hello"})
    data = load(root)
    result = check(data)
    with pytest.raises(DatasetError) as caught:
        usable(data, result)
    words = (
        "5 of 80 pictures (6.2 %) cannot be decoded, more than 5 %: "
        "train/cats/00.png (is cut off), "
        "train/cats/01.png (is cut off), train/cats/02.png (is cut off), …. Something is wrong "
        "with the files as a whole. Replace them or take them out, or choose another dataset."
    )
    assert str(caught.value) == words
    assert texts(result, "error") == [words]
    with pytest.raises(DatasetError, match="more than 5 %"):  # as every run opens its data
        list(usable_data(str(root), config_for()))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_class_without_a_sound_picture_is_said_in_words(tmp_path: Path, split: str) -> None:
    root = pets(tmp_path / "pets", train=2, valid=2)
    fill(root, {f"{split}/dogs/00.png": b"x", f"{split}/dogs/01.png": b"x"})
    data = load(root)
    result = check(data)
    with pytest.raises(DatasetError) as caught:
        usable(data, result)
    assert str(caught.value).startswith(
        f"None of the 2 pictures of class 'dogs' in {split} can be decoded; the first is "
        f"{split}/dogs/00.png, which is not a picture"
    )
    level = "error" if split == "train" else "warning"
    assert any("1 class ('dogs') without a" in text for text in texts(result, level))


def test_a_class_that_valid_never_had_is_a_warning_only(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets", valid=0)
    data = load(fill(root, {"valid/cats/1.png": png(999)}))
    result = check(data)
    assert len(usable(data, result).valid) == 1
    (text,) = (text for text in texts(result, "warning") if "without" in text)
    assert text.startswith("1 class ('dogs') without a picture in valid: the accuracy there says")


def test_identical_pictures_across_splits_are_found(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    copy = (root / "train/cats/03.png").read_bytes()
    fill(root, {"valid/cats/00.png": copy, "valid/cats/01.png": copy})
    result = check(load(root))
    (group,) = result.leaked
    assert [(twin.split, twin.name, twin.label) for twin in group] == [
        ("train", "train/cats/03.png", 0),
        ("valid", "valid/cats/00.png", 0),
        ("valid", "valid/cats/01.png", 0),
    ]
    assert result.contradictory == ()
    (text,) = (text for text in texts(result, "warning") if "identical" in text)
    assert text.startswith(
        "2 validation or test pictures are identical to training pictures (train/cats/03.png = "
    )


def test_pictures_are_compared_by_pixels_and_not_by_bytes(tmp_path: Path) -> None:
    same = Image.new("RGB", (6, 6), (1, 2, 3))
    root = pets(tmp_path / "pets")
    fill(root, {"train/cats/a.png": encode(same), "train/cats/b.bmp": encode(same, "BMP")})
    fill(root, {"train/cats/c.png": encode(same.resize((4, 9)))})
    (group,) = check(load(root)).identical
    assert [twin.name for twin in group] == ["train/cats/a.png", "train/cats/b.bmp"]


def test_the_same_picture_with_two_labels_is_found(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    fill(root, {"train/dogs/00.png": (root / "train/cats/05.png").read_bytes()})
    result = check(load(root))
    assert [[twin.label for twin in group] for group in result.contradictory] == [[0, 1]]
    assert result.leaked == ()
    (text,) = (text for text in texts(result, "warning") if "more than one label" in text)
    assert text == (
        "1 picture has more than one label (train/cats/05.png = train/dogs/00.png: 'cats' and "
        "'dogs'). Keep the right one."
    )
    assert any(text.startswith("1 picture is a copy of another") for text in texts(result, "info"))


def test_unequal_classes_are_said_with_the_accuracy_of_guessing(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets", train=10)
    result = check(load(fill(root, {f"train/cats/x{i}.png": png(500 + i) for i in range(30)})))
    assert result.imbalance == 4.0
    (text,) = (text for text in texts(result, "warning") if "times" in text)
    assert text.startswith("Class 'cats' has 4.0 times the training pictures of 'dogs' (40 and 10)")
    assert "already right for 80 % of them" in text


def test_few_pictures_are_said(tmp_path: Path) -> None:
    result = check(load(pets(tmp_path / "pets", train=5, valid=4)))
    few, valid = texts(result, "warning")
    assert few.startswith("2 classes ('cats', 'dogs') with fewer than 10 training pictures")
    assert valid.startswith("Only 8 validation pictures: each moves the accuracy by 12.5 %.")


def test_progress_is_told_picture_by_picture_and_may_stop_the_check(
    tmp_path: Path, cache: Path
) -> None:
    data = load(pets(tmp_path / "pets"))

    class Stopped(Exception):  # noqa: N818 stopping is no error
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stopped

    with pytest.raises(Stopped):
        check(data, on_progress=stop, workers=1)
    assert not (cache / "checks").exists()
    told: list[tuple[int, int]] = []
    check(data, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 32) for done in range(1, 33)]


def unreadable(data: Data) -> Data:
    """The same data, whose pictures cannot be read any more."""

    def fail() -> bytes:
        raise AssertionError("a picture was read again")

    def blind(picture: Picture) -> Picture:
        return Picture(picture.name, picture.label, fail, picture.stamp)

    return replace(
        data,
        train=replace(data.train, pictures=tuple(map(blind, data.train.pictures))),
        valid=replace(data.valid, pictures=tuple(map(blind, data.valid.pictures))),
    )


def test_a_second_check_of_the_same_data_decodes_nothing(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    data = load(fill(root, {"train/cats/00.png": b"x", "notes.txt": b"x"}))
    assert check(data) == check(unreadable(data))


def test_a_damaged_or_foreign_cache_is_not_believed(tmp_path: Path, cache: Path) -> None:
    data = load(pets(tmp_path / "pets"))
    first = check(data)
    (path,) = (cache / "checks").iterdir()
    for text in ("{", "[]", "{}", path.read_text().replace(first.fingerprint, "0" * 64)):
        path.write_text(text)
        assert check(data) == first


def test_other_limits_are_another_check(tmp_path: Path) -> None:
    data = load(pets(tmp_path / "pets"))
    assert check(data).failed == ()
    assert len(check(data, limits=Limits(max_pixels=1)).failed) == 32


def test_a_picture_that_vanished_is_reported_and_not_remembered(
    tmp_path: Path, cache: Path
) -> None:
    root = pets(tmp_path / "pets")
    data = load(root)
    (root / "train/cats/00.png").rename(root / "away")
    (failed,) = check(data).failed
    assert failed.reason == "cannot be read (No such file or directory)"
    (root / "away").rename(root / "train/cats/00.png")
    assert check(data).failed == ()


def test_a_cache_that_cannot_be_written_does_not_stop_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "file"))
    assert check(load(pets(tmp_path / "pets"))).num_pictures == 32


def test_a_check_survives_json(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    copy = (root / "train/cats/03.png").read_bytes()
    result = check(load(fill(root, {"valid/cats/00.png": copy, "train/cats/1.png": b"x"})))
    assert result.identical and result.failed and result.findings
    assert Check.from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_the_fingerprint_changes_with_the_data_and_only_with_it(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets")
    first = fingerprint(load(root))
    assert fingerprint(load(root)) == first
    fill(root, {"notes.txt": b"x"})
    assert fingerprint(load(root)) == first
    seen = {first}
    fill(root, {"train/cats/00.png": png(700)})
    seen.add(fingerprint(load(root)))
    (root / "train/cats/01.png").rename(root / "train/dogs/cat.png")
    seen.add(fingerprint(load(root)))
    (root / "train/cats/02.png").unlink()
    seen.add(fingerprint(load(root)))
    assert len(seen) == 4


def test_the_number_of_workers_does_not_change_the_result(tmp_path: Path) -> None:
    data = load(pets(tmp_path / "pets"))
    one = check(data, workers=1)
    for path in (tmp_path / "cache/checks").iterdir():
        path.unlink()
    assert check(data, workers=5) == one


def test_what_a_finding_says_without_naming_pictures_is_a_whole_sentence(tmp_path: Path) -> None:
    root = pets(tmp_path / "pets", valid=4)
    same = png(5, (40, 40))
    fill(root, {"train/cats/secret-1.png": same, "valid/dogs/secret-2.png": same})
    fill(root, {"train/cats/secret-3.png": same, "train/cats/secret-4.png": b"no picture"})
    named = [finding for finding in check(load(root)).findings if finding.named]
    assert len(named) == 4
    for finding in named:
        assert "secret" in finding.named
        nameless = Note(text=finding.text, named=finding.named).nameless
        assert "secret" not in nameless
        assert re.search(r"[a-z]\.( [A-Z]|$)", nameless)
        assert not re.search(r"  | [.,;]|\(\)", nameless)
