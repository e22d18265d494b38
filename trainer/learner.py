"""`Learner`: everything a sweep or a fit works on, prepared once: model, pictures, features.

`prepare` is a generator: it yields what it is doing and returns the learner.
"""

import errno
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from trainer.augment import Augmentation, choose_augmentation
from trainer.config import Config
from trainer.data import Data, Split
from trainer.data.cache import cache_root
from trainer.data.decoded import DecodedSplit, decode_split, decoded_path, open_decoded
from trainer.errors import DatasetError
from trainer.events import Event, Note, Progress, Started
from trainer.features import (
    Features,
    Made,
    PictureView,
    body_digest,
    cached_features,
    features_path,
    num_views,
    picture_views,
)
from trainer.hardware import hardware_name, versions
from trainer.image_size import choose_preprocess
from trainer.model import TimmModel, build_model, head_of
from trainer.probe import known_probe, probe
from trainer.runtime import Runtime, choose_runtime
from trainer.transforms import Preprocess

_SAMPLE = 64
"""Training pictures by which augmentation is chosen."""


@dataclass(slots=True)
class Learner:
    config: Config
    data: Data
    model: TimmModel
    preprocess: Preprocess
    runtime: Runtime
    """For the frozen body."""
    augmentation: Augmentation
    train_images: DecodedSplit
    """uint8 `[N, S, S, 3]`, read from disk as they are used."""
    valid_images: DecodedSplit
    train_labels: Tensor = field(repr=False)
    """int64 `[N]` on the run's device."""
    valid_labels: np.ndarray = field(repr=False)
    features: Features | None = field(default=None, repr=False)
    made: Made | None = None
    """How the features were made, once they were; a resumed run makes them in the same way."""
    training_runtime: Runtime | None = None
    """For training all layers; measured when that begins."""
    image_source: Callable[[np.ndarray], Tensor] | None = field(default=None, repr=False)
    """Training pictures by index on the device, once a task needed them."""
    at_once: int | None = None
    """Images of a step that fit into memory together; none: all of them do."""

    @property
    def num_train(self) -> int:
        return len(self.train_images)


def prepare(data: Data, config: Config, *, kind: str) -> Generator[Event, None, Learner]:
    """Build the model and open the pictures as it sees them.

    Yields:
        Started, Notes on what was chosen, Progress while pictures are decoded.

    Raises:
        ModelError, ConfigError, HubError: as `build_model` and `choose_runtime`.
    """
    model = build_model(config, len(data.class_names))
    preprocess, why_size = choose_preprocess(config, data)
    runtime = choose_runtime(config)
    yield _started(kind, data, model, preprocess, runtime, config)
    if why_size:
        yield Note(text=why_size)
    train_images = yield from decoded(data.train, preprocess)
    valid_images = yield from decoded(data.valid, preprocess)
    augmentation = choose_augmentation(config.augment, data.class_names, train_images[:_SAMPLE])
    text = f"Augmentation {augmentation.level}; {augmentation.reason}."
    yield Note(text=text, about="augmentation")
    return Learner(
        config=config,
        data=data,
        model=model.to(runtime.device),
        preprocess=preprocess,
        runtime=runtime,
        augmentation=augmentation,
        train_images=train_images,
        valid_images=valid_images,
        train_labels=torch.tensor(data.train.labels, device=runtime.device),
        valid_labels=np.array(data.valid.labels),
    )


def _started(
    kind: str,
    data: Data,
    model: TimmModel,
    preprocess: Preprocess,
    runtime: Runtime,
    config: Config,
) -> Started:
    """What runs where, on which pictures."""
    where, num_classes = data.provenance, len(data.class_names)
    return Started(
        kind=kind,
        model_name=config.model_name,
        dataset=where.dataset_id,
        device=runtime.device.type,
        precision=runtime.precision,
        reason=runtime.reason,
        num_train=len(data.train),
        num_valid=len(data.valid),
        class_names=data.class_names,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        image_size=preprocess.image_size,
        num_test=len(data.test) if data.test else 0,
        train_counts=tuple(np.bincount(data.train.labels, minlength=num_classes).tolist()),
        num_skipped=len(data.skipped),
        dataset_kind=where.kind,
        dataset_revision=where.revision or "",
        split_rule=where.split_rule,
        dataset_licence=where.licence or "",
        hardware=hardware_name(runtime.device),
        versions=versions(),
    )


def augmentation_for(data: Data, config: Config, preprocess: Preprocess) -> Augmentation:
    """What `prepare` will choose; before the pictures are decoded, what it would for photos."""
    try:
        images = open_decoded(data.train, preprocess)[:_SAMPLE]
    except OSError:
        images = np.arange(3, dtype=np.uint8).reshape(1, 1, 1, 3)  # not grey
    return choose_augmentation(config.augment, data.class_names, images)


def decoded(split: Split, preprocess: Preprocess) -> Generator[Event, None, DecodedSplit]:
    """The split's pictures as the model sees them; decoded now if they were not before.

    Raises:
        DatasetError: the disk has no room for them.
    """
    try:
        for done, total in decode_split(split, preprocess):
            yield Progress(text=f"Reading the {split.name} pictures", done=done, total=total)
        return open_decoded(split, preprocess)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        size = len(split) * preprocess.image_size**2 * 3 / 1e9
        raise DatasetError(
            f"The disk is full: the decoded {split.name} pictures need {size:.1f} GB in the cache "
            f"({cache_root()}). Make room, set LRLAB_CACHE to another disk, or take a smaller "
            "image_size."
        ) from error


def ensure_features(learner: Learner) -> Generator[Event, None, None]:
    """Run the frozen body once over every picture; at first the head's scale is set from it."""
    if learner.features is not None:
        return
    model, config, preprocess = learner.model, learner.config, learner.preprocess
    if not learner.runtime.images_per_second:  # a resumed run keeps what was measured
        learner.runtime = yield from _probed(learner, training=False)
    body, data, made = body_digest(model), learner.data, learner.made
    count = num_views(config, learner.augmentation, learner.num_train)
    views = picture_views(count, learner.augmentation, config.seed)

    def features(
        split: Split,
        images: DecodedSplit,
        runtime: Runtime,
        views: tuple[PictureView, ...],
        text: str,
    ) -> Generator[Event, None, tuple[Tensor, Runtime]]:
        key = decoded_path(split, preprocess).stem
        path = features_path(body, key, preprocess, runtime, views)
        how = (model, images, preprocess, runtime, views)
        exactly = made is not None
        return (yield from cached_features(*how, path=path, text=text, exactly=exactly))

    text = "Running the pictures through the frozen body"
    fast = made.train if made else learner.runtime
    train, fast = yield from features(data.train, learner.train_images, fast, views, text)
    text = "Running the validation pictures through it, in float32"
    exact = made.valid if made else learner.runtime.exact()
    valid, exact = yield from features(data.valid, learner.valid_images, exact, views[:1], text)
    learner.features, learner.made = Features(train, valid[0]), Made(body, fast, exact)
    learner.runtime.apply(model)  # also where the features are known: the head has its threads too
    if made is None:  # a resumed run's head has its scale
        head_of(model).standardize(train.flatten(0, 1))


def ensure_training_runtime(learner: Learner) -> Generator[Event, None, None]:
    """Measure once how all layers train fastest here."""
    if learner.training_runtime is None:
        learner.training_runtime = yield from _probed(learner, training=True)


def _probed(learner: Learner, *, training: bool) -> Generator[Event, None, Runtime]:
    config, runtime = learner.config, learner.runtime
    size = learner.preprocess.image_size
    fits = learner.at_once
    known = known_probe(config, runtime, size, training=training, at_once=fits)
    if runtime.device.type == "cpu" and known is None:
        yield Progress(text="Measuring this machine", done=0, total=1)
    found = probe(learner.model, config, runtime, size, training=training, at_once=fits)
    if found.images_per_second:
        yield Note(text=f"Arithmetic: {found.reason}.")
    return found
