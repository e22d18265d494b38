"""Model repositories of a tiny CNN as timm writes them, whole or with one thing wrong."""

import json
import struct
from typing import Any

import timm
import torch
from safetensors.torch import save

CLASSES = ("red", "green", "blue")


def tiny_weights(
    *, num_classes: int = 3, seed: int = 0, model_name: str = "test_resnet"
) -> dict[str, torch.Tensor]:
    """Random weights that a seed decides; 1.5 MB in all."""
    torch.manual_seed(seed)
    return dict(timm.create_model(model_name, num_classes=num_classes).state_dict())


def tiny_config(**changes: Any) -> dict[str, Any]:
    """A config as timm writes it; a value of None takes the key out."""
    values = {
        "architecture": "test_resnet",
        "num_classes": 3,
        "label_names": list(CLASSES),
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "interpolation": "bilinear",
            "crop_pct": 0.95,
            "crop_mode": "center",
            "mean": [0.4, 0.5, 0.6],
            "std": [0.2, 0.25, 0.3],
            "first_conv": "conv1",
            "classifier": "fc",
        },
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def tiny_repo(weights: bytes | None = None, **changes: Any) -> dict[str, bytes | str]:
    """The files of a model repository."""
    return {
        "config.json": json.dumps(tiny_config(**changes)),
        "model.safetensors": save(tiny_weights()) if weights is None else weights,
        "README.md": "---\nlicense: cc-by-4.0\n---\n# A model\n",
    }


def with_header(header: bytes, body: bytes = b"") -> bytes:
    """A safetensors file with such a header."""
    return struct.pack("<Q", len(header)) + header + body
