"""Predict: the most probable classes of single pictures, by the same path as evaluation."""

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import numpy as np

from trainer.classifier import Classifier
from trainer.data.picture import decode
from trainer.errors import PictureError
from trainer.events import Predicted

THUMBNAIL = 96
"""Longest side of a thumbnail, in pixels."""


def predict(
    classifier: Classifier,
    images: list[tuple[str, Callable[[], bytes]]],
    *,
    top: int = 5,
    thumbnails: Path | None = None,
) -> Generator[Predicted, None, None]:
    """The `top` classes of each picture, in order; a picture that cannot be used says why.

    Args:
        classifier: an exported model.
        images: a name and the way to its encoded bytes, for each.
        top: classes a picture.
        thumbnails: a folder for small JPEGs of those that can be used: `0.jpg`, `1.jpg`, …
    """
    preprocess = classifier.preprocess
    for number, (name, read) in enumerate(images):
        began = time.perf_counter()
        try:
            image = decode(read())
            view = preprocess.view(image)
        except (PictureError, OSError) as error:
            reason = str(error) if isinstance(error, PictureError) else "cannot be read"
            yield Predicted(image=name, probs=(), error=reason)
            continue
        probs = classifier.probs(view[None])[0]
        order = np.argsort(-probs, kind="stable")[:top]
        best = tuple((classifier.class_names[i], float(probs[i])) for i in order)
        answer = Predicted(image=name, probs=best, seconds=time.perf_counter() - began)
        if thumbnails is not None:
            with suppress(OSError):  # a full disk: the answer counts
                image.thumbnail((THUMBNAIL, THUMBNAIL))
                image.save(thumbnails / f"{number}.jpg", quality=80)
        yield answer


def read_file(path: Path) -> Callable[[], bytes]:
    """The way to a file's bytes."""
    return path.read_bytes
