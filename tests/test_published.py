"""A published model gives everybody the answers of its run: timm, transformers, ONNX Runtime, us.

The file is also the program of whoever loads it: a process with the emulator's address.
"""

import json
import subprocess
import sys
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from hub_emulator import HubEmulator
from hub_tokens import TOKEN
from photo_sets import SHARED

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = SHARED / "cats_vs_dogs"
NUM_PHOTOS, NUM_TRAINING = 20, 30
"""Photos that are compared, of both classes; and that are trained on, of each class."""
MAX_GAP = 1e-4
REPO = "ada/pets"
NAMES = ["cats", "dogs"]


def photos(folder: Path) -> list[Path]:
    """A folder of two classes; real photos where they are at hand, else noise with structure."""
    for name, blurs in (("cats", (1, 3)), ("dogs", (5, 9))):
        (folder / name).mkdir(parents=True)
        real = sorted(PHOTOS.glob(f"*/{name}/*.jpg"))[:NUM_TRAINING]
        for path in real:
            copyfile(path, folder / name / path.name)
        if not real:
            make_photos(folder / name, blurs)
    return sorted(folder.rglob("*.jpg"))


def make_photos(folder: Path, blurs: tuple[int, int]) -> None:
    """JPEGs of noise, blurred by so many pixels; a few of them large."""
    random = np.random.default_rng(blurs)
    for number in range(NUM_TRAINING):
        width, height = (int(side) for side in random.integers(160, 1200, 2))
        noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        blur = ImageFilter.GaussianBlur(int(random.integers(*blurs)))
        image = Image.fromarray(noise).filter(blur)
        image.save(folder / f"{number}.jpg", quality=int(random.integers(60, 96)))


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


def matrix(lines: str) -> np.ndarray:
    """The probabilities of predicted lines, `[pictures, classes]`."""
    answers = [dict(json.loads(line)["probs"]) for line in lines.splitlines()]
    return np.array([[answer[name] for name in NAMES] for answer in answers])


def test_whoever_loads_a_published_model_gets_the_answers_of_its_run(tmp_path: Path) -> None:
    taken = photos(tmp_path / "photos")
    files = [str(path) for path in taken[:: len(taken) // NUM_PHOTOS][:NUM_PHOTOS]]
    with HubEmulator() as hub:
        hub.users[TOKEN] = "ada"
        trained, command = tmp_path / "run", ("-m", "trainer")
        quick = ["--freeze-epochs", "2", "--epochs", "0", "--lr", "0.01", "--image-size", "64"]
        train = ("train", str(tmp_path / "photos"), *quick, "--output-dir", str(trained), "--json")
        run(hub, tmp_path, *command, *train)
        told = run(hub, tmp_path, *command, "push", str(trained), REPO, "--public", "--json")
        assert json.loads(told.splitlines()[-1])["verified"] is True
        predict = (*command, "predict", "--json")
        here = matrix(run(hub, tmp_path, *predict, str(trained), *files))
        pulled = run(hub, tmp_path, *predict, f"hf-hub:{REPO}", *files, token="")
        others = json.loads(run(hub, tmp_path, __file__, *files, token="").splitlines()[-1])
    assert here.shape == (NUM_PHOTOS, 2) and np.allclose(here.sum(axis=1), 1)
    assert here.std(axis=0).max() > 0.01  # the photos are not all the same to it
    assert np.median(here.max(axis=1)) < 0.999  # nor so clear that any model would say 1 and 0
    found = {"our own pull": matrix(pulled)} | {
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
    assert list(model.pretrained_cfg["label_names"]) == NAMES
    config = resolve_model_data_config(model)
    transform: Any = create_transform(**config, is_training=False)
    batch = torch.stack([transform(image) for image in images])
    with torch.inference_mode():
        by_timm = model(batch).softmax(dim=1)
    session = onnxruntime.InferenceSession(hf_hub_download(REPO, "model.onnx"))
    by_onnx = torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0]).softmax(1)
    classify = pipeline("image-classification", model=REPO, top_k=len(NAMES))
    said = [{each["label"]: each["score"] for each in answer} for answer in classify(images)]
    return {
        "timm": by_timm.tolist(),
        "ONNX Runtime": by_onnx.tolist(),
        "transformers": [[one[name] for name in NAMES] for one in said],
    }


if __name__ == "__main__":
    print(json.dumps(load_as_others(sys.argv[1:])))
