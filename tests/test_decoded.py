"""The cache of decoded pictures: whole or not at all, found again, bounded, never in memory."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import encode, fill
from tiny import tiny_data
from trainer.data import Data, check, load_data, usable
from trainer.data.decoded import (
    DecodedSplit,
    Writer,
    decode_split,
    decoded_path,
    is_decoded,
    open_decoded,
)
from trainer.data.picture import decode, decode_with_size
from trainer.data.room import make_room
from trainer.errors import DatasetError
from trainer.learner import decoded
from trainer.limits import Limits
from trainer.transforms import Preprocess

VIEW = Preprocess(
    image_size=16,
    crop_pct=1.0,
    crop_mode="center",
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "decoded"


def make(data: Data) -> DecodedSplit:
    list(decode_split(data.train, VIEW))
    return open_decoded(data.train, VIEW)


def expected(data: Data) -> np.ndarray:
    return np.stack([VIEW.view(decode(picture.read())) for picture in data.train.pictures])


def test_pictures_come_back_as_the_model_sees_them() -> None:
    data = tiny_data(300, 3)
    images = make(data)
    truth = expected(data)
    assert len(images) == 300
    assert images.shape == (300, 16, 16, 3)
    assert np.array_equal(images[0:300], truth)
    assert np.array_equal(images[290:400], truth[290:])
    assert np.array_equal(images[np.array([7, 0, 7, 299])], truth[[7, 0, 7, 299]])
    assert images[np.array([], dtype=int)].shape == (0, 16, 16, 3)


def test_the_check_makes_them_in_the_same_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_data()
    check(data, view=VIEW)
    for split in (data.train, data.valid):
        assert is_decoded(split, VIEW)
    monkeypatch.setattr("trainer.data.decoded.decode", None)  # would fail if it decoded
    assert list(decode_split(data.train, VIEW)) == []
    assert np.array_equal(open_decoded(data.train, VIEW)[0:26], expected(data))


def test_damaged_pictures_leave_no_hole() -> None:
    data = tiny_data()
    bad = replace(data.train.pictures[3], read=lambda: b"no picture", stamp="bad")
    pictures = (*data.train.pictures[:3], bad, *data.train.pictures[4:])
    damaged = replace(data, train=replace(data.train, pictures=pictures))
    rest = usable(damaged, check(damaged, view=VIEW))
    assert len(rest.train) == 25
    assert is_decoded(rest.train, VIEW)
    assert np.array_equal(open_decoded(rest.train, VIEW)[0:25], np.delete(expected(data), 3, 0))


def test_another_preprocessing_or_another_picture_is_another_file() -> None:
    data = tiny_data()
    path = decoded_path(data.train, VIEW)
    assert path != decoded_path(data.train, replace(VIEW, interpolation="bilinear"))
    changed = (replace(data.train.pictures[0], stamp="new"), *data.train.pictures[1:])
    assert path != decoded_path(replace(data.train, pictures=changed), VIEW)
    assert path != decoded_path(replace(data.train, name="valid"), VIEW)


def test_a_file_of_the_wrong_length_is_made_again() -> None:
    data = tiny_data()
    truth = make(data)[0:26]
    path = decoded_path(data.train, VIEW)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match="ends before picture 25"):
        open_decoded(data.train, VIEW)[25:26]
    assert not is_decoded(data.train, VIEW)
    assert np.array_equal(make(data)[0:26], truth)


def test_a_process_killed_while_writing_leaves_nothing_that_is_believed(cache: Path) -> None:
    script = """
        import os, signal
        from tiny import tiny_data
        from test_decoded import VIEW
        from trainer.data.decoded import Writer
        with Writer("train", VIEW) as writer:
            for picture in tiny_data().train.pictures[:20]:
                writer.add(picture, VIEW.view(__import__("PIL.Image").Image.new("RGB", (16, 16))))
            writer._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=environment, check=False
    )
    assert done.returncode == -9
    (left,) = cache.iterdir()
    assert left.name.startswith(".")
    data = tiny_data()
    assert not is_decoded(data.train, VIEW)
    assert np.array_equal(make(data)[0:26], expected(data))


def test_what_a_killed_process_left_goes_after_a_day(cache: Path) -> None:
    cache.mkdir(parents=True)
    old, new = cache / ".making.1.a", cache / ".making.2.b"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    make_room()
    assert not old.exists()
    assert new.exists()


def test_a_writer_that_fails_leaves_nothing(cache: Path) -> None:
    with pytest.raises(RuntimeError), Writer("train", VIEW) as writer:
        writer.add(tiny_data().train.pictures[0], np.zeros((16, 16, 3), np.uint8))
        raise RuntimeError
    assert list(cache.iterdir()) == []


def test_a_disk_that_takes_nothing_does_not_stop_the_check(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert check(tiny_data(), view=VIEW).num_pictures == 35


def test_a_disk_that_fills_up_does_not_stop_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add", full)
    data = tiny_data()
    assert check(data, view=VIEW).num_pictures == 35
    assert not is_decoded(data.train, VIEW)


def test_the_longest_unused_files_go_first_and_open_ones_stay_readable(cache: Path) -> None:
    cache.mkdir(parents=True)
    for age, name in enumerate(("newest.u8", "middle.u8", "oldest.u8")):
        (cache / name).write_bytes(bytes(100))
        os.utime(cache / name, (1e9 - age, 1e9 - age))
    data = tiny_data(4, 3)
    images = make(data)
    size = 4 * 16 * 16 * 3
    make_room(Limits(max_cache_bytes=size + 150))
    path = decoded_path(data.train, VIEW)
    assert sorted(each.name for each in cache.iterdir()) == sorted([path.name, "newest.u8"])
    path.unlink()
    assert np.array_equal(images[0:4], expected(data))


def test_what_a_run_is_about_to_open_stays_even_beyond_the_limit() -> None:
    data = tiny_data(30, 20)
    check(data, view=VIEW)
    make_room(Limits(max_cache_bytes=1))
    assert is_decoded(data.train, VIEW)
    assert is_decoded(data.valid, VIEW)


def test_a_full_disk_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add", full)
    with pytest.raises(DatasetError, match=r"^The disk is full: the decoded train pictures need"):
        list(decoded(tiny_data().train, VIEW))


def test_using_a_file_keeps_it_longer(cache: Path) -> None:
    data = tiny_data(4, 3)
    make(data)
    path = decoded_path(data.train, VIEW)
    os.utime(path, (0, 0))
    (cache / "newer.u8").write_bytes(bytes(100))
    os.utime(cache / "newer.u8", (1e9, 1e9))
    assert is_decoded(data.train, VIEW)
    make_room(Limits(max_cache_bytes=1))
    assert [each.name for each in cache.iterdir()] == [path.name]


def test_reading_does_not_grow_the_process() -> None:
    script = """
        import numpy as np, resource, sys, tempfile
        from pathlib import Path
        from trainer.data.decoded import DecodedSplit
        count, side = 2000, 224
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pictures.u8"
            with path.open("wb") as file:
                for _ in range(count):
                    file.write(bytes(side * side * 3))
            images = DecodedSplit(path, count, side)
            images[0:32]
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for start in range(0, count, 32):
                images[start:start + 32]
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            sys.exit(grown > 30_000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], check=False, cwd=Path(__file__).parents[1]
    )
    assert done.returncode == 0


def test_a_large_jpeg_is_decoded_at_a_fraction_and_hardly_differs() -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    photo = encode(coarse.resize((1600, 1200), Image.Resampling.BICUBIC), "JPEG", quality=95)
    view = replace(VIEW, image_size=128, crop_pct=0.875)
    assert view.min_side == 2 * 146
    image, size = decode_with_size(photo, min_side=view.min_side)
    assert size == (1600, 1200)
    assert image.size == (400, 300)
    gap = np.abs(view.view(image).astype(int) - view.view(decode(photo)).astype(int))
    assert gap.mean() < 1.0


def pets(root: Path) -> Data:
    """Photos that are decoded at a half where that is allowed; one is in both splits."""
    rng = np.random.default_rng(0)
    folders = ("train/cats", "train/dogs", "valid/cats", "valid/dogs")
    photos = {
        f"{folder}/{number}.jpg": encode(
            Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)), "JPEG"
        )
        for folder in folders
        for number in range(5)
    }
    photos["valid/dogs/0.jpg"] = photos["train/dogs/3.jpg"]
    return load_data(str(fill(root, photos)))


def decode_all(data: Data) -> None:
    for split in data.splits:
        list(decode_split(split, VIEW))


@pytest.mark.parametrize("run", [decode_all, partial(check, view=VIEW)], ids=["decode", "check"])
def test_only_what_is_trained_on_is_decoded_at_a_fraction(
    tmp_path: Path, run: Callable[[Data], object]
) -> None:
    data = pets(tmp_path / "pets")
    run(data)
    for split, least, size in ((data.train, 32, (60, 45)), (data.valid, None, (120, 90))):
        pictures = [decode(picture.read(), min_side=least) for picture in split.pictures]
        assert {picture.size for picture in pictures} == {size}
        found = open_decoded(split, VIEW)[0 : len(split)]
        np.testing.assert_array_equal(found, [VIEW.view(picture) for picture in pictures])


@pytest.mark.parametrize("known", ["train", "valid", "nothing"])
def test_a_photo_in_two_splits_is_found_whatever_is_decoded_already(
    tmp_path: Path, known: str
) -> None:
    data = pets(tmp_path / "pets")
    for split in data.splits:
        if split.name == known:
            list(decode_split(split, VIEW))
    (group,) = check(data, view=VIEW).leaked
    assert [twin.name for twin in group] == ["train/dogs/3.jpg", "valid/dogs/0.jpg"]


def test_the_size_of_a_turned_photo_is_that_of_the_upright_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encode(Image.new("RGB", (1600, 1200), "teal"), "JPEG", exif=exif)
    image, size = decode_with_size(photo, min_side=100)
    assert size == (1200, 1600)
    assert image.size == (150, 200)
