"""The temporary files: what is swept, and what stays."""

import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from ui.temp import keep_swept, new_folder, sweep, sweep_folders, temp_root

HOUR = 3600.0


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_old_files_go_with_their_folders_and_young_ones_stay(tmp_path: Path) -> None:
    picture = put(tmp_path / "abc123" / "cat.png", 100)
    assert sweep(tmp_path, max_seconds=HOUR) == 0
    assert picture.exists()
    assert sweep(tmp_path, max_seconds=HOUR, now=time.time() + HOUR + 1) == 100
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.is_dir()


def test_an_upload_that_was_broken_off_goes_after_a_minute(tmp_path: Path) -> None:
    partial_upload = put(tmp_path / "tmpk3j4")
    whole = put(tmp_path / "abc123" / "cat.png")
    sweep(tmp_path, max_seconds=HOUR, now=time.time() + 30)
    assert partial_upload.exists()
    sweep(tmp_path, max_seconds=HOUR, now=time.time() + 61)
    assert not partial_upload.exists()
    assert whole.exists()


def test_a_link_is_removed_and_never_followed(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "kept.txt")
    root = tmp_path / "temp"
    root.mkdir()
    (root / "folder").symlink_to(outside.parent)
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file").symlink_to(outside)
    sweep(root, max_seconds=HOUR, now=time.time() + 2 * HOUR)
    assert outside.exists()
    assert not (root / "a").exists()


def test_old_archives_go_as_whole_folders(tmp_path: Path) -> None:
    old = put(tmp_path / "old" / "pets.zip").parent
    young = put(tmp_path / "young" / "pets.zip").parent
    os.utime(old, (0, 0))
    sweep_folders(tmp_path, max_seconds=HOUR, needed=lambda: {old})
    assert old.exists()  # a run works on it
    sweep_folders(tmp_path, max_seconds=HOUR)
    sweep_folders(tmp_path / "missing", max_seconds=HOUR)
    assert [old.exists(), young.exists()] == [False, True]


def test_what_is_made_for_a_download_lies_where_it_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "temp"))
    put(new_folder() / "model.zip", 50)
    assert sweep(temp_root(), max_seconds=HOUR, now=time.time() + 2 * HOUR) == 50


def test_the_sweeper_works_by_itself_and_ends(tmp_path: Path) -> None:
    picture = put(tmp_path / "abc" / "cat.png")
    closing = threading.Event()
    later = time.time() + 2 * HOUR
    thread = keep_swept([partial(sweep, tmp_path, max_seconds=HOUR, now=later)], closing=closing)
    deadline = time.monotonic() + 10
    while picture.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    closing.set()
    thread.join(10)
    assert not thread.is_alive()
    assert not picture.exists()
