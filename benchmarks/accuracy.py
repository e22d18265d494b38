"""Accuracy and seconds of `train --preset quick`: every dataset given, three seeds each.

python benchmarks/accuracy.py digits ../shared/data/cats_vs_dogs …  prints a table of medians and
puts the figures into benchmarks/accuracy.json. Each run is the whole command, from the start of
Python on, with the decoded pictures of the run before it in the cache (the first one of a dataset
has none).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEEDS = (1, 2, 3)


def run(dataset: str, seed: int, folder: Path) -> dict[str, float]:
    """One training; its last line, and the seconds of the whole process."""
    began = time.perf_counter()
    command = [
        *(sys.executable, "-m", "trainer", "train", dataset, "--preset", "quick", "--json"),
        *("--seed", str(seed), "--output-dir", str(folder)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    return {
        "seed": seed,
        "valid_accuracy": last["valid_accuracy"],
        "lr": last["lr"],
        "num_valid": last["num_valid"],
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    """Run everything, print the table, write the figures."""
    path = Path(__file__).with_suffix(".json")
    results: dict[str, list[dict[str, float]]] = json.loads(path.read_text())
    with tempfile.TemporaryDirectory() as scratch:
        for dataset in sys.argv[1:] or ["digits"]:
            name = Path(dataset).name
            results[name] = []
            for seed in SEEDS:
                results[name].append(run(dataset, seed, Path(scratch) / f"{name}-{seed}"))
                print(name, results[name][-1], flush=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print("| dataset | accuracy, median (lowest to highest) | seconds, median (longest) |")
    print("| --- | --- | --- |")
    for name, runs in results.items():
        accuracies = sorted(each["valid_accuracy"] for each in runs)
        seconds = sorted(each["seconds"] for each in runs)
        print(
            f"| {name} | {statistics.median(accuracies):.1%} ({accuracies[0]:.1%} to "
            f"{accuracies[-1]:.1%}) | {statistics.median(seconds):.0f} ({seconds[-1]:.0f}) |"
        )


if __name__ == "__main__":
    main()
