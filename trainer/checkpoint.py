"""Checkpoints: a folder a generation, complete or absent, verified when it is read.

`ckpt-<step>/` holds safetensors and JSON only. It is written to a temporary sibling, each file
flushed to disk, a manifest of sizes and SHA-256 last, then renamed; two generations are kept.
The marker protocol is Orbax's: what has no manifest does not exist.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from trainer.errors import CheckpointError

KEEP = 2
_MANIFEST, _STATE = "manifest.json", "state.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    path: Path
    tensors: Mapping[str, Mapping[str, Tensor]]
    """By file: `model`, `best`, `optim`."""
    state: Mapping[str, Any]
    """Plain values: position in the run, best figures, rates, the config."""
    skipped: tuple[str, ...] = ()
    """Newer generations that were damaged, with what was wrong."""


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
        # Left by a process that died and had the same number, as in a restarted container.
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for name, values in tensors.items():
            plain = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            safetensors.torch.save_file(plain, making / f"{name}.safetensors")
        (making / _STATE).write_text(json.dumps(state))
        _write_manifest(making)
        replaced = folder / f".replaced-{final.name}"
        shutil.rmtree(replaced, ignore_errors=True)
        if final.exists():  # never without one of the two, and a rename is quick
            final.replace(replaced)
        making.replace(final)
        shutil.rmtree(replaced, ignore_errors=True)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint at step {step} could not be saved ({error}). The last one is kept."
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    for old in _generations(folder)[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def load_checkpoint(folder: Path) -> Checkpoint:
    """The newest generation that is undamaged.

    Raises:
        CheckpointError: there is none; the message says what is wrong with each.
    """
    wrong: list[str] = []
    for path in _generations(folder):
        try:
            files = [path / name for name in _verified(path)]
            tensors = {
                file.stem: safetensors.torch.load_file(file)
                for file in files
                if file.suffix == ".safetensors"
            }
            state = json.loads((path / _STATE).read_text())
            return Checkpoint(path, tensors, state, tuple(wrong))
        except (OSError, ValueError, SafetensorError) as error:
            wrong.append(f"{path.name}: {error}")
    found = "; ".join(wrong) or "there is none"
    raise CheckpointError(f"No usable checkpoint in {folder.name}: {found}. Start the run again.")


def has_checkpoint(folder: Path) -> bool:
    """Whether `load_checkpoint` would find a generation to try."""
    return bool(_generations(folder))


def _generations(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("ckpt-*"), reverse=True)


def _write_manifest(folder: Path) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        _flush(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps({"version": 1, "files": files}))
    _flush(manifest)


def _verified(folder: Path) -> list[str]:
    """The names of a generation's files, each of them undamaged.

    Raises:
        ValueError: what is wrong.
    """
    try:
        files = json.loads((folder / _MANIFEST).read_text())["files"]
        facts = {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("its manifest is missing or damaged") from error
    if _STATE not in facts:
        raise ValueError("its manifest is damaged")
    for name, (size, digest) in facts.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            raise ValueError(f"{name} is missing or cut off")
        if _sha256(path) != digest:
            raise ValueError(f"{name} is damaged")
    return sorted(facts)


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
