"""`Classifier`: an exported model ready to answer, kept warm between predictions.

On a CPU with a `model.onnx` beside the weights ONNX Runtime answers: as fast as PyTorch in its
best setting and twice to three times as fast as in its usual one (docs/LOG.md). Else PyTorch does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from trainer.config import Config
from trainer.errors import ModelError
from trainer.export import CONFIG, WEIGHTS, LoadedModel, load_model
from trainer.onnx_export import ONNX, open_session
from trainer.runtime import Runtime, exact_runtime
from trainer.transforms import Preprocess, to_batch


@dataclass(frozen=True, slots=True)
class Classifier:
    """Class names, preprocessing, and probabilities of pictures."""

    class_names: tuple[str, ...]
    preprocess: Preprocess
    engine: str
    """`ONNX Runtime` or `PyTorch`."""
    probs: Callable[[np.ndarray], np.ndarray]
    """uint8 pictures `[N, S, S, 3]` to float32 probabilities `[N, num_classes]`."""


def open_classifier(folder: Path, config: Config) -> Classifier:
    """The model of a folder; the last few stay open, until a file of theirs changes.

    Args:
        folder: a model folder.
        config: its `device`.

    Raises:
        ModelError: the folder holds no model that can be used.
        ConfigError: a GPU was asked for and there is none.
    """
    return _open(folder.resolve(), _stamps(folder), config.device)


@lru_cache(maxsize=3)
def _open(folder: Path, stamps: tuple[int, ...], device: str) -> Classifier:
    del stamps  # part of the key alone
    loaded = load_model(folder)
    runtime = exact_runtime(Config(device=device))
    if runtime.device.type == "cpu" and (folder / ONNX).is_file():
        try:
            return _with_onnx(loaded, folder / ONNX)
        except ModelError:
            pass  # a damaged file: the weights beside it answer
    return _with_torch(loaded, runtime)


def _with_onnx(loaded: LoadedModel, path: Path) -> Classifier:
    session = open_session(path)

    def probs(images: np.ndarray) -> np.ndarray:
        inputs = loaded.preprocess.normalize_array(images)
        logits = np.asarray(session.run(["logits"], {"images": inputs})[0])
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    return Classifier(loaded.class_names, loaded.preprocess, "ONNX Runtime", probs)


def _with_torch(loaded: LoadedModel, runtime: Runtime) -> Classifier:
    model = loaded.model.to(runtime.device)
    runtime.apply(model)

    def probs(images: np.ndarray) -> np.ndarray:
        inputs = runtime.inputs(to_batch(images))
        with _one_thread(), torch.inference_mode():
            logits = model(loaded.preprocess.normalize(inputs))
        return logits.float().softmax(dim=1).cpu().numpy()

    return Classifier(loaded.class_names, loaded.preprocess, "PyTorch", probs)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one CPU thread: for single pictures, beside a training.

    Each of a model's many small operations ends with a wait of all threads for the last one. While
    a training takes the cores that wait is most of the time, and the training's too.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _stamps(folder: Path) -> tuple[int, ...]:
    """When each file was written; 0 where there is none."""
    paths = [folder / name for name in (WEIGHTS, CONFIG, ONNX)]
    return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)
