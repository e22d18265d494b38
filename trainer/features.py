"""The frozen body's outputs for every picture: computed once, kept on disk, read by each head step.

fast.ai 0.7 called it `precompute=True`. The training pictures go through in the fastest
arithmetic; the validation pictures in float32, so that what is measured on them holds for the
exported model wherever it is loaded.
"""

import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.augment import Augmentation, augment, mirrored
from trainer.batches import seed_for
from trainer.config import Config
from trainer.data.cache import cache_root, temporary_sibling
from trainer.data.room import make_room
from trainer.events import Progress
from trainer.infer import Images, run_through
from trainer.model import TimmModel, body_features, body_parameters
from trainer.runtime import Runtime
from trainer.transforms import Preprocess

FEW = 500
"""Training pictures up to which a mirrored view is added where nobody chose: at the rates that a
sweep suggests for so few, the head learns them by heart (docs/LOG.md)."""

VERSION = 1
"""Raised when what is stored changes its meaning."""


@dataclass(frozen=True, slots=True)
class Features:
    train: Tensor
    """float32 `[views, N, F]`; view 0 is the picture."""
    valid: Tensor
    """float32 `[N, F]`, computed in float32."""
    body: str
    """`body_digest` of the body that made them."""

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
) -> Generator[Progress, None, Tensor]:
    """The body's features of `images`, from the cache where they are there.

    Args:
        model: its body is what counts; evaluation mode is set.
        images: uint8 `[N, S, S, 3]`.
        preprocess: scales them.
        runtime: device and arithmetic.
        views: versions of each picture.
        path: `features_path` of the same.
        text: of the Progress events.

    Returns:
        float32 `[views, N, F]` on the runtime's device.
    """
    known = _read(path)
    if known is not None and known.shape[:2] == (len(views), len(images)):
        return known.to(runtime.device)
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
    _write(path, features)
    return features


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
        preprocess, runtime, views: as for `cached_features`; float32 and bf16 are kept apart.
    """
    names = "|".join(view.name for view in views)
    rule = f"{VERSION}|{pictures_key}|{preprocess!r}|{runtime.precision}|{names}"
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


def _read(path: Path) -> Tensor | None:
    """Features that were kept; none where they are not there, or damaged."""
    try:
        os.utime(path)  # used again: the last ones to be cleared away
        return load_file(path)["features"]
    except (OSError, KeyError, SafetensorError):
        return None


def _write(path: Path, features: Tensor) -> None:
    """Keep features; where the disk is full the next run computes them again."""
    with suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        making = temporary_sibling(path)
        try:
            save_file({"features": features.cpu().contiguous()}, making)
            making.replace(path)
        finally:
            making.unlink(missing_ok=True)
        make_room()
