"""One photo from its file to probabilities: ours warm, timm as its README does it, transformers.

python benchmarks/prediction.py DATASET [PICTURES]

The same exported model for all; each picture goes through every contestant in turn, in an order
that rotates. Medians over the pictures, after a first round that does not count.
"""

import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from transformers import pipeline

from common import spread, trainer, write
from trainer.classifier import open_classifier
from trainer.config import Config
from trainer.predict import predict, read_file

warnings.simplefilter("ignore")


def contestants(folder: Path, plain: Path) -> dict[str, Callable[[Path], np.ndarray]]:
    """Probabilities of a picture's file, by name; `plain` has no ONNX copy."""
    config = Config(device="cpu")
    with_onnx, without = open_classifier(folder, config), open_classifier(plain, config)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))  # pyright: ignore[reportAttributeAccessIssue]
    pipe: Any = pipeline("image-classification", model=str(folder), device="cpu")

    def ours(classifier: Any) -> Callable[[Path], np.ndarray]:
        def run(path: Path) -> np.ndarray:
            (answer,) = predict(classifier, [(path.name, read_file(path))])
            return np.array([dict(answer.probs)[name] for name in classifier.class_names])

        return run

    def eager(path: Path) -> np.ndarray:
        with torch.inference_mode():
            return model(transform(Image.open(path).convert("RGB"))[None]).softmax(1)[0].numpy()

    def transformers(path: Path) -> np.ndarray:
        rows = {row["label"]: row["score"] for row in pipe(str(path))}
        return np.array([rows[name] for name in with_onnx.class_names])

    return {
        f"ours, {with_onnx.engine}": ours(with_onnx),
        f"ours, {without.engine}": ours(without),
        "timm": eager,
        "transformers": transformers,
    }


def main() -> None:
    """Train, export, time; prints and keeps the figures."""
    dataset, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60
    pictures = sorted(dataset.glob("val/*/*"))
    pictures = pictures[:: max(1, len(pictures) // count)][:count]
    with tempfile.TemporaryDirectory() as scratch:
        run, cache = Path(scratch) / "run", Path(scratch) / "cache"
        trainer("train", str(dataset), "--output-dir", str(run), cache=cache)
        plain = shutil.copytree(run / "model", Path(scratch) / "plain")
        trainer("export", str(run), cache=cache)
        names = contestants(run / "model", plain)
        times: dict[str, list[float]] = {name: [] for name in names}
        gap = 0.0
        for turn in range(3):
            for number, path in enumerate(pictures):
                order = list(names)[number % len(names) :] + list(names)[: number % len(names)]
                answers = {}
                for name in order:
                    began = time.perf_counter()
                    answers[name] = names[name](path)
                    if turn:
                        times[name].append(1000 * (time.perf_counter() - began))
                gap = max(
                    gap, *(float(np.abs(a - answers["timm"]).max()) for a in answers.values())
                )
    figures = {name: spread(values) for name, values in times.items()}
    mine = figures["ours, ONNX Runtime"]["median"]
    ratios = {name: round(mine / each["median"], 3) for name, each in figures.items()}
    write("prediction", {"milliseconds": figures, "ratios": ratios, "largest_difference": gap})
    for name, each in figures.items():
        print(f"{name}: {each['median']:.1f} ms; ours with ONNX over it {ratios[name]:.2f}")
    print(f"largest difference of a probability: {gap:.1e}")


if __name__ == "__main__":
    main()
