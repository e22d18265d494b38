"""The order of the training images: every image once an epoch, and the same each time."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.batches import epoch_batches, forever, num_batches, seed_for


def test_a_seed_is_the_same_on_every_machine() -> None:
    # The first 8 bytes of sha256("42:head:0") as a big-endian number, halved.
    assert seed_for(42, "head", 0) == 3446094447785572710
    assert seed_for(42, "head", 0) != seed_for(42, "head", 1)
    assert seed_for(1, 23) != seed_for(12, 3)


@pytest.mark.parametrize(
    ("num_images", "batch_size", "count"),
    [(10, 5, 2), (11, 5, 2), (12, 5, 3), (4, 5, 1), (1, 5, 1), (2, 2, 1), (3, 2, 1)],
)
def test_a_last_batch_of_one_image_is_left_out(
    num_images: int, batch_size: int, count: int
) -> None:
    assert num_batches(num_images, batch_size) == count
    sizes = [len(batch) for batch in epoch_batches(num_images, batch_size, 0)]
    assert len(sizes) == count
    assert sum(sizes) == (num_images if num_images % batch_size != 1 else max(1, num_images - 1))


@given(st.integers(1, 200), st.integers(2, 40), st.integers(0, 2**31 - 1))
def test_an_epoch_sees_each_image_at_most_once_and_leaves_out_at_most_one(
    num_images: int, batch_size: int, seed: int
) -> None:
    batches = epoch_batches(num_images, batch_size, seed, "all", 3)
    seen = np.concatenate(batches)
    assert len(set(seen.tolist())) == len(seen)
    assert set(seen.tolist()) <= set(range(num_images))
    assert len(seen) >= num_images - 1
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_the_order_is_another_each_epoch_and_phase_and_the_same_again() -> None:
    def order(*seed: int | str) -> list[int]:
        return np.concatenate(epoch_batches(50, 8, *seed)).tolist()

    orders = [order(1, "head", 0), order(1, "head", 1), order(1, "all", 0), order(2, "head", 0)]
    assert len({tuple(some) for some in orders}) == 4
    assert order(1, "head", 0) == orders[0]


def test_forever_goes_through_epoch_after_epoch() -> None:
    found = [batch.tolist() for batch in islice(forever(7, 3, 5, "sweep"), 5)]
    epochs = [epoch_batches(7, 3, 5, "sweep", epoch) for epoch in range(3)]
    assert found == [batch.tolist() for epoch in epochs for batch in epoch][:5]
