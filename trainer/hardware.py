"""The machine and the versions that figures were made with, by name."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

import trainer


def hardware_name(device: torch.device) -> str:
    """What computes: the GPU's name, or the processor's and how many of its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    usable = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    cores = len(usable(0)) if usable else os.cpu_count() or 1
    used = min(torch.get_num_threads(), cores)
    return f"{_processor()}, {used} of {cores} core{'s' if cores > 1 else ''}"


def versions() -> dict[str, str]:
    """Of Python, of the libraries that compute, and of this project."""
    packages = {name: version(name) for name in ("torch", "torchvision", "timm")}
    return {"lr-lab": trainer.__version__, "python": platform.python_version(), **packages}


def _processor() -> str:
    """The processor's name; its architecture where the system keeps it to itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
