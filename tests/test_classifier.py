"""The warm classifier: two engines with one answer, and no stale model."""

import os
import shutil
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from tiny import result_of, tiny_config
from trainer.classifier import open_classifier
from trainer.config import config_for
from trainer.export import export_model, load_model
from trainer.infer import infer
from trainer.model import build_model
from trainer.onnx_export import export_onnx
from trainer.runner.exports import Exports
from trainer.runtime import exact_runtime
from trainer.transforms import preprocess_for

CONFIG = config_for(device="cpu")
IMAGES = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)


def model_folder(path: Path, seed: int = 0) -> Path:
    config = tiny_config(seed=seed)
    model = build_model(config, 3)
    preprocess = preprocess_for(model.pretrained_cfg, 32)
    names = ("a", "b", "c")
    return export_model(model, config.model_name, names, preprocess, path, pretrained=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with its ONNX copy."""
    made = model_folder(tmp_path_factory.mktemp("classifier") / "model")
    export_onnx(made)
    return made


def test_both_engines_answer_as_evaluation_does(folder: Path, tmp_path: Path) -> None:
    plain = shutil.copytree(folder, tmp_path / "plain")
    (plain / "model.onnx").unlink()
    loaded = load_model(folder)
    truth = result_of(
        infer(loaded.model, IMAGES, loaded.preprocess, exact_runtime(CONFIG), text="")
    )
    for path, engine in ((folder, "ONNX Runtime"), (plain, "PyTorch")):
        classifier = open_classifier(path, CONFIG)
        assert classifier.engine == engine
        assert classifier.class_names == ("a", "b", "c")
        answer = classifier.probs(IMAGES)
        assert answer.dtype == np.float32
        assert np.abs(answer - truth).max() <= 1e-5
        assert np.abs(classifier.probs(IMAGES[:1]) - truth[:1]).max() <= 1e-5


@pytest.mark.parametrize("fails", [False, True])
def test_pytorch_answers_in_one_thread_and_leaves_the_others_to_who_comes_next(
    tmp_path: Path, *, fails: bool
) -> None:
    classifier = open_classifier(model_folder(tmp_path / "model"), CONFIG)
    threads = []

    def watched(function: str) -> None:
        threads.append(torch.get_num_threads())
        if fails:
            raise RuntimeError(function)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        watching = register_module_forward_pre_hook(lambda module, _: watched(str(module)))
        with pytest.raises(RuntimeError) if fails else nullcontext():
            classifier.probs(IMAGES)
        watching.remove()
        assert set(threads) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_it_stays_open_until_a_file_changes(tmp_path: Path) -> None:
    path = model_folder(tmp_path / "model")
    first = open_classifier(path, CONFIG)
    assert open_classifier(path, CONFIG) is first
    shutil.rmtree(path)
    model_folder(path, seed=1)
    os.utime(path / "model.safetensors", ns=(1, 1))
    second = open_classifier(path, CONFIG)
    assert np.abs(second.probs(IMAGES) - first.probs(IMAGES)).max() > 1e-4


def test_a_damaged_onnx_file_is_passed_over(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "damaged")
    (copy / "model.onnx").write_bytes(b"no onnx")
    assert open_classifier(copy, CONFIG).engine == "PyTorch"


def test_the_worker_makes_the_copy_in_the_background(tmp_path: Path) -> None:
    path = model_folder(tmp_path / "model")
    exports = Exports()
    exports.add(path)
    until = time.monotonic() + 120
    while not (path / "model.onnx").exists() and time.monotonic() < until:
        time.sleep(0.1)
    exports.close()
    assert open_classifier(path, CONFIG).engine == "ONNX Runtime"


def test_closing_ends_what_is_being_made(tmp_path: Path) -> None:
    path = model_folder(tmp_path / "model")
    exports = Exports()
    exports.add(path)
    time.sleep(0.5)
    assert exports._process is not None
    command = Path(f"/proc/{exports._process.pid}/cmdline").read_text()
    assert "trainer.runner.exports" in command
    assert str(path) not in command  # a run's folder is named by its id
    began = time.monotonic()
    exports.close()
    assert time.monotonic() - began < 5
    assert exports._process is None or exports._process.poll() is not None
    assert sorted(each.name for each in path.iterdir()) == ["config.json", "model.safetensors"]
