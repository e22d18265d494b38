"""`Start`: the model that a run starts from: a timm name, or `hf-hub:owner/name[@revision]`.

A model from the Hub gives its body's weights and its preprocessing; its classes are left behind.

Not covered: folders of this machine, because a visitor of the app may name anything.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm

from trainer.architecture import ModelArgs, check_cnn
from trainer.config import Config
from trainer.hub_client import HUB_PREFIX, OnProgress, untold
from trainer.model_config import read_config
from trainer.pull import Source, pull, read_source
from trainer.weights import CONFIG


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a model name stands for."""

    architecture: str
    """timm's name, with a tag where one was given."""
    args: ModelArgs = field(default_factory=dict)
    """Of the architecture, without the number of classes."""
    pretrained_cfg: Mapping[str, Any] = field(default_factory=dict)
    """timm's data config; the folder's own for a model from the Hub."""
    folder: Path | None = None
    """Where the weights of a model from the Hub lie."""
    source: Source | None = None


def start_of(
    model_name: str,
    on_note: Callable[[str], None] = lambda _text: None,
    on_progress: OnProgress = untold,
) -> Start:
    """Resolve a model name and judge it; a model from the Hub is fetched if it is not here yet,
    as `pull` does.

    Raises:
        ModelError: it is no safe timm CNN.
        HubError: the Hub is unreachable or refused.
    """
    if not model_name.startswith(HUB_PREFIX):
        check_cnn(model_name)
        known = timm.get_pretrained_cfg(model_name)
        return Start(architecture=model_name, pretrained_cfg=known.to_dict() if known else {})
    folder = pull(model_name, on_note=on_note, on_progress=on_progress)
    source = read_source(folder)
    config = read_config(folder / CONFIG, f"model {source.repo_id!r}" if source else "model")
    check_cnn(config.architecture, config.args)
    args = {name: value for name, value in config.args.items() if name != "num_classes"}
    return Start(
        architecture=config.architecture,
        args=args,
        pretrained_cfg=config.pretrained_cfg,
        folder=folder,
        source=source,
    )


def check_architecture(model_name: str) -> int:
    """Refuse what cannot be trained here, before any weight is made; returns the parameter count.

    Raises:
        ModelError: the reason, and what to choose instead.
        HubError: a model from the Hub cannot be fetched.
    """
    start = start_of(model_name)
    return check_cnn(start.architecture, start.args)


def pinned(
    config: Config,
    on_note: Callable[[str], None] = lambda _text: None,
    on_progress: OnProgress = untold,
) -> Config:
    """The config with a model from the Hub named by its commit, so that a run keeps it to its end.

    Raises:
        ModelError, HubError: as `start_of`.
    """
    if not config.model_name.startswith(HUB_PREFIX):
        return config
    source = start_of(config.model_name, on_note, on_progress).source
    assert source is not None
    return replace(config, model_name=f"{HUB_PREFIX}{source.repo_id}@{source.revision}")
