"""Lesson 1 on photos, cold and again, beside fastai and the floor.

python benchmarks/lesson1.py DATASET [ROUNDS [FASTAI_ROUNDS]]

Ours: five sweeps, the head's training and the validation accuracy, `train --preset quick`: the
first run on a machine (`first`, nothing cached), on data that is new (`cold`: the machine has been
measured before), and the same again (`again`). `accuracy seconds` ends with the last validation,
before the model is saved.
fastai: `lr_find`, one frozen and one unfrozen epoch, the same weights, size and batch size.
Floor: one forward pass of every picture at the model's raw speed on tensors in memory. Interleaved;
`process` is the whole command, `seconds` what it says itself, from opening the data on.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from common import peer_python, script, spread, trainer, write


def main() -> None:
    """Interleaved rounds; prints and keeps the figures."""
    dataset = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    peer_rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    found: dict[str, list[float]] = {}
    peers = []

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)
        print(f"{name}: {value:.3f}", flush=True)

    for number in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:
            cache, runs = Path(scratch) / "cache", Path(scratch)
            speed = script(sys.executable, "raw_speed.py", "forward", "tf_efficientnet_lite0")
            words = ("train", dataset, "--preset", "quick", "--repeats", "5", "--seed", str(number))
            for name in ("first", "cold", "again"):
                if name == "cold":
                    for folder in ("decoded", "features", "checks"):
                        shutil.rmtree(cache / folder)
                events, process = trainer(
                    *words, "--output-dir", str(runs / f"{name}{number}"), cache=cache
                )
                done = events[-1]
                note(f"{name} seconds", done["seconds"])
                note(f"{name} process", process)
                note("accuracy", done["valid_accuracy"])
            note("floor", (done["num_train"] + done["num_valid"]) / speed["best"])
        if number < peer_rounds:
            peers.append(script(peer_python(), "peer_fastai.py", "lesson", dataset))
            total = sum(peers[-1][part] for part in ("lr_find", "frozen", "unfrozen"))
            print(peers[-1], flush=True)
            note("fastai seconds", total)
            note("fastai accuracy", peers[-1]["accuracy"])
    figures = {name: spread(values) for name, values in found.items()}
    floors = [
        cold / floor for cold, floor in zip(found["cold seconds"], found["floor"], strict=True)
    ]
    ratios = {"cold over floor": spread(floors)}
    if peers:
        ratios["fastai over cold"] = spread(
            [
                theirs / ours
                for theirs, ours in zip(
                    found["fastai seconds"], found["cold seconds"], strict=False
                )
            ]
        )
    write("lesson1", {"seconds": figures, "ratios": ratios, "fastai": peers})
    for name, values in {**figures, **ratios}.items():
        lowest, highest = values["lowest"], values["highest"]
        print(f"{name}: {values['median']} ({lowest} to {highest}, n={values['n']})")


if __name__ == "__main__":
    main()
