"""Evaluate: every figure of an exported model on one split of a dataset.

The model's class names are matched by name, so a dataset with its folders in another order, or
with fewer classes, still gives true figures.
"""

import time
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor, nn

from trainer.data import Data, Split
from trainer.data.decoded import DecodedSplit
from trainer.errors import DatasetError
from trainer.events import Evaluated, Event
from trainer.export import LoadedModel
from trainer.infer import infer
from trainer.learner import decoded
from trainer.metrics import evaluated
from trainer.model import classifier_of
from trainer.runtime import Runtime


def evaluate(
    loaded: LoadedModel,
    data: Data,
    split_name: str,
    runtime: Runtime,
    images: DecodedSplit | None = None,
) -> Generator[Event, None, Evaluated]:
    """The split's accuracy, loss, per-class figures and confusion matrix.

    Args:
        loaded: an exported model.
        data: the dataset.
        split_name: train, valid or test.
        runtime: where and how to compute.
        images: the split's pictures as the model sees them, where they are open already.

    Yields:
        Progress, at last Evaluated.

    Raises:
        DatasetError: the split does not exist, or holds classes that the model does not know.
    """
    began = time.perf_counter()
    split = _split(data, split_name)
    labels = _labels(split, data.class_names, loaded.class_names)
    if images is None:
        images = yield from decoded(split, loaded.preprocess)
    text = f"Looking at the {split.name} pictures"
    probs = yield from infer(loaded.model, images, loaded.preprocess, runtime, text=text)
    result = _figures(probs, split, labels, loaded, time.perf_counter() - began)
    yield result
    return result


def evaluate_features(
    loaded: LoadedModel, features: Tensor, data: Data, split_name: str
) -> Evaluated:
    """The same figures from features of the split's pictures, float32 `[N, F]`.

    They must come from the very body of `loaded`; then only its last layer has to look.
    """
    began = time.perf_counter()
    split = _split(data, split_name)
    labels = _labels(split, data.class_names, loaded.class_names)
    _, classifier = classifier_of(loaded.model)
    with torch.inference_mode():
        flat = features.to(classifier.weight.device)
        rows = flat[:, :, None, None] if isinstance(classifier, nn.Conv2d) else flat
        probs = classifier(rows).flatten(1).softmax(dim=1).cpu().numpy()
    return _figures(probs, split, labels, loaded, time.perf_counter() - began)


def _figures(
    probs: np.ndarray, split: Split, labels: np.ndarray, loaded: LoadedModel, seconds: float
) -> Evaluated:
    names = tuple(picture.name for picture in split.pictures)
    return evaluated(probs, labels, names, loaded.class_names, split=split.name, seconds=seconds)


def _split(data: Data, name: str) -> Split:
    found = {split.name: split for split in data.splits}
    if name not in found:
        raise DatasetError(
            f"{data.provenance.dataset_id} has no {name} split; it has {', '.join(found)}."
        )
    return found[name]


def _labels(
    split: Split, class_names: tuple[str, ...], model_classes: tuple[str, ...]
) -> np.ndarray:
    """The split's labels as the model numbers them, `[N]`."""
    unknown = sorted(set(class_names) - set(model_classes))
    if unknown:
        raise DatasetError(
            f"The model does not know {', '.join(unknown[:5])}; it knows "
            f"{', '.join(model_classes[:10])}. Evaluate on the classes it was trained on."
        )
    number = {name: index for index, name in enumerate(model_classes)}
    return np.array([number[class_names[label]] for label in split.labels])
