"""The split into train and valid where a dataset brings none: stratified, seeded, repeatable."""

import math
from collections import Counter
from collections.abc import Sequence

from trainer.data.dataset import Picture
from trainer.errors import ConfigError, DatasetError


def split_off(
    pictures: Sequence[Picture], *, class_names: Sequence[str], valid_fraction: float, seed: int
) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Split pictures into train and valid, each class in proportion.

    The pictures are sorted by name first, so the result depends on names, labels and seed alone:
    not on the file system's order, and not on the machine. Every class gets at least one picture
    on either side, even where its share would round to none.

    Returns:
        Train and valid, each sorted by name.

    Raises:
        ConfigError: `valid_fraction` is not between 0 and 1.
        DatasetError: a class has fewer than two pictures.
    """
    if not 0.0 < valid_fraction < 1.0:
        raise ConfigError(f"valid_fraction is {valid_fraction}; it must lie between 0 and 1.")
    ordered = sorted(pictures, key=lambda picture: picture.name)
    labels = [picture.label for picture in ordered]
    _refuse_lone_pictures(ordered, class_names)
    chosen = _repair(_choose(labels, valid_fraction, seed), labels)
    train = tuple(picture for index, picture in enumerate(ordered) if index not in chosen)
    valid = tuple(picture for index, picture in enumerate(ordered) if index in chosen)
    return train, valid


def split_rule(valid_fraction: float, seed: int) -> str:
    """The rule of `split_off` in words, for the provenance and the model card."""
    return f"{valid_fraction * 100:g} % of the pictures, stratified, seed {seed}"


def _refuse_lone_pictures(pictures: Sequence[Picture], class_names: Sequence[str]) -> None:
    counts = Counter(picture.label for picture in pictures)
    for picture in pictures:
        if counts[picture.label] == 1:
            raise DatasetError(
                f"Class {class_names[picture.label]!r} has a single picture ({picture.name}); it "
                "takes at least two, one to train on and one to validate with. Add pictures of "
                "this class, or remove the class."
            )


def _choose(labels: list[int], valid_fraction: float, seed: int) -> set[int]:
    # scikit-learn takes about a second to import: only when a split is really made.
    from sklearn.model_selection import train_test_split

    num_classes = len(set(labels))
    num_valid = math.ceil(round(len(labels) * valid_fraction, 6))
    num_valid = min(max(num_valid, num_classes), len(labels) - num_classes)
    _, valid = train_test_split(
        range(len(labels)), test_size=num_valid, stratify=labels, random_state=seed
    )
    return set(valid)


def _repair(chosen: set[int], labels: list[int]) -> set[int]:
    """Give each class that came out empty on one side its first or last picture there."""
    members: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        members.setdefault(label, []).append(index)
    for indices in members.values():
        if chosen.isdisjoint(indices):
            chosen = chosen | {indices[-1]}
        elif chosen.issuperset(indices):
            chosen = chosen - {indices[0]}
    return chosen
