"""What a model cannot do, drawn from the facts: the card's section of limits."""

from collections.abc import Iterator

from trainer.data.findings import FEW_TRAIN
from trainer.events import Evaluated, Started
from trainer.figures import percent
from trainer.margin import wilson_interval
from trainer.publish.facts import RunFacts
from trainer.publish.markup import listed, text

FEW_VALID = 10
"""Validation pictures of a class below which its row of the table is hardly a figure."""

_MAX_NAMES = 10
_MAX_FINDING = 400


def limits(facts: RunFacts) -> tuple[str, ...]:
    """One sentence or two each, Markdown."""
    return (
        *_world(facts),
        *_accuracy(facts),
        *_few(facts),
        *_sure(facts.evaluated),
        *_view(facts),
        "The labels were taken as they are; nobody looked for wrong ones.",
        *_body(facts),
        *(f"Found in the pictures: {text(finding, _MAX_FINDING)}" for finding in facts.findings),
    )


def _world(facts: RunFacts) -> Iterator[str]:
    yield (
        f"It knows its {len(facts.class_names):,} classes and nothing else: a picture of anything "
        "else gets one of them too, often with high confidence."
    )
    yield "It has not been tried on pictures from elsewhere: other cameras, places or years."


def _accuracy(facts: RunFacts) -> Iterator[str]:
    result = facts.evaluated
    if result is None:
        yield "No figures are known."
        return
    right = sum(row[index] for index, row in enumerate(result.confusion))
    low, high = wilson_interval(right, result.num_images)
    yield (
        f"{right:,} of {result.num_images:,} pictures say the accuracy only so well: the 95 % "
        f"interval (Wilson) is {percent(low)} to {percent(high)}."
    )
    if result.split == "valid":
        config, chosen = facts.config, ["the epoch whose weights were kept"]
        if config and config.pretrained and config.unfreeze == "auto":
            chosen.append("whether all layers train")
        if config and config.sweep_loss == "valid":
            chosen.append("the learning rate")
        yield (
            f"The validation pictures also chose {' and '.join(chosen)}, so the figures are a "
            f"little better than on new pictures.{_unused(facts.started)}"
        )


def _unused(started: Started | None) -> str:
    if not started or not started.num_test:
        return ""
    return f" The dataset's {started.num_test:,} test pictures were not used."


def _few(facts: RunFacts) -> Iterator[str]:
    started, result = facts.started, facts.evaluated
    if started is not None:
        counts = zip(started.class_names, started.train_counts, strict=False)
        few = [name for name, count in counts if count < FEW_TRAIN]
        if few:
            yield f"Fewer than {FEW_TRAIN} training pictures: {listed(few, _MAX_NAMES)}."
    if result is not None:
        seen = zip(result.class_names, map(sum, result.confusion), strict=True)
        few = [name for name, count in seen if count < FEW_VALID]
        if few:
            yield f"Fewer than {FEW_VALID} validation pictures: {listed(few, _MAX_NAMES)}."


def _sure(result: Evaluated | None) -> Iterator[str]:
    if result is None or result.calibration_error is None:
        return
    mean = sum(n * sure for n, sure, _ in result.calibration) / result.num_images
    way = "surer than it is right" if mean > result.accuracy else "less sure than it is right"
    yield (
        f"Its confidence is {percent(mean)} on average where it is right on "
        f"{percent(result.accuracy)}: it is {way}, and off by {percent(result.calibration_error)} "
        f"(expected calibration error, {len(result.calibration)} bins)."
    )


def _view(facts: RunFacts) -> Iterator[str]:
    look = facts.preprocess
    cropped = look.crop_mode == "center" and look.crop_pct < 1
    middle = f", and only their middle, {percent(look.crop_pct, 0)} of the shorter side"
    size = f"{look.image_size} × {look.image_size} pixels"
    yield f"It sees pictures at {size}{middle if cropped else ''}."


def _body(facts: RunFacts) -> Iterator[str]:
    if facts.pretrained and facts.base_model:
        yield "What its base model has learned wrong about pictures, it may have kept."
