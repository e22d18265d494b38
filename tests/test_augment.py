"""Augmentation: each image its own way, the same again from the same seed, and when to mirror."""

import numpy as np
import pytest
import torch
from torch import Tensor

from trainer import augment as augmenting
from trainer.augment import Augmentation, augment, choose_augmentation, mirrored

PHOTOS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
GREY = np.repeat(PHOTOS[..., :1], 3, axis=3)
LIGHT, STRONG = Augmentation("light", True, ""), Augmentation("strong", True, "")
STILL = Augmentation("light", False, "")


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _same_photo(count: int) -> Tensor:
    """The same smooth picture `count` times, uint8 `[N, 3, 32, 32]`; left is dark, right light."""
    column = torch.linspace(20, 235, 32).expand(3, 32, 32)
    return column.to(torch.uint8).expand(count, 3, 32, 32).clone()


@pytest.mark.parametrize("how", [LIGHT, STRONG, STILL], ids=lambda how: f"{how.level}-{how.flip}")
def test_every_image_of_a_batch_is_changed_in_its_own_way(how: Augmentation) -> None:
    changed = augment(_same_photo(8), how, _seeded(0))
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 8


@pytest.mark.parametrize("how", [LIGHT, STRONG, STILL], ids=lambda how: f"{how.level}-{how.flip}")
def test_the_same_seed_gives_the_same_images(how: Augmentation) -> None:
    batch = _same_photo(4)
    once = augment(batch, how, _seeded(3))
    assert torch.equal(once, augment(batch, how, _seeded(3)))
    assert not torch.equal(once, augment(batch, how, _seeded(4)))
    assert torch.equal(batch, _same_photo(4))  # the batch itself stays


@pytest.mark.parametrize("how", [LIGHT, STRONG], ids=lambda how: how.level)
def test_changed_images_keep_shape_and_range(how: Augmentation) -> None:
    changed = augment(torch.from_numpy(PHOTOS).permute(0, 3, 1, 2), how, _seeded(0))
    assert changed.shape == (4, 3, 16, 16)
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 255


def test_level_none_gives_the_very_same_images() -> None:
    batch = _same_photo(2)
    assert augment(batch, Augmentation("none", False, ""), _seeded(0)) is batch


def test_mirroring_alone_either_keeps_an_image_or_mirrors_it() -> None:
    batch = _same_photo(32)
    changed = augment(batch, Augmentation("none", True, ""), _seeded(0))
    kept = [torch.allclose(image, batch[0].float(), atol=1e-2) for image in changed]
    turned = [torch.allclose(image, batch[0].float().flip(-1), atol=1e-2) for image in changed]
    assert all(a != b for a, b in zip(kept, turned, strict=True))
    assert 8 <= sum(turned) <= 24


def test_without_mirroring_left_stays_left() -> None:
    for how in (STILL, Augmentation("strong", False, "")):
        changed = augment(_same_photo(64), how, _seeded(0))
        assert (changed[..., :8].mean((1, 2, 3)) < changed[..., -8:].mean((1, 2, 3))).all()


def test_light_moves_a_little_and_never_changes_the_light() -> None:
    flat = torch.full((8, 3, 16, 16), 100, dtype=torch.uint8)
    assert torch.allclose(augment(flat, LIGHT, _seeded(0)), flat.float(), atol=1e-3)
    means = augment(flat, STRONG, _seeded(0)).mean((1, 2, 3))
    assert means.min() >= 79.9
    assert means.max() <= 120.1
    assert means.std() > 3


def test_an_image_is_changed_the_same_way_in_a_batch_in_any_memory_layout() -> None:
    batch = torch.from_numpy(PHOTOS).permute(0, 3, 1, 2)
    assert torch.allclose(
        augment(batch, LIGHT, _seeded(1)), augment(batch.contiguous(), LIGHT, _seeded(1)), atol=1e-3
    )


def test_mirrored_swaps_left_and_right() -> None:
    image = torch.arange(12).view(1, 3, 2, 2)
    assert mirrored(image)[0, 0].tolist() == [[1, 0], [3, 2]]


@pytest.mark.parametrize(
    ("class_names", "images", "flip", "why"),
    [
        (("cats", "dogs"), PHOTOS, True, "photos"),
        (tuple("0123456789"), PHOTOS, False, "single characters"),
        (("a", "b "), PHOTOS, False, "single characters"),
        (("turn LEFT", "straight on"), PHOTOS, False, "left from right"),
        (("Right hand", "foot"), PHOTOS, False, "left from right"),
        (("stop", "go"), GREY, False, "grey"),
    ],
)
def test_mirroring_is_chosen_by_what_the_pictures_are(
    class_names: tuple[str, ...], images: np.ndarray, flip: bool, why: str
) -> None:
    how = choose_augmentation("auto", class_names, images)
    assert (how.level, how.flip) == ("light", flip)
    assert why in how.reason
    assert how.views == (2 if flip else 1)


@pytest.mark.parametrize("level", ["light", "strong"])
def test_a_level_that_was_asked_for_is_taken(level: str) -> None:
    assert choose_augmentation(level, ("cats", "dogs"), PHOTOS).level == level


def test_none_means_that_nothing_is_mirrored_either() -> None:
    how = choose_augmentation("none", ("cats", "dogs"), PHOTOS)
    assert (how.level, how.flip, how.views) == ("none", False, 1)


@pytest.mark.parametrize("size", [1, 7, 32])
def test_the_grid_is_the_one_of_pytorch(size: int) -> None:
    matrices = torch.randn(5, 2, 3, generator=_seeded(1))
    expected = torch.nn.functional.affine_grid(matrices, [5, 3, size, size], align_corners=False)
    torch.testing.assert_close(augmenting._grid(matrices, size), expected, atol=1e-6, rtol=0)
