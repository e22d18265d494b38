"""Tiny real things to train: generated pictures of coloured noise, and timm's `test_resnet`."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from pictures import encode
from trainer.config import Config, config_for
from trainer.data import Data, Picture, Provenance, Split
from trainer.events import Event
from trainer.learner import Learner, prepare

T = TypeVar("T")
COLOURS = ((200, 70, 60), (70, 180, 70), (60, 80, 200))
NAMES = ("red", "green", "blue")


def tiny_data(num_train: int = 26, num_valid: int = 9, *, spread: int = 60) -> Data:
    """Three classes of noise around a colour, 32 by 32; with a larger `spread` harder to tell."""

    def split(name: str, count: int, seed: int) -> Split:
        rng = np.random.default_rng(seed)
        pictures = []
        for index in range(count):
            shape = (32, 32, 3)
            noise = rng.normal(0, spread, shape) + rng.normal(0, spread / 2, 3)
            pixels = np.clip(noise + COLOURS[index % 3], 0, 255).astype(np.uint8)
            data = encode(Image.fromarray(pixels))
            stamp = sha256(data).hexdigest()
            pictures.append(Picture(f"{name}[{index}]", index % 3, partial(bytes, data), stamp))
        return Split(name, tuple(pictures))

    return Data(
        class_names=NAMES,
        train=split("train", num_train, 0),
        valid=split("valid", num_valid, 1),
        provenance=Provenance(dataset_id="tiny", kind="builtin"),
    )


def tiny_config(preset: str = "quick", **settings: Any) -> Config:
    """timm's smallest ResNet with random weights, in exact arithmetic on the CPU."""
    plain = {
        "model_name": "test_resnet",
        "pretrained": False,
        "image_size": 32,
        "batch_size": 8,
        "device": "cpu",
        "precision": "fp32",
        "freeze_epochs": 2,
        "epochs": 2,
        "num_steps": 20,
    }
    return config_for(preset, **{**plain, **settings})


def tiny_learner(
    config: Config | None = None, data: Data | None = None, *, pretend: bool = False
) -> Learner:
    """A learner ready to train.

    Args:
        config: `tiny_config()` if not given.
        data: `tiny_data()` if not given.
        pretend: treat the random weights as pretrained ones, so that a run begins with the frozen
            body; real ones would have to be downloaded.
    """
    learner = result_of(prepare(data or tiny_data(), config or tiny_config(), kind="train"))
    if pretend:
        learner.config = replace(learner.config, pretrained=True)
    return learner


def result_of(events: Generator[Event, None, T]) -> T:
    """Run a generator of events to its end; what it returns."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def collect(events: Generator[Event, None, T]) -> tuple[list[Event], T]:
    """Every event, and what the generator returns."""
    found = []
    while True:
        try:
            found.append(next(events))
        except StopIteration as end:
            return found, end.value


def stop_after(count: int) -> Callable[[], bool]:
    """Says stop when it is asked for the `count`-th time."""
    asked = iter(range(1, count))
    return lambda: next(asked, None) is None


def never() -> bool:
    """Never stop."""
    return False


def digest(model: torch.nn.Module | Iterable[torch.Tensor]) -> str:
    """A hash of every weight and buffer, bit by bit."""
    tensors = model.state_dict().values() if isinstance(model, torch.nn.Module) else model
    total = sha256()
    for tensor in tensors:
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
