"""Time and memory against the number of pictures: the same photos once, four and sixteen times.

python benchmarks/scaling.py DATASET

Copies have other names, so that each is decoded and looked at anew. Seconds
are those of a cold `train --preset quick` with a fixed rate; memory is the process's highest
resident set. The time is linear where the slope from 4 to 16 is that from 1 to 4.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import ROOT, write

TIMES = (1, 4, 16)


def replicate(dataset: Path, target: Path, times: int) -> Path:
    """A folder with `times` copies of each picture."""
    for path in dataset.glob("*/*/*"):
        folder = target / path.relative_to(dataset).parent
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(times):
            (folder / f"{number}-{path.name}").write_bytes(path.read_bytes())
    return target


def train(dataset: Path, scratch: Path) -> tuple[float, float]:
    """Seconds and megabytes of one training, in a child of its own."""
    words = ["train", str(dataset), "--lr", "0.005", "--json", "--output-dir", str(scratch / "run")]
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, '-m', 'trainer', *sys.argv[1:]], check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    environment = {**os.environ, "LRLAB_CACHE": str(scratch / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *lines, kilobytes = done.stdout.splitlines()
    return json.loads(lines[-1])["seconds"], int(kilobytes) / 1024


def main() -> None:
    """One run a size; prints and keeps the figures."""
    rows = {}
    for times in TIMES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = replicate(Path(sys.argv[1]), Path(scratch) / "pictures", times)
            count = sum(1 for _ in folder.glob("*/*/*"))
            seconds, megabytes = train(folder, Path(scratch))
            rows[times] = {"pictures": count, "seconds": seconds, "megabytes": megabytes}
            print(times, rows[times], flush=True)
    one, four, sixteen = (rows[times] for times in TIMES)
    first = (four["seconds"] - one["seconds"]) / (four["pictures"] - one["pictures"])
    second = (sixteen["seconds"] - four["seconds"]) / (sixteen["pictures"] - four["pictures"])
    ratios = {
        "slope 4 to 16 over slope 1 to 4": round(second / first, 3),
        "memory 16 over 1": round(sixteen["megabytes"] / one["megabytes"], 3),
    }
    write("scaling", {"rows": rows, "ratios": ratios})
    print(ratios)


if __name__ == "__main__":
    main()
