"""The probe: what it chooses is the fastest it measured, kept for the next run, and leaves no
trace in the model."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import digest, tiny_config
from trainer import probe as probing
from trainer.config import Config
from trainer.model import TimmModel, build_model
from trainer.probe import images_at_once, known_probe, probe
from trainer.runtime import Runtime, choose_runtime, exact_runtime, runtime_from


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    threads = torch.get_num_threads()
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "probes"
    torch.set_num_threads(threads)


@pytest.fixture
def speeds(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Runtime], float]], list]:
    """Stand in for the stopwatch: a function of the runtime; returns the list of what was tried."""

    def use(speed_of: Callable[[Runtime], float]) -> list[Runtime]:
        tried: list[Runtime] = []

        def speed(model: TimmModel, runtime: Runtime, size: int, **_: Any) -> float:
            tried.append(runtime)
            return speed_of(runtime)

        monkeypatch.setattr(probing, "_speed", speed)
        monkeypatch.setattr(probing, "has_bf16", lambda device: True)
        monkeypatch.setattr(probing, "_alone", lambda *_: True)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
        monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
        return tried

    return use


def run(config: Config | None = None, *, training: bool = False) -> Runtime:
    config = config or tiny_config(precision="auto")
    model = build_model(config, 3)
    start = replace(choose_runtime(config), dtype=torch.bfloat16)
    return probe(model, config, start, 224, training=training)


def test_a_real_measurement_leaves_the_model_as_it_was(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "ALONE", 0.0)  # other tests may run beside this one
    config = tiny_config(precision="auto")
    model = build_model(config, 3)
    before, modes = digest(model), [module.training for module in model.modules()]
    rng = torch.get_rng_state()
    for training in (False, True):
        found = probe(model, config, choose_runtime(config), 32, training=training)
        assert found.images_per_second > 0
        assert f"{found.images_per_second:.0f} images a second" in found.reason
        assert known_probe(config, found, 32, training=training) == found
    assert digest(model) == before
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), rng)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("threads", [2, 4])
def test_it_finds_the_fastest_of_all_settings(
    precision: str, channels_last: bool, threads: int, speeds: Any
) -> None:
    def speed(runtime: Runtime) -> float:
        right = (
            (runtime.precision == precision)
            + (runtime.channels_last == channels_last)
            + (runtime.threads == threads)
        )
        return 10.0 * 1.5**right

    speeds(speed)
    found = run()
    assert (found.precision, found.channels_last, found.threads) == (
        precision,
        channels_last,
        threads,
    )
    assert found.images_per_second == pytest.approx(10 * 1.5**3)


def test_a_tie_or_noise_keeps_the_first_and_says_what_was_tried(speeds: Any) -> None:
    tried = speeds(lambda runtime: 104.0 if runtime.precision == "fp32" else 100.0)
    found = run()
    assert found.precision == "bf16"
    assert len(tried) == 5
    assert found.reason == (
        "bf16 channels-last, 16 at once, 4 threads for the frozen body: 100 images a second "
        "(measured; fp32 channels-last, 16 at once, 4 threads 104, "
        "bf16 channels-first, 16 at once, 4 threads 100, "
        "bf16 channels-last, 16 at once, 2 threads 100, "
        "bf16 channels-last, 32 at once, 4 threads 100)"
    )


def test_larger_batches_are_tried_for_looking_only(speeds: Any) -> None:
    tried = speeds(lambda runtime: float(runtime.batch_size))
    assert run().batch_size == 32
    tried.clear()
    assert run(training=True).batch_size == 16
    assert all(runtime.batch_size == 8 for runtime in tried)


@pytest.mark.parametrize("at_once", [1, 2, 4, 24])
@pytest.mark.parametrize("training", [False, True])
def test_no_pass_takes_more_than_fits(at_once: int, training: bool, speeds: Any) -> None:
    """A run that is begun again for lack of memory would die of the same measurement."""
    tried = speeds(lambda runtime: float(runtime.batch_size))
    config, size = tiny_config(precision="auto"), 224
    model, start = build_model(config, 3), choose_runtime(config)
    found = probe(model, config, start, size, training=training, at_once=at_once)
    assert tried
    assert max(runtime.batch_size for runtime in tried) <= at_once
    assert found.batch_size <= at_once
    assert known_probe(config, start, size, training=training) is None
    known = known_probe(config, start, size, training=training, at_once=at_once)
    assert known is not None and known.batch_size == found.batch_size


def test_small_images_are_tried_more_at_once() -> None:
    assert [images_at_once(size) for size in (640, 224, 112, 64, 16)] == [16, 16, 64, 128, 128]


def test_a_precision_that_was_asked_for_is_kept(speeds: Any) -> None:
    tried = speeds(lambda runtime: 9.0 if runtime.precision == "fp32" else 1.0)
    config = tiny_config(precision="bf16")
    found = probe(build_model(config, 3), config, choose_runtime(config), 32, training=False)
    assert found.precision == "bf16"
    assert "precision as asked" in found.reason
    assert {runtime.precision for runtime in tried[2:]} == {"bf16"}


def test_the_speed_in_float32_is_kept_for_exact_figures(speeds: Any) -> None:
    speeds(lambda runtime: 40.0 if runtime.precision == "fp32" else 100.0)
    found = run()
    exact = found.exact()
    assert (found.precision, found.exact_per_second) == ("bf16", 40.0)
    assert (exact.precision, exact.images_per_second) == ("fp32", 40.0)
    assert (exact.threads, exact.channels_last) == (found.threads, found.channels_last)


def test_it_measures_once_for_a_model_size_and_kind(speeds: Any) -> None:
    tried = speeds(lambda runtime: 1.0)
    run()
    tried.clear()
    run()
    assert tried == []
    run(training=True)
    run(tiny_config(precision="auto", model_name="test_byobnet"))
    assert len(tried) > 5


def test_what_was_measured_beside_others_is_not_kept(
    cache: Path, speeds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    speeds(lambda runtime: 1.0)
    monkeypatch.setattr(probing, "_alone", lambda *_: False)
    assert run().images_per_second == 1.0
    assert not cache.exists()
    monkeypatch.undo()
    assert probing._alone(seconds=1.0, cpu_seconds=0.9 * torch.get_num_threads())
    assert not probing._alone(seconds=1.0, cpu_seconds=0.5 * torch.get_num_threads())


def test_what_was_kept_and_cannot_be_read_is_measured_again(cache: Path, speeds: Any) -> None:
    tried = speeds(lambda runtime: 1.0)
    run()
    for text in ("{", '{"precision": "fp8"}', '{"precision": "bf16", "colour": 1}'):
        (path,) = cache.iterdir()
        path.write_text(text)
        tried.clear()
        run()
        assert tried


def test_a_cache_that_cannot_be_written_is_no_error(cache: Path, speeds: Any) -> None:
    speeds(lambda runtime: 2.0)
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert run().images_per_second == 2.0


def test_a_runtime_survives_the_trip_through_a_checkpoint() -> None:
    runtime = replace(choose_runtime(tiny_config()), threads=3, channels_last=False)
    assert runtime_from(runtime.to_dict(), runtime.device) == runtime


def test_exact_figures_are_computed_in_float32_whatever_was_asked() -> None:
    assert exact_runtime(tiny_config(precision="bf16")).dtype is torch.float32
