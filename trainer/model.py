"""timm CNNs: build one with a new head, freeze its body, group its parameters, name the errors.

The body is everything but the classifier. Not covered: transformers and models whose classifier
is more than one linear layer; they are refused with the reason.
"""

import difflib
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from trainer.config import Config
from trainer.embedded import embedded_weights, is_embedded
from trainer.errors import HubError, ModelError
from trainer.head import Head
from trainer.hub import reachable
from trainer.limits import Limits


class TimmModel(nn.Module):
    """What every timm model with a classifier has; a type to read by, never made."""

    pretrained_cfg: dict[str, Any]
    num_classes: int
    forward_features: Callable[[Tensor], Tensor]
    forward_head: Callable[..., Tensor]


def build_model(config: Config, num_classes: int) -> TimmModel:
    """The model with a fresh `Head` in place of its classifier, in float32 on the CPU.

    Raises:
        ModelError: unknown, not a CNN with a linear classifier, or too large.
        HubError: its weights must be downloaded and the Hub is unreachable.
    """
    check_architecture(config.model_name)
    torch.manual_seed(config.seed)
    model = _create(config)
    name, classifier = classifier_of(model)
    generator = torch.Generator().manual_seed(config.seed)
    num_features = classifier.weight.shape[1]
    model.set_submodule(name, Head(num_features, num_classes, generator=generator))
    return channels_last(model)


def channels_last(model: TimmModel) -> TimmModel:
    """The model with its weights laid out as CPUs and GPUs convolve fastest."""
    return cast(TimmModel, nn.Module.to(model, memory_format=torch.channels_last))  # pyright: ignore[reportCallIssue, reportArgumentType]


def create(model_name: str, **options: Any) -> TimmModel:
    """`timm.create_model`, typed."""
    return cast(TimmModel, timm.create_model(model_name, **options))


def check_architecture(model_name: str) -> int:
    """Refuse what cannot be trained here, before any weight is made; returns the parameter count.

    Raises:
        ModelError: the reason, and what to choose instead.
    """
    if not timm.is_model(model_name):
        close = difflib.get_close_matches(model_name, timm.list_models(), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ModelError(f"timm has no model named {model_name!r}.{hint}")
    _check_tag(model_name)
    count = _num_parameters(model_name)
    limit = Limits.from_env().max_parameters
    if count > limit:
        raise ModelError(
            f"{model_name} has {count / 1e6:.0f} million parameters; the limit is "
            f"{limit / 1e6:.0f} million. Choose a smaller one."
        )
    _check_layers(model_name)
    return count


@lru_cache(maxsize=64)
def _num_parameters(model_name: str) -> int:
    with torch.device("meta"):
        model = create(model_name)
    return sum(parameter.numel() for parameter in model.parameters())


@lru_cache(maxsize=64)
def _check_layers(model_name: str) -> None:
    """Refuse what is not convolutions with one linear layer behind them."""
    with torch.device("meta"):
        model = create(model_name).eval()
    try:
        classifier_of(model)
        size = model.pretrained_cfg["input_size"]
        with torch.device("meta"):
            features = model.forward_features(torch.empty(1, *size))
    except (ModelError, AttributeError, KeyError, NotImplementedError, TypeError) as error:
        raise ModelError(
            f"{model_name} does not end in one linear layer, so its head cannot be exchanged; "
            "choose another CNN, for example resnet18 or convnext_nano."
        ) from error
    if not isinstance(features, Tensor) or features.ndim != 4:
        raise ModelError(
            f"{model_name} is not a convolutional network; choose a CNN, for example resnet18."
        )


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


def head_of(model: TimmModel) -> Head:
    """The `Head` that `build_model` put in."""
    return next(module for module in model.modules() if isinstance(module, Head))


def body_parameters(model: TimmModel) -> Iterator[tuple[str, Tensor]]:
    """Name and value of every weight and buffer outside the classifier, in the model's order."""
    classifier = str(model.pretrained_cfg.get("classifier"))
    for name, value in model.state_dict().items():
        if not name.startswith(f"{classifier}."):
            yield name, value


def body_features(model: TimmModel, inputs: Tensor) -> Tensor:
    """What the head is given: pooled features, `[N, 3, S, S]` -> float32 `[N, F]`."""
    maps = model.forward_features(inputs)  # [N, C, h, w]
    return model.forward_head(maps, pre_logits=True).float().flatten(1)


def set_mode(model: TimmModel, *, frozen: bool, pretrained: bool) -> None:
    """Training mode; a frozen body is in evaluation mode, so nothing of it moves.

    The BatchNorm statistics of pretrained weights stay as they are also once all layers train:
    batches of 32 measure them so badly that the first epoch undoes what the head has learned
    (digits: 75 % instead of 98 % after three epochs; docs/LOG.md).
    """
    model.train(not frozen)
    head_of(model).train()
    if pretrained:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
    head = {id(parameter) for parameter in head_of(model).parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(not frozen or id(parameter) in head)


def parameter_groups(model: TimmModel, config: Config, *, frozen: bool) -> list[dict[str, Any]]:
    """Head and body, each with and without weight decay; `scale` multiplies the rate.

    No weight decay on norms and biases (every parameter of one dimension).
    """
    head = {id(parameter) for parameter in head_of(model).parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        in_head = id(parameter) in head
        if frozen and not in_head:
            continue
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((1.0 if in_head else config.body_lr_mult, decay), []).append(parameter)
    return [
        {"params": parameters, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]


def make_optimizer(
    groups: list[dict[str, Any]], config: Config, lr: float
) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum, at `lr` times each group's scale."""
    groups = [{**group, "lr": lr * group["scale"]} for group in groups]
    if config.optimizer == "sgd":
        nesterov = config.momentum > 0
        momentum = config.momentum
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(groups, lr=lr, betas=(config.momentum, 0.99), fused=True)


def _create(config: Config) -> TimmModel:
    if not config.pretrained:
        return create(config.model_name)
    if is_embedded(config.model_name):
        model = create(config.model_name)
        model.load_state_dict(embedded_weights(config.model_name))
        return model
    known = timm.get_pretrained_cfg(config.model_name)
    if known is None or not known.has_weights:
        raise ModelError(
            f"timm has no pretrained weights for {config.model_name}; choose another model or "
            "--no-pretrained."
        )
    if not _cached(config.model_name) and not reachable():
        raise HubError(
            f"The weights of {config.model_name} must be downloaded, and the Hugging Face Hub "
            "cannot be reached. tf_efficientnet_lite0 works without a network."
        )
    return create(config.model_name, pretrained=True)


def has_weights_here(config: Config) -> bool:
    """Whether the model's first weights need no download."""
    name = config.model_name
    return not config.pretrained or is_embedded(name) or _cached(name)


def _cached(model_name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache  # only for models from the Hub

    known = timm.get_pretrained_cfg(model_name)
    repo_id = known.hf_hub_id if known is not None else None
    path = try_to_load_from_cache(repo_id, "model.safetensors") if repo_id else None
    return isinstance(path, str)
