"""Cached features: which views, kept for whom, and never for another body or other pictures."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tiny import collect, result_of, tiny_config, tiny_data, tiny_learner
from trainer.augment import Augmentation
from trainer.config import config_for
from trainer.events import Progress
from trainer.features import (
    FEW,
    PictureView,
    body_digest,
    cached_features,
    features_path,
    num_views,
    picture_views,
)
from trainer.learner import Learner, ensure_features
from trainer.model import body_features
from trainer.runtime import Runtime
from trainer.transforms import to_batch

PHOTOS = Augmentation("light", True, "")
SIGNS = Augmentation("light", False, "")
PLAIN = picture_views(1, PHOTOS, 0)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "features"


def looking(
    learner: Learner,
    key: str = "tiny",
    views: tuple[PictureView, ...] = PLAIN,
    *,
    exactly: bool = False,
) -> Generator[Progress, None, tuple[torch.Tensor, Runtime]]:
    how = (learner.preprocess, learner.runtime, views)
    path = features_path(body_digest(learner.model), key, *how)
    model, images = learner.model, learner.train_images
    return cached_features(model, images, *how, path=path, text="Go", exactly=exactly)


def features_of(
    learner: Learner, key: str = "tiny", views: tuple[PictureView, ...] = PLAIN
) -> tuple[bool, torch.Tensor]:
    """Whether the body had to look, and the features."""
    events, (found, _) = collect(looking(learner, key, views))
    assert all(isinstance(event, Progress) for event in events)
    return bool(events), found


def test_features_are_the_bodys_of_each_picture_and_of_its_mirror_image() -> None:
    learner = tiny_learner(data=tiny_data(70, 9))
    _, features = features_of(learner, views=picture_views(2, PHOTOS, 0))
    assert features.shape[:2] == (2, 70)
    assert not features.is_inference()
    some = np.array([0, 15, 16, 69])
    images = learner.train_images[some]
    for view, pictures in ((0, images), (1, np.ascontiguousarray(images[:, :, ::-1]))):
        with torch.inference_mode():
            inputs = learner.preprocess.normalize(to_batch(pictures))
            expected = body_features(learner.model.eval(), inputs)
        assert torch.allclose(features[view, some], expected, atol=1e-4)


def test_a_second_look_reads_what_the_first_one_kept(cache: Path) -> None:
    looked, first = features_of(tiny_learner())
    again, second = features_of(tiny_learner())
    assert (looked, again) == (True, False)
    assert torch.equal(first, second)
    assert len(list(cache.iterdir())) == 1


def test_other_weights_pictures_arithmetic_or_views_are_other_features() -> None:
    learner = tiny_learner()
    features_of(learner)
    assert features_of(learner, key="other")[0]
    assert features_of(learner, views=picture_views(2, PHOTOS, 0))[0]
    learner.runtime = replace(learner.runtime, dtype=torch.bfloat16)
    assert features_of(learner)[0]
    assert features_of(tiny_learner(tiny_config(seed=1)))[0]


def test_what_another_arithmetic_kept_is_read_unless_the_very_same_is_needed() -> None:
    """A busy machine finds other batches the fastest each time: it must not look again for that."""
    learner = tiny_learner()
    _, (_, made) = collect(looking(learner))
    learner.runtime = replace(learner.runtime, batch_size=made.batch_size // 2)
    events, (_, found) = collect(looking(learner))
    assert not events
    assert found.rounding == made.rounding != learner.runtime.rounding
    events, (_, found) = collect(looking(learner, exactly=True))
    assert events
    assert found == learner.runtime
    assert not collect(looking(learner, exactly=True))[0]


def test_a_damaged_file_is_computed_again(cache: Path) -> None:
    _, first = features_of(tiny_learner())
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    looked, second = features_of(tiny_learner())
    assert looked
    assert torch.equal(first, second)
    assert not features_of(tiny_learner())[0]


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(cache: Path) -> None:
    learner = tiny_learner()
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    assert features_of(learner)[0]


def test_more_views_are_augmented_ones_and_signs_are_not_mirrored() -> None:
    assert [view.name for view in picture_views(2, PHOTOS, 0)] == ["as it is", "mirrored"]
    assert [view.name for view in picture_views(2, SIGNS, 7)] == [
        "as it is",
        "augmented 1, light, seed 7",
    ]
    learner = tiny_learner()
    _, features = features_of(learner, views=picture_views(4, PHOTOS, 0))
    for one in range(4):
        for other in range(one):
            assert not torch.allclose(features[one], features[other])


def test_few_photos_are_mirrored_too_unless_somebody_chose() -> None:
    auto, chosen = config_for(), config_for(views=3)
    assert [num_views(auto, PHOTOS, count) for count in (FEW, FEW + 1)] == [2, 1]
    assert num_views(auto, SIGNS, FEW) == 1
    assert num_views(chosen, PHOTOS, 10_000) == num_views(chosen, SIGNS, 10) == 3


def test_validation_features_are_exact_whatever_the_training_computes_in() -> None:
    learner = tiny_learner(tiny_config(precision="bf16"))
    result_of(ensure_features(learner))
    assert learner.features is not None
    assert learner.runtime.precision == "bf16"
    exact = tiny_learner()
    result_of(ensure_features(exact))
    assert exact.features is not None
    assert torch.equal(learner.features.valid, exact.features.valid)
    assert not torch.equal(learner.features.train, exact.features.train)
    assert learner.made is not None
    assert learner.made.body == body_digest(learner.model)


def test_the_head_is_no_part_of_the_bodys_digest() -> None:
    learner = tiny_learner()
    before = body_digest(learner.model)
    with torch.no_grad():
        learner.model.fc.linear.weight.add_(1)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    assert body_digest(learner.model) == before
    with torch.no_grad():
        next(learner.model.parameters()).add_(1)
    assert body_digest(learner.model) != before


def test_the_head_is_trained_with_the_threads_of_the_run_also_where_features_are_known() -> None:
    """A sum over two threads rounds otherwise: a resumed run would be another."""
    before = torch.get_num_threads()
    try:
        for _ in range(2):
            torch.set_num_threads(2)
            learner = tiny_learner(pretend=True)
            learner.runtime = replace(learner.runtime, threads=1, images_per_second=1.0)
            collect(ensure_features(learner))
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
