"""The split: stratified, the same everywhere, and never a class without a picture on a side."""

import random
from collections import Counter

import pytest

from trainer.data import Picture, load_data, split_off
from trainer.errors import ConfigError, DatasetError

Side = tuple[Picture, ...]

FIRST_VALID_DIGITS = [f"digits[{i:04d}]" for i in (4, 6, 10, 11, 21, 24, 28, 31)]


def pictures(*counts: int) -> list[Picture]:
    return [
        Picture(f"{label}/{index:03d}.png", label, bytes)
        for label, count in enumerate(counts)
        for index in range(count)
    ]


def split(some: list[Picture], fraction: float = 0.2, seed: int = 42) -> tuple[Side, Side]:
    names = [str(label) for label in range(len(some))]
    return split_off(some, class_names=names, valid_fraction=fraction, seed=seed)


def test_the_digits_are_split_as_on_every_machine() -> None:
    data = load_data("digits")
    assert [len(part) for part in data.splits] == [1437, 360]
    assert [picture.name for picture in data.valid.pictures[:8]] == FIRST_VALID_DIGITS
    assert data.provenance.split_rule == "20 % of the pictures, stratified, seed 42"


def test_the_order_of_the_files_does_not_matter() -> None:
    some = pictures(20, 30)
    shuffled = random.Random(1).sample(some, len(some))
    assert split(shuffled) == split(some)


def test_both_sides_are_sorted_by_name_and_share_nothing() -> None:
    some = pictures(20, 30)
    train, valid = split(some)
    for side in (train, valid):
        assert [p.name for p in side] == sorted(p.name for p in side)
    assert sorted(p.name for p in train + valid) == sorted(p.name for p in some)


def test_classes_are_split_in_proportion() -> None:
    _, valid = split(pictures(50, 100, 10))
    assert Counter(p.label for p in valid) == {0: 10, 1: 20, 2: 2}


def test_another_seed_gives_another_split() -> None:
    some = pictures(50, 50)
    assert split(some, seed=1) != split(some, seed=2)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("counts", [(2, 2), (2, 1000), (3, 500, 2, 2), (2,) * 50])
def test_every_class_has_a_picture_on_either_side(counts: tuple[int, ...], fraction: float) -> None:
    train, valid = split(pictures(*counts), fraction)
    everyone = set(range(len(counts)))
    assert {p.label for p in train} == everyone
    assert {p.label for p in valid} == everyone


def test_a_lone_picture_is_said_in_words() -> None:
    with pytest.raises(DatasetError, match=r"Class '1' has a single picture \(1/000.png\)"):
        split(pictures(5, 1))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="it must lie between 0 and 1"):
        split(pictures(5, 5), fraction)
