"""Random changes to training images, drawn per image and applied to whole uint8 batches.

torchvision's transforms draw once for a whole batch, so the per-image affine map is made here;
the default level suits the data (a mirrored digit is a wrong digit).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Augmentation:
    level: str
    """`none`, `light` or `strong`."""
    flip: bool
    """Whether images may be mirrored left to right."""
    reason: str

    @property
    def views(self) -> int:
        """How many versions of each picture the cached features hold: 2 with the mirrored one."""
        return 2 if self.flip else 1


_MAX_SHIFT = {"light": 0.08, "strong": 0.12}
_MAX_ZOOM = {"light": 0.12, "strong": 0.25}
_MAX_TURN = {"light": 0.05, "strong": 0.26}  # radians


def choose_augmentation(level: str, class_names: Sequence[str], images: np.ndarray) -> Augmentation:
    """The level, and whether mirroring keeps a picture's meaning, with the reason in words.

    Args:
        level: `auto` or a level.
        class_names: names of one character or with "left"/"right" speak against mirroring.
        images: some training images, uint8 `[N, S, S, 3]`; grey ones are likely scans or signs.
    """
    if level == "none":
        return Augmentation("none", False, "no augmentation, as asked")
    chosen = "light" if level == "auto" else level
    lower = [name.strip().lower() for name in class_names]
    if all(len(name) == 1 for name in lower):
        return Augmentation(chosen, False, "not mirrored: the classes are single characters")
    if any(word in name for name in lower for word in ("left", "right")):
        return Augmentation(chosen, False, "not mirrored: the class names tell left from right")
    if (images[..., 0] == images[..., 1]).all() and (images[..., 1] == images[..., 2]).all():
        return Augmentation(
            chosen, False, "not mirrored: the pictures are grey, perhaps characters"
        )
    return Augmentation(chosen, True, "mirrored too: these look like photos")


def augment(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Shift, zoom, turn, mirror and (strong) change light, each image its own way.

    Args:
        images: uint8 `[N, 3, S, S]`.
        how: what may change.
        generator: a CPU generator; the same seed gives the same images on every device.

    Returns:
        float32 `[N, 3, S, S]`, 0–255; uint8 unchanged for level `none` without mirroring.
    """
    if how.level == "none" and not how.flip:
        return images
    matrices = _affine(len(images), how, generator).to(images.device, non_blocking=True)
    moved = functional.grid_sample(
        images.float(),
        _grid(matrices, images.shape[-1]),
        mode="bilinear",
        padding_mode="reflection",
        align_corners=False,
    )
    return _relight(moved, generator) if how.level == "strong" else moved


def mirrored(images: Tensor) -> Tensor:
    """`[N, 3, S, S]` flipped left to right."""
    return images.flip(-1)


def _affine(num_images: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """One map from output to input coordinates an image, `[N, 2, 3]`."""
    uniform = torch.rand(num_images, 5, generator=generator) * 2 - 1
    turn = uniform[:, 0] * _MAX_TURN.get(how.level, 0.0)
    zoom = 1 + uniform[:, 1] * _MAX_ZOOM.get(how.level, 0.0)
    shift = uniform[:, 2:4] * 2 * _MAX_SHIFT.get(how.level, 0.0)
    sign = torch.where(uniform[:, 4] < 0, -1.0, 1.0) if how.flip else torch.ones(num_images)
    cos, sin = torch.cos(turn) * zoom, torch.sin(turn) * zoom
    rows = [cos * sign, -sin, shift[:, 0], sin * sign, cos, shift[:, 1]]
    return torch.stack(rows, dim=1).view(num_images, 2, 3)


def _grid(matrices: Tensor, size: int) -> Tensor:
    """What `functional.affine_grid` gives without aligned corners, `[N, S, S, 2]`.

    Its matrix product takes 9 ms for 32 images at 224 px; two sums of vectors take 0.4.
    """
    centers = (torch.arange(size, device=matrices.device) * 2 + 1) / size - 1
    along_x = matrices[:, None, None, :, 0] * centers[None, None, :, None]
    along_y = matrices[:, None, None, :, 1] * centers[None, :, None, None]
    return along_x + (along_y + matrices[:, None, None, :, 2])


def _relight(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image's brightness and contrast changed by up to a fifth."""
    factors = torch.rand(len(images), 2, generator=generator).to(images.device) * 0.4 + 0.8
    gain, contrast = factors.view(-1, 2, 1, 1, 1).unbind(1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean).mul(gain).clamp(0, 255)
