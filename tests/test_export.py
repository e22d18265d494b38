"""What `export_model` and `export_onnx` write: others load it, and it answers as our own model.

The truth is our own `load_model` and `predict`; timm, transformers and onnxruntime are the others.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from timm.data.config import resolve_model_data_config
from timm.data.transforms_factory import create_transform

from pictures import encode, png, quadrants
from trainer.agreement import MAX_GAP, gap
from trainer.classifier import open_classifier
from trainer.config import config_for
from trainer.errors import ModelError
from trainer.events import Done, Exported
from trainer.export import load_model
from trainer.jobs import Job, execute
from trainer.onnx_export import check_onnx, export_onnx
from trainer.predict import predict

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a tiny model, trained for one epoch on coloured squares, and its ONNX."""
    folder = tmp_path_factory.mktemp("export")
    for number in range(40):
        path = folder / "squares" / ("warm", "cold")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        color = (200, number * 4, 0) if number % 2 == 0 else (0, number * 4, 200)
        path.write_bytes(png(color, (8, 8)))
    config = config_for(
        model_name="test_resnet", pretrained=False, epochs=1, image_size=32, lr=0.01, batch_size=8
    )
    job = Job(kind="train", config=config, dataset=str(folder / "squares"))
    *_, done = execute(job, folder / "run")
    assert isinstance(done, Done)
    *_, exported = execute(Job(kind="export", config=config, model=str(folder / "run")), folder)
    assert exported == Exported(path=str(folder / "run" / "model" / "model.onnx"))
    return folder / "run"


@pytest.fixture(scope="module")
def model(run: Path) -> Path:
    return run / "model"


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Not square and larger than the model's input, so that resizing and cropping count."""
    return quadrants((90, 60))


@pytest.fixture(scope="module")
def probs(model: Path, picture: Image.Image) -> dict[str, float]:
    """Our own answer."""
    classifier = open_classifier(model, config_for())
    (answer,) = predict(classifier, [("picture", lambda: encode(picture))])
    assert 0.001 < answer.probs[1][1] < 0.5  # not so sure that any comparison would hold
    return dict(answer.probs)


def test_the_folder_says_nothing_of_weights_that_it_did_not_begin_from(model):
    kept = json.loads((model / "config.json").read_text())["pretrained_cfg"]
    assert not {"tag", "license", "origin_url", "paper_ids"} & set(kept), kept


def test_timm_loads_the_folder_and_gives_the_same_probabilities(model, picture, probs):
    loaded = timm.create_model(f"local-dir:{model}", pretrained=True).eval()
    transform: Any = create_transform(**resolve_model_data_config(loaded), is_training=False)
    with torch.inference_mode():
        theirs = loaded(transform(picture)[None]).softmax(dim=1)[0]
    names = json.loads((model / "config.json").read_text())["label_names"]
    assert dict(zip(names, theirs.tolist(), strict=True)) == pytest.approx(probs, abs=1e-5)


def test_transformers_loads_the_folder_and_gives_the_same_probabilities(model, picture, probs):
    from transformers import pipeline

    theirs = pipeline("image-classification", model=str(model), device="cpu")(picture)
    assert {row["label"]: row["score"] for row in theirs} == pytest.approx(probs, abs=1e-5)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_onnx_takes_any_number_of_images_and_answers_as_the_model(model, count):
    loaded = load_model(model)
    images = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    session = onnxruntime.InferenceSession(model / "model.onnx")
    theirs = torch.from_numpy(np.asarray(session.run(["logits"], {"images": images.numpy()})[0]))
    with torch.inference_mode():
        ours = loaded.model(images)
    assert theirs.shape == (count, 2)
    assert (theirs.softmax(dim=1) - ours.softmax(dim=1)).abs().max() <= 1e-4


def test_the_run_holds_no_pickle_and_the_model_folder_no_stray_file(run, model):
    assert {path.name for path in model.iterdir()} == {
        "README.md",
        "config.json",
        "model.onnx",
        "model.safetensors",
    }
    assert not [path for path in run.rglob("*") if path.suffix in PICKLES]
    weights = load_file(model / "model.safetensors")
    assert all(np.isfinite(value).all() for value in weights.values())


def test_the_config_names_the_classes_and_the_training_preprocessing(model):
    config = json.loads((model / "config.json").read_text())
    assert config["label_names"] == ["cold", "warm"]
    assert config["pretrained_cfg"]["input_size"] == [3, 32, 32]
    assert "num_classes" not in config.get("model_args", {})


def test_an_export_that_cannot_be_written_says_so_and_leaves_nothing(model, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(ModelError, match=r"model\.onnx cannot be written"):
        export_onnx(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "model.onnx",
        "model.safetensors",
    ]


def test_an_onnx_that_answers_differently_or_not_at_all_is_refused(model, tmp_path):
    weights = load_file(model / "model.safetensors")
    weights["fc.weight"] = weights["fc.weight"] * 1.01
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((model / "config.json").read_bytes())
    check_onnx(load_model(model), model / "model.onnx")
    with pytest.raises(ModelError, match="differs from the model by"):
        check_onnx(load_model(tmp_path), model / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="does not run"):
        check_onnx(load_model(tmp_path), tmp_path / "model.onnx")


def test_a_folder_without_a_model_is_refused_in_words(tmp_path):
    with pytest.raises(ModelError, match=r"no model\.safetensors and no config\.json"):
        export_onnx(tmp_path)


def test_the_gap_sees_a_logit_that_sure_probabilities_hide():
    truth = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    answer = torch.tensor([[100.0, 1.0], [0.0, 100.0]])
    assert float((answer.softmax(1) - truth.softmax(1)).abs().max()) < 1e-6
    assert gap(answer, truth) == pytest.approx(0.01)
    assert gap(truth, truth) == 0.0


def test_the_rounding_of_very_large_logits_is_no_gap():
    truth = torch.tensor([[7000.0, 6999.999, -7000.0]])
    answer = torch.tensor([[6999.999, 7000.0, -7000.0]])
    assert float((answer.softmax(1) - truth.softmax(1)).abs().max()) > MAX_GAP
    assert gap(answer, truth) <= MAX_GAP
    assert gap(torch.tensor([[6990.0, 7000.0, -7000.0]]), truth) > MAX_GAP


def test_the_gap_of_an_answer_that_is_not_finite_is_no_agreement():
    truth = torch.zeros(1, 2)
    assert not gap(torch.tensor([[float("nan"), 0.0]]), truth) <= MAX_GAP
