"""timm CNNs: build one with a new head, freeze its body, group its parameters, name the errors.

The body is everything but the classifier. Not covered: transformers and models whose classifier
is more than one linear layer; `trainer.architecture` refuses them with the reason.
"""

from collections.abc import Iterator
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn

from trainer.architecture import TimmModel, classifier_of, create
from trainer.config import Config
from trainer.embedded import embedded_weights, is_embedded
from trainer.errors import HubError, ModelError
from trainer.head import Head
from trainer.hub_client import reachable
from trainer.start import Start, start_of
from trainer.weights import open_model


def build_model(config: Config, num_classes: int) -> TimmModel:
    """The model with a fresh `Head` in place of its classifier, in float32 on the CPU.

    Raises:
        ModelError: unknown, not a CNN with a linear classifier, or too large.
        HubError: its weights must be downloaded and the Hub is unreachable.
    """
    start = start_of(config.model_name)
    torch.manual_seed(config.seed)
    model = _create(config, start)
    name, classifier = classifier_of(model)
    generator = torch.Generator().manual_seed(config.seed)
    num_features = classifier.weight.shape[1]
    model.set_submodule(name, Head(num_features, num_classes, generator=generator))
    return channels_last(model)


def channels_last(model: TimmModel) -> TimmModel:
    """The model with its weights laid out as CPUs and GPUs convolve fastest."""
    return cast(TimmModel, nn.Module.to(model, memory_format=torch.channels_last))  # pyright: ignore[reportCallIssue, reportArgumentType]


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


def _create(config: Config, start: Start) -> TimmModel:
    if not config.pretrained:
        return create(start.architecture, **start.args)
    if start.folder is not None:
        return open_model(start.folder, f"model {config.model_name!r}")[0]
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
    if not config.pretrained or is_embedded(name):
        return True
    return start_of(name).folder is not None or _cached(name)


def _cached(model_name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache  # only for models from the Hub

    known = timm.get_pretrained_cfg(model_name)
    repo_id = known.hf_hub_id if known is not None else None
    path = try_to_load_from_cache(repo_id, "model.safetensors") if repo_id else None
    return isinstance(path, str)
