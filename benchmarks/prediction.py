"""One photo from its file to probabilities: ours warm, timm as its README does it, transformers.

python benchmarks/prediction.py DATASET [PICTURES [ROUNDS]]

The same exported model for all, each contestant in a process of its own, as its users have it; in
turn, round after round. Medians over pictures and rounds, after ten pictures that do not count.
"""

import json
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import script, spread, trainer, write

CONTESTANTS = ("ours, ONNX", "ours, PyTorch", "timm", "transformers")
WARM_UP = 10


def contestant(name: str, folder: Path) -> Callable[[Path], dict[str, float]]:
    """A function from a picture's file to its probabilities; imports only what it needs."""
    if name.startswith("ours"):
        from trainer.classifier import open_classifier
        from trainer.config import Config
        from trainer.predict import predict, read_file

        classifier = open_classifier(folder, Config(device="cpu"))
        return lambda path: dict(next(predict(classifier, [("", read_file(path))])).probs)
    if name == "transformers":
        from transformers import pipeline

        pipe: Any = pipeline("image-classification", model=str(folder), device="cpu")
        return lambda path: {row["label"]: row["score"] for row in pipe(str(path))}
    import timm
    import torch
    from PIL import Image

    model: Any = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    options = timm.data.resolve_model_data_config(model)  # pyright: ignore[reportAttributeAccessIssue]
    transform = timm.data.create_transform(**options)  # pyright: ignore[reportAttributeAccessIssue]
    names = model.pretrained_cfg["label_names"]

    def eager(path: Path) -> dict[str, float]:
        with torch.inference_mode():
            images = transform(Image.open(path).convert("RGB"))[None]
            return dict(zip(names, model(images).softmax(1)[0].tolist(), strict=True))

    return eager


def one(name: str, folder: Path, pictures: list[Path]) -> dict[str, Any]:
    """Milliseconds and probabilities of each picture."""
    answer = contestant(name, folder)
    for path in pictures[:WARM_UP]:
        answer(path)
    times, probs = [], []
    for path in pictures:
        began = time.perf_counter()
        found = answer(path)
        times.append(1000 * (time.perf_counter() - began))
        probs.append([found[label] for label in sorted(found)])
    return {"times": times, "probs": probs}


def pictures_of(dataset: Path, count: int) -> list[Path]:
    """So many validation pictures, evenly over the classes."""
    paths = sorted(dataset.glob("val/*/*"))
    return paths[:: max(1, len(paths) // count)][:count]


def main() -> None:
    """Train, export, time; prints and keeps the figures."""
    dataset, count, rounds = Path(sys.argv[1]), 60, 3
    if len(sys.argv) > 2:
        count = int(sys.argv[2])
    if len(sys.argv) > 3:
        rounds = int(sys.argv[3])
    times: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    gap = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        run, cache = Path(scratch) / "run", Path(scratch) / "cache"
        trainer("train", str(dataset), "--output-dir", str(run), cache=cache)
        plain = shutil.copytree(run / "model", Path(scratch) / "plain")
        trainer("export", str(run), cache=cache)
        for number in range(rounds):
            probs = {}
            for name in CONTESTANTS[number:] + CONTESTANTS[:number]:
                folder = plain if name == "ours, PyTorch" else run / "model"
                words = ("--one", name, str(folder), str(dataset), str(count))
                found = script(sys.executable, "prediction.py", *words)
                times[name] += found["times"]
                probs[name] = np.array(found["probs"])
            gap = max(float(np.abs(each - probs["timm"]).max()) for each in probs.values())
    figures = {name: spread(values) for name, values in times.items()}
    mine = figures["ours, ONNX"]["median"]
    ratios = {name: round(mine / each["median"], 3) for name, each in figures.items()}
    write("prediction", {"milliseconds": figures, "ratios": ratios, "largest_difference": gap})
    for name, each in figures.items():
        print(f"{name}: {each['median']:.1f} ms; ours with ONNX over it {ratios[name]:.2f}")
    print(f"largest difference of a probability: {gap:.1e}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "--one":
        some = pictures_of(Path(sys.argv[4]), int(sys.argv[5]))
        print(json.dumps(one(sys.argv[2], Path(sys.argv[3]), some)))
    else:
        main()
