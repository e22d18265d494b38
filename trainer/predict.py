"""Predict: the most probable classes of single pictures, by the same path as evaluation."""

import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np

from trainer.data.picture import decode
from trainer.errors import PictureError
from trainer.events import Predicted
from trainer.export import LoadedModel
from trainer.infer import infer
from trainer.runtime import Runtime


def predict(
    loaded: LoadedModel,
    images: list[tuple[str, Callable[[], bytes]]],
    runtime: Runtime,
    *,
    top: int = 5,
) -> Generator[Predicted, None, None]:
    """The `top` classes of each picture, in order; a picture that cannot be used says why.

    Args:
        loaded: an exported model.
        images: a name and the way to its encoded bytes, for each.
        runtime: where to compute.
        top: classes a picture.
    """
    for name, read in images:
        began = time.perf_counter()
        try:
            view = loaded.preprocess.view(decode(read()))
        except (PictureError, OSError) as error:
            reason = str(error) if isinstance(error, PictureError) else "cannot be read"
            yield Predicted(image=name, probs=(), error=reason)
            continue
        probs = _probs(loaded, view, runtime)
        order = np.argsort(-probs, kind="stable")[:top]
        best = tuple((loaded.class_names[i], float(probs[i])) for i in order)
        yield Predicted(image=name, probs=best, seconds=time.perf_counter() - began)


def read_file(path: Path) -> Callable[[], bytes]:
    """The way to a file's bytes."""
    return path.read_bytes


def _probs(loaded: LoadedModel, view: np.ndarray, runtime: Runtime) -> np.ndarray:
    steps = infer(loaded.model, view[None], loaded.preprocess, runtime, text="")
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value[0]  # [1, num_classes] -> [num_classes]
