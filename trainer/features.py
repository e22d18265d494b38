"""The frozen body's outputs for every picture: computed once, kept on disk, read by each head step.

fast.ai 0.7 called it `precompute=True`. The training pictures go through in the fastest
arithmetic; the validation pictures in float32, so that what is measured on them holds for the
exported model wherever it is loaded.
"""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.augment import Augmentation, augment, mirrored
from trainer.batches import seed_for
from trainer.config import Config
from trainer.data.cache import cache_root, temporary_sibling
from trainer.data.room import make_room
from trainer.events import Progress
from trainer.infer import Images, run_through
from trainer.model import TimmModel, body_features, body_parameters
from trainer.runtime import Runtime, runtime_from
from trainer.transforms import Preprocess

FEW = 500
"""Training pictures up to which a mirrored view is added where nobody chose: at the rates that a
sweep suggests for so few, the head learns them by heart (docs/LOG.md)."""

VERSION = 2
"""Raised when what is stored changes its meaning."""

_MADE = "made"


@dataclass(frozen=True, slots=True)
class Made:
    """How a run's features were made: in the same way they are made again bit for bit."""

    body: str
    """`body_digest` of the body that made them."""
    train: Runtime
    valid: Runtime

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint, without the device."""
        return {"body": self.body, "train": self.train.to_dict(), "valid": self.valid.to_dict()}


def made_from(values: dict[str, Any], device: torch.device) -> Made:
    """What `to_dict` wrote, on this device."""
    train, valid = (runtime_from(values[name], device) for name in ("train", "valid"))
    return Made(values["body"], train, valid)


@dataclass(frozen=True, slots=True)
class Features:
    train: Tensor
    """float32 `[views, N, F]`; view 0 is the picture."""
    valid: Tensor
    """float32 `[N, F]`, computed in float32."""

    def pick(self, indices: np.ndarray, rng: torch.Generator) -> Tensor:
        """Training features `[B, F]`, each of one of the picture's views, drawn by `rng`."""
        views = torch.randint(len(self.train), (len(indices),), generator=rng)
        device = self.train.device
        return self.train[views.to(device), torch.from_numpy(indices).to(device)]


def cached_features(
    model: TimmModel,
    images: Images,
    preprocess: Preprocess,
    runtime: Runtime,
    views: Sequence["PictureView"],
    *,
    path: Path,
    text: str,
    exactly: bool = False,
) -> Generator[Progress, None, tuple[Tensor, Runtime]]:
    """The body's features of `images`, from the cache where they are there.

    Their last bits depend on layout, batches and threads. A run that begins takes what is there,
    because what a busy machine found fastest may be something else each time.

    Args:
        model: its body is what counts; evaluation mode is set.
        images: uint8 `[N, S, S, 3]`.
        preprocess: scales them.
        runtime: device and arithmetic.
        views: versions of each picture.
        path: `features_path` of the same.
        text: of the Progress events.
        exactly: take only such as were made in this very arithmetic.

    Returns:
        float32 `[views, N, F]` on the runtime's device, and the runtime that made them.
    """
    known = _read(path, runtime.device)
    if known is not None and known[0].shape[:2] == (len(views), len(images)):
        features, made = known
        if not exactly or made.rounding == runtime.rounding:
            return features.to(runtime.device), made
    model.eval()
    runtime.apply(model)
    parts = []
    for view in views:
        parts.append(
            (
                yield from run_through(
                    lambda inputs: body_features(model, inputs),
                    images,
                    preprocess,
                    runtime,
                    text=text if len(views) == 1 else f"{text} ({view.name})",
                    view=view.change,
                )
            )
        )
    features = torch.stack(parts)
    _write(path, features, runtime)
    return features, runtime


def features_path(
    body: str,
    pictures_key: str,
    preprocess: Preprocess,
    runtime: Runtime,
    views: Sequence["PictureView"],
) -> Path:
    """Where such features are kept.

    Args:
        body: `body_digest` of the model.
        pictures_key: names the pictures and how they were decoded.
        preprocess, runtime, views: as for `cached_features`; float32 and bf16 are kept apart,
            and devices, processors and versions, of which one cannot make the other's again.
    """
    names = "|".join(view.name for view in views)
    where = f"{runtime.device.type}|{torch.__version__}|{torch.backends.cpu.get_cpu_capability()}"
    rule = f"{VERSION}|{pictures_key}|{preprocess!r}|{runtime.precision}|{where}|{names}"
    key = hashlib.sha256(f"{rule}|{body}".encode()).hexdigest()[:32]
    return cache_root() / "features" / f"{key}.safetensors"


@dataclass(frozen=True, slots=True)
class PictureView:
    """A version of every picture, for the features."""

    name: str
    """As people read it; it must tell one change from another."""
    change: Callable[[Tensor], Tensor] | None


def num_views(config: Config, how: Augmentation, num_train: int) -> int:
    """The config's number of views, or what suits so many pictures."""
    return config.views or (2 if how.flip and num_train <= FEW else 1)


def picture_views(count: int, how: Augmentation, seed: int) -> tuple[PictureView, ...]:
    """The picture itself; mirrored, where that keeps its meaning; then augmented ones."""
    views = [PictureView("as it is", None)]
    if how.flip:
        views.append(PictureView("mirrored", mirrored))
    for number in range(len(views), count):
        rng = torch.Generator().manual_seed(seed_for(seed, "view", number))
        name = f"augmented {number}, {how.level}{', mirrored' if how.flip else ''}, seed {seed}"
        views.append(PictureView(name, lambda batch, rng=rng: augment(batch, how, rng)))
    return tuple(views[:count])


def body_digest(model: TimmModel) -> str:
    """A hash of every weight and buffer but the head's."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in body_parameters(model):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, device: torch.device) -> tuple[Tensor, Runtime] | None:
    """Features that were kept and what made them; none where they are not there, or damaged."""
    try:
        os.utime(path)  # used again: the last ones to be cleared away
        with safe_open(path, "pt") as file:
            made = runtime_from(json.loads(file.metadata()[_MADE]), device)
            return file.get_tensor("features"), made
    except (OSError, KeyError, TypeError, ValueError, SafetensorError):
        return None


def _write(path: Path, features: Tensor, made: Runtime) -> None:
    """Keep features; where the disk is full the next run computes them again."""
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        making = temporary_sibling(path)
        try:
            metadata = {_MADE: json.dumps(made.to_dict())}
            save_file({"features": features.cpu().contiguous()}, making, metadata)
            making.replace(path)
        finally:
            making.unlink(missing_ok=True)
        make_room()
