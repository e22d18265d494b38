"""A few pictures of each class, for a sample sheet."""

import random

from trainer.data.dataset import Data, Picture


def samples(
    data: Data, *, per_class: int, total: int, seed: int = 0, split: str = "train"
) -> tuple[tuple[str, Picture], ...]:
    """Choose pictures of a split at random, the same ones for the same data and seed.

    Where `total` is too few for `per_class` of every class, all classes get equally many, and
    where there are more classes than that, the first ones get one each.

    Returns:
        (class name, picture), class by class.
    """
    of_class: list[list[Picture]] = [[] for _ in data.class_names]
    pictures_of = {part.name: part.pictures for part in data.splits}
    for picture in pictures_of[split]:
        of_class[picture.label].append(picture)
    rng = random.Random(seed)
    for pictures in of_class:
        rng.shuffle(pictures)
    room = total
    chosen: list[list[Picture]] = [[] for _ in of_class]
    for turn in range(per_class):
        for picked, pictures in zip(chosen, of_class, strict=True):
            if room > 0 and turn < len(pictures):
                picked.append(pictures[turn])
                room -= 1
    return tuple(
        (name, picture)
        for name, picked in zip(data.class_names, chosen, strict=True)
        for picture in picked
    )
