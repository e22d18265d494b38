"""timm architectures: which of them are CNNs that can be trained here, and how large they are.

Judged on torch's meta device, where a model of any size costs no memory, and by what it computes:
a CNN mixes positions by convolving and pooling alone. Where two things that both depend on the
picture are multiplied as matrices, it attends, whatever its classes are called. Of timm 1.0.31
that takes ConvNeXt, EfficientNet, RegNet, NFNet, MobileNetV4 conv, ConvMixer, FocalNet, PoolFormer
and MambaOut, and refuses Swin and every hybrid (CoAtNet, MaxViT, MobileViT, EfficientViT, CAFormer,
BoTNet, FastViT with attention). Pooling everything into one vector (SE, global context) and mixing
kernels (CondConv) is no attention; attention that only pools the last maps is accepted.

Not covered: models whose classifier is more than one linear layer; they are refused too.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from trainer.errors import ModelError
from trainer.limits import Limits

ModelArgs = Mapping[str, int | float | str]
"""Arguments of an architecture, as a Hub repository may state them; plain values."""

_PRODUCTS = frozenset({"matmul", "__matmul__", "bmm", "baddbmm", "einsum"})
_ATTENTION = frozenset(
    {"scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention"}
)
_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})

# What timm and torch were seen to raise on arguments or models that do not fit.
_BUILD_ERRORS = (
    AssertionError, AttributeError, LookupError, NotImplementedError, OverflowError, RuntimeError,
    TypeError, ValueError, ArithmeticError, ImportError,
)  # fmt: skip


class TimmModel(nn.Module):
    """What every timm model with a classifier has; a type to read by, never made."""

    pretrained_cfg: dict[str, Any]
    num_classes: int
    forward_features: Callable[[Tensor], Tensor]
    forward_head: Callable[..., Tensor]


def create(model_name: str, **options: Any) -> TimmModel:
    """`timm.create_model`, typed."""
    return cast(TimmModel, timm.create_model(model_name, **options))


def on_meta(model_name: str, args: ModelArgs) -> TimmModel:
    """The model without memory for its weights, in evaluation mode; to look at, not to change.

    Raises:
        ModelError: the architecture does not take these arguments.
    """
    return _on_meta(model_name, _key(args))


@lru_cache(maxsize=4)
def _on_meta(model_name: str, key: "_Key") -> TimmModel:
    args = dict(key)
    try:
        with torch.device("meta"):
            return cast(TimmModel, create(model_name, **args).eval())
    except _BUILD_ERRORS as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{model_name} cannot be built with its arguments {args!r}: {said}"
        ) from error


def check_cnn(model_name: str, args: ModelArgs | None = None, limits: Limits | None = None) -> int:
    """Refuse what cannot be trained here, before any weight is made; returns the parameter count.

    Args:
        model_name: timm's, with or without a tag.
        args: of the architecture; they may change its size.
        limits: `max_parameters`; from the environment by default.

    Raises:
        ModelError: the reason, and what to choose instead.
    """
    if not timm.is_model(model_name):
        close = difflib.get_close_matches(model_name, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ModelError(f"timm has no model named {model_name[:100]!r}.{hint}")
    _check_tag(model_name)
    key = _key(args or {})
    count = _num_parameters(model_name, key)
    limit = (limits or Limits.from_env()).max_parameters
    if count > limit:
        raise ModelError(
            f"{model_name} has {count / 1e6:,.0f} million parameters; the limit is "
            f"{limit / 1e6:,.0f} million. Choose a smaller one."
        )
    _check_layers(model_name, key)
    return count


def classifier_of(model: TimmModel) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The classifier's name within the model, and the layer.

    Raises:
        ModelError: it is not one linear layer (or a 1×1 convolution).
    """
    name = model.pretrained_cfg.get("classifier")
    if isinstance(name, str) and name:
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Linear):
            return name, layer
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
            return name, layer
    raise ModelError("the model does not end in one linear layer")


_Key = tuple[tuple[str, int | float | str], ...]


def _key(args: ModelArgs) -> _Key:
    return tuple(sorted(args.items()))


@lru_cache(maxsize=64)
def _num_parameters(model_name: str, key: _Key) -> int:
    return sum(parameter.numel() for parameter in _on_meta(model_name, key).parameters())


@lru_cache(maxsize=64)
def _check_layers(model_name: str, key: _Key) -> None:
    """Refuse what is not convolutions with one linear layer behind them."""
    model = _on_meta(model_name, key)
    watch = _Watch()
    try:
        classifier_of(model)
        size = model.pretrained_cfg["input_size"]
        with torch.inference_mode(), torch.device("meta"), watch:
            features = model.forward_features(torch.empty(1, *size))
    except (ModelError, *_BUILD_ERRORS) as error:
        raise ModelError(
            f"{model_name} does not end in one linear layer, so its head cannot be exchanged; "
            "choose another CNN, for example resnet18 or convnext_nano."
        ) from error
    # MobileViTv2's attention sums where others multiply: it is known by its name alone.
    named = any("SelfAttention" in type(module).__name__ for module in model.modules())
    if watch.seen or named or not isinstance(features, Tensor) or features.ndim != 4:
        how = watch.seen or ("attends to positions" if named else "turns the picture into tokens")
        raise ModelError(
            f"{model_name} is not a convolutional network: it {how}. Choose a CNN, for example "
            "resnet18 or convnext_nano."
        )


class _Watch(TorchFunctionMode):
    """Looks for attention and recurrence among the operations of a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = ""
        """What a CNN does not do, in words; empty where it did not happen."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _ATTENTION or (name in _PRODUCTS and _mixes(args)):
            self.seen = "attends to positions"
        elif name in _RECURRENT:
            self.seen = "reads the picture with a recurrent layer"
        return func(*args, **(kwargs or {}))


def _mixes(args: Any) -> bool:
    """Whether both matrices of a product depend on the picture, and neither is one vector."""
    both = [
        each for each in args if isinstance(each, Tensor) and not isinstance(each, nn.Parameter)
    ]
    return len(both) >= 2 and all(each.ndim >= 2 and min(each.shape[-2:]) > 1 for each in both)


def _check_tag(model_name: str) -> None:
    """Refuse `resnet18.tag` where timm knows the architecture but not the tag."""
    try:
        timm.get_pretrained_cfg(model_name)
    except RuntimeError as error:
        name, _, tag = model_name.partition(".")
        known = ", ".join(timm.list_pretrained(f"{name}.*")) or "none"
        raise ModelError(
            f"{name} has no weights tagged {tag!r}. Give {name} alone, or one of: {known}."
        ) from error
