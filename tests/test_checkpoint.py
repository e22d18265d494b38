"""Checkpoints: whole or absent, two kept, and damage leads to the one before."""

import os
import resource
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from trainer.checkpoint import KEEP, has_checkpoint, load_checkpoint, save_checkpoint
from trainer.errors import CheckpointError, UserError


def _tensors(value: float, size: int = 10) -> dict[str, dict[str, Tensor]]:
    weights = torch.full((4, 3, 2, 2), value).to(memory_format=torch.channels_last)
    return {"model": {"w": weights, "n": torch.tensor(7)}, "best": {"w": torch.zeros(size)}}


def _save(folder: Path, step: int) -> Path:
    return save_checkpoint(
        folder, step, _tensors(float(step)), {"step": step, "losses": [0.1, 1e-9]}
    )


def _two(folder: Path) -> tuple[Path, Path]:
    """An older and a newer generation."""
    return _save(folder, 10), _save(folder, 20)


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    _save(tmp_path, 3)
    found = load_checkpoint(tmp_path)
    assert found.path.name == "ckpt-00000003"
    assert found.state == {"step": 3, "losses": [0.1, 1e-9]}
    assert found.skipped == ()
    assert found.tensors.keys() == {"model", "best"}
    for name, values in _tensors(3.0).items():
        assert found.tensors[name].keys() == values.keys()
        for key, value in values.items():
            assert torch.equal(found.tensors[name][key], value)
            assert found.tensors[name][key].dtype == value.dtype


def test_the_newest_one_is_loaded_and_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 100, 1000):
        _save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt-00000100", "ckpt-00001000"]
    assert KEEP == 2
    assert load_checkpoint(tmp_path).state["step"] == 1000


def test_the_same_step_again_replaces_its_generation(tmp_path: Path) -> None:
    _save(tmp_path, 5)
    save_checkpoint(tmp_path, 5, _tensors(8.0), {"step": 5, "again": True})
    found = load_checkpoint(tmp_path)
    assert found.state == {"step": 5, "again": True}
    assert float(found.tensors["model"]["w"].mean()) == 8.0
    assert len(list(tmp_path.iterdir())) == 1


def test_only_safetensors_and_json_are_written(tmp_path: Path) -> None:
    names = {path.name for path in _save(tmp_path, 1).iterdir()}
    assert names == {"model.safetensors", "best.safetensors", "state.json", "manifest.json"}


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: Path) -> None:
    """One bit of the last byte: sizes stay, and a safetensors file still opens."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = {
    "cut off": _cut,
    "one bit flipped": _flip,
    "empty": _empty,
    "gone": Path.unlink,
}
MANIFESTS = {
    "null": "null",
    "a list": "[]",
    "no files": '{"version": 1}',
    "files are null": '{"files": null}',
    "files are a list": '{"files": ["state.json"]}',
    "no facts": '{"files": {"state.json": {}}}',
    "facts are a number": '{"files": {"state.json": 3}}',
    "names nothing": '{"files": {}}',
    "not text": "\x00\x01",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize(
    "file", ["model.safetensors", "best.safetensors", "state.json", "manifest.json"]
)
def test_a_damaged_one_is_passed_over_with_a_note(tmp_path: Path, file: str, how: str) -> None:
    _, newer = _two(tmp_path)
    DAMAGE[how](newer / file)
    found = load_checkpoint(tmp_path)
    assert found.state["step"] == 10
    assert len(found.skipped) == 1
    assert found.skipped[0].startswith("ckpt-00000020: ")
    assert file.partition(".")[0] in found.skipped[0]


def test_after_a_damaged_one_two_good_ones_are_kept_again(tmp_path: Path) -> None:
    _, newer = _two(tmp_path)
    (newer / "state.json").write_text("{}")
    found = load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, 15, found.tensors, {**found.state, "step": 15})
    (tmp_path / "ckpt-00000015" / "state.json").write_text("{}")
    assert load_checkpoint(tmp_path).state["step"] == 10


@pytest.mark.parametrize("text", MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_is_not_one_is_passed_over(tmp_path: Path, text: str) -> None:
    _, newer = _two(tmp_path)
    (newer / "manifest.json").write_text(text)
    found = load_checkpoint(tmp_path)
    assert found.state["step"] == 10
    assert "manifest" in found.skipped[0]


def test_when_all_are_damaged_the_message_says_what_is_wrong_with_each(tmp_path: Path) -> None:
    older, newer = _two(tmp_path)
    (older / "manifest.json").unlink()
    _cut(newer / "model.safetensors")
    with pytest.raises(CheckpointError, match="Start the run again") as error:
        load_checkpoint(tmp_path)
    assert "ckpt-00000010: its manifest is missing" in str(error.value)
    assert "ckpt-00000020: model.safetensors is missing or cut off" in str(error.value)
    assert isinstance(error.value, UserError)


def test_a_folder_without_checkpoints_says_so(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path)
    assert not has_checkpoint(tmp_path / "none")
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="there is none"):
            load_checkpoint(folder)
    _save(tmp_path, 1)
    assert has_checkpoint(tmp_path)


def test_what_was_half_written_when_the_power_went_is_not_trusted(tmp_path: Path) -> None:
    older, newer = _two(tmp_path)
    making = tmp_path / ".making-ckpt-00000030-1"
    shutil.copytree(newer, making)  # complete but not renamed
    unfinished = tmp_path / "ckpt-00000040"
    shutil.copytree(newer, unfinished)
    (unfinished / "manifest.json").unlink()  # the manifest comes last
    found = load_checkpoint(tmp_path)
    assert found.path == newer
    assert found.skipped == ("ckpt-00000040: its manifest is missing or damaged",)
    assert older.exists()


def test_a_file_that_the_manifest_does_not_name_is_not_read(tmp_path: Path) -> None:
    _, newer = _two(tmp_path)
    shutil.copy(newer / "best.safetensors", newer / "optim.safetensors")
    assert "optim" not in load_checkpoint(tmp_path).tensors


def test_leftovers_of_an_earlier_process_with_the_same_number_do_not_matter(
    tmp_path: Path,
) -> None:
    # In a container the app has the same process number after every start.
    making = tmp_path / f".making-ckpt-00000003-{os.getpid()}"
    making.mkdir()
    (making / "model.safetensors").write_bytes(b"half")
    (making / "junk").write_bytes(b"half")
    _save(tmp_path, 3)
    assert load_checkpoint(tmp_path).state["step"] == 3
    assert not (load_checkpoint(tmp_path).path / "junk").exists()
    assert not making.exists()


def test_a_disk_that_fails_leaves_the_old_ones(tmp_path: Path) -> None:
    _two(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = {"model": {"w": torch.zeros(1_000_000)}}
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, old[1]))
    try:
        with pytest.raises(CheckpointError, match="step 30 could not be saved"):
            save_checkpoint(tmp_path, 30, large, {"step": 30})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert sorted(tmp_path.rglob("*")) == before
    assert load_checkpoint(tmp_path).state["step"] == 20


def test_a_folder_that_cannot_be_made_is_a_checkpoint_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be saved"):
        _save(tmp_path / "file" / "run", 1)
