"""How a picture becomes the numbers that a model sees: the same for training and predicting.

The geometry is timm's own evaluation transform (resize, crop, interpolation of the model's data
config), applied once and kept as uint8; scaling to the model's mean and std happens in batches.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocess:
    """A model's data config: everything between an upright RGB picture and its input."""

    image_size: int
    crop_pct: float
    crop_mode: str
    interpolation: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def min_side(self) -> int:
        """Pixels of a picture's short side below which it must not be decoded at less than its
        full size: twice what it is resized to, so that the resizing still sees fine detail."""
        return 2 * math.floor(self.image_size / self.crop_pct)

    def view(self, image: Image.Image) -> np.ndarray:
        """The part of the picture that the model sees, uint8 `[S, S, 3]`.

        Exactly what `timm.data.create_transform(..., is_training=False)` makes before scaling.
        """
        return _evaluation_transform(self)(image).permute(1, 2, 0).contiguous().numpy()

    def normalize(self, images: Tensor) -> Tensor:
        """uint8 or 0–255 float `[N, 3, S, S]` to the model's float32 input, on the same device."""
        mean = torch.tensor(self.mean, device=images.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, 3, 1, 1)
        # In place after the first step, to the bit what timm's transform computes.
        return torch.div(images, 255).sub_(mean).div_(std)

    def normalize_array(self, images: np.ndarray) -> np.ndarray:
        """uint8 `[N, S, S, 3]` to float32 `[N, 3, S, S]`, to the bit as `normalize`, in NumPy.

        For ONNX Runtime: PyTorch's waiting threads would slow down its own.
        """
        shape = (1, 3, 1, 1)
        values = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
        values /= np.float32(255)
        values -= np.array(self.mean, dtype=np.float32).reshape(shape)
        values /= np.array(self.std, dtype=np.float32).reshape(shape)
        return values

    def to_timm(self) -> dict[str, Any]:
        """The `data_config` that timm writes beside exported weights."""
        values = asdict(self)
        size = values.pop("image_size")
        return {"input_size": (3, size, size), **values}


@lru_cache(maxsize=16)
def _evaluation_transform(preprocess: Preprocess) -> Callable[[Image.Image], Tensor]:
    """timm's transform up to the uint8 tensor `[3, S, S]`."""
    # `use_prefetcher` leaves out the scaling; the mean colours the borders of crop mode `border`.
    values = preprocess.to_timm()
    transform = create_transform(is_training=False, use_prefetcher=True, **values)
    return cast(Callable[[Image.Image], Tensor], transform)


def preprocess_for(pretrained_cfg: Mapping[str, Any], image_size: int | None = None) -> Preprocess:
    """A model's own preprocessing, optionally at another image size."""
    args = {"input_size": (3, image_size, image_size)} if image_size else {}
    config = resolve_data_config(args, pretrained_cfg=dict(pretrained_cfg))
    return Preprocess(
        image_size=int(config["input_size"][-1]),
        crop_pct=float(config["crop_pct"]),
        crop_mode=str(config["crop_mode"]),
        interpolation=str(config["interpolation"]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def to_batch(images: np.ndarray) -> Tensor:
    """uint8 `[N, S, S, 3]` as a tensor `[N, 3, S, S]` that is channels-last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
