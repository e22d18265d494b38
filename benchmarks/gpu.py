"""On a GPU: training from the cache against the same steps on synthetic tensors on the device.

python benchmarks/gpu.py [PICTURES]

resnet50 at 224 px, batches of 64, and a small ResNet on 20,000 pictures of 32 px, ten epochs.
Pictures are generated, because only their number and size matter here. Needs torch and timm.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

os.environ.setdefault("LRLAB_CACHE", tempfile.mkdtemp(prefix="lrlab-gpu-"))

import common  # noqa: F401 it makes the trainer importable
from trainer.augment import Augmentation
from trainer.batches import epoch_batches
from trainer.config import config_for
from trainer.data import Data, Picture, Provenance, Split
from trainer.data.decoded import DecodedSplit
from trainer.learner import Learner
from trainer.model import build_model, make_optimizer, set_mode
from trainer.plan import plan
from trainer.runtime import choose_runtime
from trainer.task import task_for
from trainer.transforms import preprocess_for
from trainer.update import update


def make_learner(model_name: str, side: int, count: int, batch_size: int) -> Learner:
    """A learner over generated decoded pictures, as `prepare` makes it over real ones."""
    config = config_for(
        model_name=model_name, pretrained=False, batch_size=batch_size, image_size=side, epochs=10
    )
    path = Path(os.environ["LRLAB_CACHE"]) / f"{side}-{count}.u8"
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for _ in range(count):
            file.write(rng.integers(0, 255, (side, side, 3), dtype=np.uint8).tobytes())
    images = DecodedSplit(path, count, side)
    labels = rng.integers(0, 10, count)
    pictures = tuple(Picture(str(i), int(label), bytes) for i, label in enumerate(labels))
    data = Data(
        class_names=tuple("0123456789"),
        train=Split("train", pictures),
        valid=Split("valid", pictures[:10]),
        provenance=Provenance(dataset_id="generated", kind="builtin"),
    )
    model = build_model(config, 10)
    runtime = choose_runtime(config)
    return Learner(
        config=config,
        data=data,
        model=model.to(runtime.device),
        preprocess=preprocess_for(model.pretrained_cfg, side),
        runtime=runtime,
        augmentation=Augmentation("light", True, "photos"),
        train_images=images,
        valid_images=images,
        train_labels=torch.tensor(labels, device=runtime.device),
        valid_labels=labels[:10],
        training_runtime=runtime,
    )


def seconds_of(learner: Learner, epochs: int, *, synthetic: bool) -> float:
    """Seconds of `epochs`; synthetic: one batch that lies on the device, used again and again."""
    config, (phase,) = learner.config, plan(learner.config)
    task = task_for(learner, phase)
    set_mode(learner.model, frozen=False, pretrained=False)
    optimizer = make_optimizer(task.groups(), config, 1e-3)
    side = learner.preprocess.image_size
    device = learner.runtime.device
    fixed = learner.runtime.inputs(torch.randn(config.batch_size, 3, side, side, device=device))
    labels = torch.zeros(config.batch_size, dtype=torch.int64, device=device)
    losses = []

    def step(indices: np.ndarray) -> None:
        if not synthetic:
            losses.append(update(learner, task, optimizer, indices, lr=1e-3, seed=1))
            return
        loss = functional.cross_entropy(task.logits(fixed[: len(indices)]), labels[: len(indices)])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())

    batches = [
        batch
        for epoch in range(epochs)
        for batch in epoch_batches(learner.num_train, config.batch_size, epoch)
    ]
    for batch in batches[:10]:
        step(batch)
    _wait(device)
    began = time.perf_counter()
    for number, batch in enumerate(batches):
        step(batch)
        if number % 8 == 7:  # as a run reads them
            torch.stack(losses).tolist()
            losses.clear()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    """Three interleaved rounds of each; prints JSON."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    cases = {
        "resnet50 at 224 px": (make_learner("resnet50", 224, max(count // 4, 64), 64), 1),
        "resnet10t at 32 px": (make_learner("resnet10t", 32, count, 128), 10),
    }
    for name, (learner, epochs) in cases.items():
        rows = [
            [seconds_of(learner, epochs, synthetic=which) for which in (False, True)]
            for _ in range(3)
        ]
        ratios = sorted(synthetic / ours for ours, synthetic in rows)
        where = learner.runtime.reason
        print(json.dumps({"case": name, "where": where, "seconds": rows, "ratio": ratios[1]}))


if __name__ == "__main__":
    main()
