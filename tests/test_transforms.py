"""What the model sees is exactly what timm's own evaluation transform makes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform

from trainer.transforms import Preprocess, preprocess_for, to_batch

MODELS = (
    "tf_efficientnet_lite0",  # bicubic, crop 0.875
    "resnet18.a1_in1k",  # crop 0.95
    "mobilenetv4_conv_small.e2400_r224_in1k",
    "convnext_nano.in12k_ft_in1k",
    "test_resnet.r160_in1k",
    "inception_v3.tv_in1k",  # 299 pixels
    "xception41.tf_in1k",  # mean and std 0.5
)
SIZES = ((500, 375), (375, 500), (8, 8), (1, 40), (224, 224), (223, 257), (3, 2))


def _picture(size: tuple[int, int]) -> Image.Image:
    width, height = size
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def _cfg(model_name: str) -> dict[str, Any]:
    cfg = timm.get_pretrained_cfg(model_name)
    assert cfg is not None
    return cfg.to_dict()


def _ours(preprocess: Preprocess, image: Image.Image) -> torch.Tensor:
    return preprocess.normalize(to_batch(preprocess.view(image)[None]))[0]


def _check(preprocess: Preprocess, image: Image.Image) -> None:
    transform: Any = create_transform(is_training=False, **preprocess.to_timm())
    ours = _ours(preprocess, image)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, transform(image))


@pytest.mark.parametrize("model_name", MODELS)
def test_a_models_input_is_exactly_what_timm_makes(model_name: str) -> None:
    cfg = _cfg(model_name)
    config = resolve_data_config({}, pretrained_cfg=cfg)
    preprocess = preprocess_for(cfg)
    assert preprocess.to_timm() == config
    for size in ((500, 375), (61, 233)):
        _check(preprocess, _picture(size))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
def test_every_crop_mode_and_odd_size_is_exact(crop_mode: str, size: tuple[int, int]) -> None:
    cfg = _cfg("test_resnet.r160_in1k")
    for side, crop_pct in ((64, 0.875), (33, 1.0)):
        preprocess = replace(preprocess_for(cfg, side), crop_mode=crop_mode, crop_pct=crop_pct)
        assert preprocess.view(_picture(size)).shape == (side, side, 3)
        _check(preprocess, _picture(size))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "lanczos"])
def test_every_interpolation_is_exact(interpolation: str) -> None:
    cfg = _cfg("test_resnet.r160_in1k")
    preprocess = replace(preprocess_for(cfg, 48), interpolation=interpolation)
    _check(preprocess, _picture((100, 70)))


def test_another_image_size_changes_nothing_else() -> None:
    cfg = _cfg("resnet18.a1_in1k")
    assert preprocess_for(cfg, 96) == replace(preprocess_for(cfg), image_size=96)


def test_normalize_takes_floats_as_well_as_bytes() -> None:
    cfg = _cfg("tf_efficientnet_lite0")
    preprocess = preprocess_for(cfg, 8)
    batch = torch.arange(192, dtype=torch.uint8).view(1, 3, 8, 8)
    assert torch.equal(preprocess.normalize(batch), preprocess.normalize(batch.float()))


def test_a_batch_is_channels_last_without_a_copy() -> None:
    images = np.zeros((2, 5, 5, 3), np.uint8)
    batch = to_batch(images)
    assert batch.shape == (2, 3, 5, 5)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    images[1, 2, 3, 0] = 9
    assert batch[1, 0, 2, 3] == 9


def test_numpy_normalizes_to_the_bit_as_torch_does() -> None:
    preprocess = preprocess_for(_cfg("resnet18.a1_in1k"), 48)
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    ours = preprocess.normalize_array(images)
    assert ours.flags.c_contiguous
    assert np.array_equal(ours, preprocess.normalize(to_batch(images)).numpy())
