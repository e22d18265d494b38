"""The estimate before the click against what it takes, in five cases, each cold and warm.

python benchmarks/estimate.py CATS_VS_DOGS PIZZA_STEAK_SUSHI [WORD]   with WORD only the cases with
it in their name, the others' figures stay

Each case: `--dry-run` (which measures what it must), then the run itself with the same cache.
"""

import json
import sys
import tempfile
from pathlib import Path

from common import ROOT, trainer, write

DATASETS = ("digits", *sys.argv[1:3])
FIGURES = ROOT / "benchmarks" / "estimate.json"
CASES = {
    "head, digits": (0, "--unfreeze", "never"),
    "all layers, digits": (0, "--unfreeze", "always", "--epochs", "2"),
    "head, cats_vs_dogs": (1, "--unfreeze", "never"),
    "two views, pizza_steak_sushi": (2, "--views", "2", "--unfreeze", "never"),
    "lesson, pizza_steak_sushi": (2, "--preset", "lesson", "--epochs", "2"),
}


def main() -> None:
    """Prints and keeps estimate, truth and their ratio."""
    word = sys.argv[3] if len(sys.argv) > 3 else ""
    rows = json.loads(FIGURES.read_text())["rows"] if word else {}
    for name, (which, *words) in CASES.items():
        if word not in name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            cache = Path(scratch) / "cache"
            for state in ("cold", "again"):
                job = ("train", DATASETS[which], *words)
                planned = trainer(*job, "--dry-run", cache=cache)[0][-1]
                output = ("--output-dir", str(Path(scratch) / state))
                done = trainer(*job, *output, cache=cache)[0][-1]
                estimate = planned["train_seconds"] + planned["optional_seconds"]
                ratio = round(estimate / done["seconds"], 3)
                key = f"{name}, {state}"
                rows[key] = {"estimate": estimate, "seconds": done["seconds"], "ratio": ratio}
                print(
                    f"{key}: {estimate:.1f} s estimated, {done['seconds']:.1f} s: {ratio}",
                    flush=True,
                )
    write("estimate", {"rows": rows})


if __name__ == "__main__":
    main()
