"""`Learner`: everything a sweep or a fit works on, prepared once: model, pictures, features.

`prepare` is a generator: it yields what it is doing and returns the learner.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from trainer.augment import Augmentation, augment, choose_augmentation
from trainer.config import Config
from trainer.data import Data, Split
from trainer.data.decoded import decode_split, open_decoded
from trainer.events import Event, Note, Progress, Started
from trainer.features import Features, compute_features
from trainer.model import TimmModel, body_features, build_model, head_of, parameter_groups
from trainer.plan import Phase
from trainer.runtime import Runtime, choose_runtime
from trainer.transforms import Preprocess, preprocess_for, to_batch


@dataclass(slots=True)
class Learner:
    config: Config
    data: Data
    model: TimmModel
    preprocess: Preprocess
    runtime: Runtime
    augmentation: Augmentation
    train_images: np.ndarray
    """uint8 `[N, S, S, 3]`, read from disk as it is used."""
    valid_images: np.ndarray
    train_labels: Tensor = field(repr=False)
    """int64 `[N]` on the run's device."""
    valid_labels: np.ndarray = field(repr=False)
    features: Features | None = field(default=None, repr=False)

    @property
    def num_train(self) -> int:
        return len(self.train_images)


@dataclass(frozen=True, slots=True)
class Task:
    """How one phase makes inputs from image indices, and logits from inputs."""

    inputs: Callable[[np.ndarray, torch.Generator], Tensor]
    logits: Callable[[Tensor], Tensor]
    groups: Callable[[], list[dict[str, object]]]


def prepare(data: Data, config: Config, *, kind: str) -> Generator[Event, None, Learner]:
    """Build the model and open the pictures as it sees them.

    Yields:
        Started, Notes on what was chosen, Progress while pictures are decoded.

    Raises:
        ModelError, ConfigError, HubError: as `build_model` and `choose_runtime`.
    """
    model = build_model(config, len(data.class_names))
    preprocess, why_size = _choose_preprocess(model, config, data)
    runtime = choose_runtime(config, preprocess.image_size)
    yield Started(
        kind=kind,
        model_name=config.model_name,
        dataset=data.provenance.dataset_id,
        device=runtime.device.type,
        precision=runtime.precision,
        reason=runtime.reason,
        num_train=len(data.train),
        num_valid=len(data.valid),
        class_names=data.class_names,
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
        image_size=preprocess.image_size,
    )
    if why_size:
        yield Note(text=why_size)
    train_images = yield from decoded(data.train, preprocess)
    valid_images = yield from decoded(data.valid, preprocess)
    augmentation = choose_augmentation(config.augment, data.class_names, train_images[:64])
    yield Note(text=f"Augmentation {augmentation.level}; {augmentation.reason}.")
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


def decoded(split: Split, preprocess: Preprocess) -> Generator[Event, None, np.ndarray]:
    """The split's pictures as the model sees them; decoded now if they were not before."""
    for done, total in decode_split(split, preprocess):
        yield Progress(text=f"Reading the {split.name} pictures", done=done, total=total)
    return open_decoded(split, preprocess)


def ensure_features(learner: Learner) -> Generator[Event, None, None]:
    """Run the frozen body once over every picture, and set the head's scale from the result."""
    if learner.features is not None:
        return
    model, images = learner.model, learner.train_images
    views, text = learner.augmentation.views, "Running the pictures through the frozen body"
    common = (learner.preprocess, learner.runtime)
    train = yield from compute_features(model, images, *common, views=views, text=text)
    valid = yield from compute_features(model, learner.valid_images, *common, text=text)
    learner.features = Features(train, valid[0])
    head_of(model).standardize(train.flatten(0, 1))


def task_for(learner: Learner, phase: Phase) -> Task:
    """The phase's inputs, forward pass and parameter groups; the sweep uses the same."""
    model, config = learner.model, learner.config

    def groups() -> list[dict[str, object]]:
        return parameter_groups(model, config, frozen=phase.frozen)

    if phase.cached:
        return Task(
            lambda indices, rng: _cached_batch(learner, indices, rng), head_of(model), groups
        )
    if phase.frozen:
        return Task(lambda indices, rng: _body_batch(learner, indices, rng), head_of(model), groups)
    return Task(
        lambda indices, rng: _image_batch(learner, indices, rng), _under_autocast(learner), groups
    )


def _under_autocast(learner: Learner) -> Callable[[Tensor], Tensor]:
    def logits(inputs: Tensor) -> Tensor:
        with learner.runtime.autocast():
            return learner.model(inputs).float()

    return logits


def _image_batch(learner: Learner, indices: np.ndarray, rng: torch.Generator) -> Tensor:
    """Augmented, normalized images, `[B, 3, S, S]`."""
    batch = to_batch(learner.train_images[indices]).to(learner.runtime.device, non_blocking=True)
    return learner.preprocess.normalize(augment(batch, learner.augmentation, rng))


def _body_batch(learner: Learner, indices: np.ndarray, rng: torch.Generator) -> Tensor:
    """The frozen body's features of augmented images, `[B, F]`."""
    with torch.no_grad(), learner.runtime.autocast():
        return body_features(learner.model, _image_batch(learner, indices, rng))


def _cached_batch(learner: Learner, indices: np.ndarray, rng: torch.Generator) -> Tensor:
    """Cached features, `[B, F]`, each of the picture or of its mirror image."""
    assert learner.features is not None
    train = learner.features.train
    views = torch.randint(len(train), (len(indices),), generator=rng)
    return train[views.to(train.device), torch.from_numpy(indices).to(train.device)]


def _choose_preprocess(model: TimmModel, config: Config, data: Data) -> tuple[Preprocess, str]:
    """The model's own preprocessing, at a smaller size where the pictures are tiny."""
    own = preprocess_for(model.pretrained_cfg)
    if config.image_size:
        return preprocess_for(model.pretrained_cfg, config.image_size), ""
    side = _typical_side(data.train)
    if side * 4 >= own.image_size or model.pretrained_cfg.get("fixed_input_size"):
        return own, ""
    size = max(64, side * 4 // 32 * 32)
    saved = own.image_size**2 / size**2
    text = (
        f"The pictures are about {side} pixels wide, so the model sees them at {size} px instead "
        f"of {own.image_size}: the same detail, {saved:.0f} times faster."
    )
    return preprocess_for(model.pretrained_cfg, size), text


def _typical_side(split: Split) -> int:
    """The median shorter side of up to 32 pictures, in pixels, from their headers."""
    import io

    from PIL import Image

    sides = []
    for picture in split.pictures[:: max(1, len(split) // 32)]:
        with Image.open(io.BytesIO(picture.read())) as image:
            sides.append(min(image.size))
    return int(np.median(sides))
