"""Training all layers from photos at 224 px, batches of 32, against fastai and the raw step.

python benchmarks/throughput.py DATASET [ROUNDS]

Ours is what a run reports for an epoch without its first four steps, with augmentation, optimizer,
journal and reading of the pictures; fastai's is timed in the same way; the raw step works on
tensors in memory at the best of bf16 or fp32 and channels last or first, with our allocator.
Random weights and BatchNorm in training mode for all three. Interleaved, medians.
"""

import sys
import tempfile
from pathlib import Path

from common import peer_python, script, spread, trainer, write

BATCH, UNTIMED = 32, 4
MODELS = ("resnet18", "tf_efficientnet_lite0", "mobilenetv3_small_100")


def ours(dataset: str, model: str, cache: Path, folder: Path) -> float:
    """Images a second of one epoch, without its first steps."""
    words = ("--no-pretrained", "--model-name", model, "--epochs", "1", "--lr", "1e-3")
    output = ("--output-dir", str(folder))
    events, _ = trainer("train", dataset, *words, *output, cache=cache)
    speeds = [event["images_per_second"] for event in events if event["event"] == "step"][:-1]
    # Each is the mean since the epoch began; the last batch, smaller than the others, is left out.
    seconds = [BATCH * count / speed for count, speed in enumerate(speeds, start=1)]
    return BATCH * (len(seconds) - UNTIMED) / (seconds[-1] - seconds[UNTIMED - 1])


def main() -> None:
    """Interleaved rounds; prints and keeps the figures."""
    dataset, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for model in MODELS:
            found: dict[str, list[float]] = {}
            for number in range(rounds):
                run = Path(scratch) / f"{model}-{number}"
                raw = script(sys.executable, "raw_speed.py", "training", model)["best"]
                mine = ours(dataset, model, Path(scratch) / "cache", run)
                peer = script(peer_python(), "peer_fastai.py", "throughput", dataset, model)
                theirs = peer["images_per_second"]
                values = {"raw": raw, "ours": mine, "fastai": theirs}
                values |= {"ours over raw": mine / raw, "ours over fastai": mine / theirs}
                for name, value in values.items():
                    found.setdefault(name, []).append(value)
                print(model, {name: round(value, 2) for name, value in values.items()}, flush=True)
            figures[model] = {name: spread(values) for name, values in found.items()}
    write("throughput", {"images_per_second": figures})
    print("| model | ours | fastai | raw step | over fastai | over raw |")
    print("| --- | --- | --- | --- | --- | --- |")
    for model, rows in figures.items():
        names = ("ours", "fastai", "raw", "ours over fastai", "ours over raw")
        print(f"| {model} | {' | '.join(str(round(rows[n]['median'], 2)) for n in names)} |")


if __name__ == "__main__":
    main()
