"""A published model gives everybody the answers of its run: timm, transformers, ONNX Runtime, us.

The file is also the program of whoever loads it: a process with the emulator's address.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from hub_emulator import HubEmulator

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT.parent / "shared" / "data" / "cats_vs_dogs"
TOKEN = "hf_canaryTokenOfAda"
NUM_PHOTOS = 20
MAX_GAP = 1e-4
REPO = "ada/digits"


def longest_side(path: Path) -> int:
    with Image.open(path) as image:
        return max(image.size)


def photos(folder: Path) -> list[Path]:
    """Real photos where they are at hand, else noise with the structure of photos, as JPEGs."""
    real = sorted(PHOTOS.rglob("*.jpg"))[:: max(1, len(list(PHOTOS.rglob("*.jpg"))) // 40)]
    small = [path for path in real if longest_side(path) <= 500]
    if len(small) >= NUM_PHOTOS:
        return small[:NUM_PHOTOS]
    random = np.random.default_rng(1)
    made = []
    for number in range(NUM_PHOTOS):
        width, height = (int(side) for side in random.integers(160, 500, 2))
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(int(random.integers(1, 9))))
        path = folder / f"{number}.jpg"
        image.save(path, quality=int(random.integers(60, 96)))
        made.append(path)
    return made


def run(hub: HubEmulator, folder: Path, *argv: str, token: str = TOKEN) -> str:
    """What a command prints, in a process that knows this Hub."""
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=ROOT,
        env=hub.client_env(
            folder / "home",
            HF_TOKEN=token,
            PYTHONPATH=str(ROOT),
            LRLAB_CACHE=str(folder / "cache"),
            OMP_NUM_THREADS="1",
        ),
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def matrix(lines: str, names: list[str]) -> np.ndarray:
    """The probabilities of predicted lines, [pictures, classes]."""
    answers = [dict(json.loads(line)["probs"]) for line in lines.splitlines()]
    return np.array([[answer[name] for name in names] for answer in answers])


def test_whoever_loads_a_published_model_gets_the_answers_of_its_run(tmp_path: Path) -> None:
    files = [str(path) for path in photos(tmp_path)]
    with HubEmulator() as hub:
        hub.users[TOKEN] = "ada"
        trained, command = tmp_path / "run", ("-m", "trainer")
        quick = ["--freeze-epochs", "2", "--epochs", "0", "--lr", "0.01", "--image-size", "64"]
        run(
            hub,
            tmp_path,
            *command,
            "train",
            "digits",
            *quick,
            "--output-dir",
            str(trained),
            "--json",
        )
        told = run(hub, tmp_path, *command, "push", str(trained), REPO, "--public", "--json")
        assert json.loads(told.splitlines()[-1])["verified"] is True
        predict = (*command, "predict", "--top", "10", "--json")
        names = [str(digit) for digit in range(10)]
        here = matrix(run(hub, tmp_path, *predict, str(trained), *files), names)
        pulled = run(hub, tmp_path, *predict, f"hf-hub:{REPO}", *files, token="")
        others = json.loads(run(hub, tmp_path, __file__, *files, token="").splitlines()[-1])
    assert here.shape == (NUM_PHOTOS, 10) and np.allclose(here.sum(axis=1), 1)
    assert here.std(axis=0).max() > 0.01  # the photos are not all the same to it
    found = {"our own pull": matrix(pulled, names)} | {
        name: np.array(answers) for name, answers in others.items()
    }
    assert sorted(found) == ["ONNX Runtime", "our own pull", "timm", "transformers"]
    gaps = {name: float(np.abs(answers - here).max()) for name, answers in found.items()}
    print(f"Largest gap in {NUM_PHOTOS} pictures: {gaps}")
    assert max(gaps.values()) <= MAX_GAP, gaps


def load_as_others(files: list[str]) -> dict[str, list[list[float]]]:
    """The probabilities that timm, transformers and ONNX Runtime give."""
    import onnxruntime
    import torch
    from huggingface_hub import hf_hub_download
    from timm import create_model
    from timm.data.config import resolve_model_data_config
    from timm.data.transforms_factory import create_transform
    from transformers import pipeline

    images = []
    for path in files:
        with Image.open(path) as image:
            images.append(image.convert("RGB"))
    model: Any = create_model(f"hf-hub:{REPO}", pretrained=True).eval()
    names = list(model.pretrained_cfg["label_names"])
    assert names == [str(digit) for digit in range(10)]
    config = resolve_model_data_config(model)
    transform: Any = create_transform(**config, is_training=False)
    batch = torch.stack([transform(image) for image in images])
    with torch.inference_mode():
        by_timm = model(batch).softmax(dim=1)
    session = onnxruntime.InferenceSession(hf_hub_download(REPO, "model.onnx"))
    by_onnx = torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0]).softmax(1)
    classify = pipeline("image-classification", model=REPO, top_k=len(names))
    said = [{each["label"]: each["score"] for each in answer} for answer in classify(images)]
    return {
        "timm": by_timm.tolist(),
        "ONNX Runtime": by_onnx.tolist(),
        "transformers": [[one[name] for name in names] for one in said],
    }


if __name__ == "__main__":
    print(json.dumps(load_as_others(sys.argv[1:])))
