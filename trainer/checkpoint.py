"""Checkpoints: a folder a generation, complete or absent, verified when it is read.

`ckpt-<step>/` holds safetensors and JSON only. It is written to a temporary sibling, each file
flushed to disk, a manifest of sizes and SHA-256 last, then renamed; two generations are kept.
The marker protocol is Orbax's: what has no manifest does not exist. The manifest also holds its
own digest, the step, a digest of the config, and the versions that wrote it.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from trainer.errors import CheckpointError

KEEP = 2
FORMAT = 2
"""Of the manifest; a generation of another format is not read."""
_MANIFEST, _STATE, _REPLACED = "manifest.json", "state.json", ".replaced-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    path: Path
    tensors: Mapping[str, Mapping[str, Tensor]]
    """By file: `model`, `best`, `optim`."""
    state: Mapping[str, Any]
    """Plain values: position in the run, best figures, rates, the config."""
    skipped: tuple[str, ...] = ()
    """Newer generations that were damaged, with what was wrong."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """What wrote it: `versions()` of that process."""


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> Path:
    """Write one generation and drop those older than the last two.

    Raises:
        CheckpointError: it could not be written; the older generations are untouched.
    """
    final = folder / f"ckpt-{step:08d}"
    making = folder / f".making-{final.name}-{os.getpid()}"
    try:
        _clear_leftovers(folder)
        making.mkdir(parents=True)
        for name, values in tensors.items():
            plain = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            safetensors.torch.save_file(plain, making / f"{name}.safetensors")
        (making / _STATE).write_text(json.dumps(state))
        _write_manifest(making, step, state)
        _put_in_place(making, final)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint at step {step} could not be saved ({error}). The last one is kept."
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    generations = _generations(folder)
    at = generations.index(final)
    # What is of a later step is damaged, or the run would have gone on from there.
    for old in generations[:at] + generations[at + KEEP :]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _put_in_place(making: Path, final: Path) -> None:
    """Rename a complete generation; an older one of the same step counts until it is replaced."""
    replaced = final.with_name(f"{_REPLACED}{final.name}")
    if final.exists():
        final.replace(replaced)
    try:
        making.replace(final)
    except OSError:
        if replaced.exists():
            replaced.replace(final)
        raise
    _flush(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _clear_leftovers(folder: Path) -> None:
    """What a process that died while it saved has left; the run folder's lock keeps others out."""
    for path in folder.glob(".making-ckpt-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f"{_REPLACED}ckpt-*"):
        final = folder / path.name.removeprefix(_REPLACED)
        if final.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:  # it died between the two renames
            path.replace(final)


def load_checkpoint(folder: Path) -> Checkpoint:
    """The newest generation that is undamaged.

    Raises:
        CheckpointError: there is none; the message says what is wrong with each.
    """
    wrong: list[str] = []
    for path in _generations(folder):
        try:
            manifest = _verified(path)
            files = [path / name for name in sorted(manifest["files"])]
            tensors = {
                file.stem: safetensors.torch.load_file(file)
                for file in files
                if file.suffix == ".safetensors"
            }
            state = json.loads((path / _STATE).read_text())
            if _digest(state.get("config")) != manifest["config"]:
                raise ValueError("its settings are not those of its manifest")
            return Checkpoint(path, tensors, state, tuple(wrong), manifest["versions"])
        except (OSError, ValueError, SafetensorError) as error:
            wrong.append(f"{path.name}: {error}")
    found = "; ".join(wrong) or "there is none"
    raise CheckpointError(f"No usable checkpoint in {folder.name}: {found}. Start the run again.")


def has_checkpoint(folder: Path) -> bool:
    """Whether `load_checkpoint` would find a generation to try."""
    return bool(_generations(folder))


def versions() -> dict[str, str]:
    """What a run's numbers depend on besides its settings: bit for bit the same only with these."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def _generations(folder: Path) -> list[Path]:
    """Newest first; one that was about to be replaced comes after its successor."""
    found = [*folder.glob("ckpt-*"), *folder.glob(f"{_REPLACED}ckpt-*")]
    return sorted(found, key=lambda p: (p.name.removeprefix(_REPLACED), p.name), reverse=True)


def _write_manifest(folder: Path, step: int, state: Mapping[str, Any]) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        _flush(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    body = {
        "version": FORMAT,
        "step": step,
        "config": _digest(state.get("config")),
        "versions": versions(),
        "files": files,
    }
    manifest = folder / _MANIFEST
    manifest.write_text(_sealed(body))
    _flush(manifest)
    _flush(folder)


def _sealed(body: Mapping[str, Any]) -> str:
    """The manifest's text: the body and its digest."""
    return json.dumps({**body, "sha256": _digest(body)})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _verified(folder: Path) -> dict[str, Any]:
    """The manifest of a generation whose files are all undamaged.

    Raises:
        ValueError: what is wrong.
    """
    manifest = _manifest(folder)
    for name, facts in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != facts["bytes"]:
            raise ValueError(f"{name} is missing or cut off")
        if _sha256(path) != facts["sha256"]:
            raise ValueError(f"{name} is damaged")
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest, with its own digest as it must be.

    Raises:
        ValueError: it is missing, damaged, of another format, or of another step.
    """
    try:
        text = (folder / _MANIFEST).read_text()
        body = json.loads(text)
        body.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its manifest is missing or damaged") from error
    if text != _sealed(body):
        raise ValueError("its manifest is damaged")
    if body.get("version") != FORMAT:
        raise ValueError("its manifest is of another version of this program")
    if folder.name.removeprefix(_REPLACED) != f"ckpt-{body['step']:08d}":
        raise ValueError("its manifest is of another step")
    return body


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    """Make a file, or a folder's list of files, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(PermissionError):  # folders cannot be flushed on Windows
            os.fsync(handle)
    finally:
        os.close(handle)
