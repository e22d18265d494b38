"""Room in the cache: what goes, what stays, and what is refused before it fills the disk."""

import os
import time
import zipfile
from pathlib import Path

import pytest

from pictures import png
from trainer.data import load_data, room
from trainer.data.room import ensure_room, make_room
from trainer.errors import DiskFullError
from trainer.limits import Limits

PLACES = ["zips/a", "hub/ada--pets/c0ffee", "hub-models/ada--net/c0ffee"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    room._size.cache_clear()
    return tmp_path / "cache"


def entry(path: Path, *, age: float, num_bytes: int = 100_000) -> Path:
    """A folder with a file below it, last used so many seconds ago."""
    (path / "pictures").mkdir(parents=True)
    (path / "pictures" / "1.jpg").write_bytes(bytes(num_bytes))
    used = time.time() - age
    os.utime(path, (used, used))
    return path


@pytest.mark.parametrize("place", PLACES)
def test_the_longest_unused_folder_goes_whole(cache: Path, place: str) -> None:
    old = entry(cache / place, age=9_000)
    newer = entry((cache / place).with_name("newer"), age=8_000)
    make_room(Limits(max_cache_bytes=150_000))
    assert not old.exists()
    assert (newer / "pictures" / "1.jpg").exists()
    assert list(newer.parent.iterdir()) == [newer]


@pytest.mark.parametrize("place", PLACES)
def test_what_was_used_within_the_hour_stays(cache: Path, place: str) -> None:
    used = entry(cache / place, age=3_000)
    make_room(Limits(max_cache_bytes=1))
    assert used.exists()


def test_many_small_files_count_as_what_they_take(cache: Path) -> None:
    old = entry(cache / "zips/small", age=9_000, num_bytes=1)
    for number in range(100):
        (old / "pictures" / f"{number}.png").write_bytes(b"1")
    os.utime(old, (1e9, 1e9))
    make_room(Limits(max_cache_bytes=200_000))
    assert not old.exists()


def test_a_zip_that_went_is_unpacked_again_and_use_keeps_it(cache: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name in ("cats", "dogs"):
            for number in range(4):
                archive.writestr(f"{name}/{number}.png", png(number))
    first = load_data(str(tmp_path / "pets.zip"))
    (home,) = (cache / "zips").iterdir()
    os.utime(home, (1e9, 1e9))
    again = load_data(str(tmp_path / "pets.zip"))
    make_room(Limits(max_cache_bytes=1))
    assert home.exists()
    os.utime(home, (1e9, 1e9))
    make_room(Limits(max_cache_bytes=1))
    assert not home.exists()
    third = load_data(str(tmp_path / "pets.zip"))
    assert first.train.pictures == again.train.pictures == third.train.pictures
    assert third.train.pictures[0].read() == png(0) or home.exists()


def test_what_does_not_fit_is_refused_before_it_comes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 1_000_000_000)
    ensure_room(400_000_000, "the zip")
    ensure_room(0, "what is here already")
    with pytest.raises(DiskFullError, match=r"for the zip: it takes 600 MB, 1,000 MB are free"):
        ensure_room(600_000_000, "the zip")


def test_what_is_unused_makes_room_for_what_comes(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = entry(cache / "zips/old", age=9_000)
    free = {True: 700_000_000, False: 3_000_000_000}
    monkeypatch.setattr(room, "free_bytes", lambda _: free[old.exists()])
    ensure_room(400_000_000, "the zip")
    assert not old.exists()


@pytest.mark.parametrize("on_space", [True, False])
def test_the_hubs_own_cache_is_ours_on_a_space_alone(
    on_space: bool, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "huggingface"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    monkeypatch.setenv("SPACE_ID", "ada/lab") if on_space else monkeypatch.delenv(
        "SPACE_ID", raising=False
    )
    repo, sha = hub / "models--timm--resnet18", "0" * 40
    for folder in ("blobs", "refs", f"snapshots/{sha}"):
        (repo / folder).mkdir(parents=True)
    (repo / "refs" / "main").write_text(sha)
    (repo / "blobs" / "1").write_bytes(bytes(100_000))
    (repo / "snapshots" / sha / "model.safetensors").symlink_to("../../blobs/1")
    for path in [repo, *repo.rglob("*")]:
        os.utime(path, (1e9, 1e9), follow_symlinks=False)
    cache.mkdir()
    make_room(Limits(max_cache_bytes=1))
    assert repo.exists() is not on_space
