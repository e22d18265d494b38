"""Where and in which arithmetic a run computes, each choice with its reason.

Not covered: several GPUs, and measuring which arithmetic is fastest (bf16 is taken wherever the
processor has instructions for it).
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from trainer.config import Config
from trainer.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Runtime:
    device: torch.device
    dtype: torch.dtype
    """Arithmetic of the body's forward and backward passes; weights stay float32."""
    reason: str

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`."""
        return "bf16" if self.dtype is torch.bfloat16 else "fp32"

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the body runs; leaves everything alone for fp32."""
        enabled = self.dtype is not torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled)


SMALL_IMAGE = 128
"""Below this side fp32 is faster on a CPU with bf16: lite0 at 64 px trains 151 against 79 images a
second (two cores of an AMD EPYC, medians of 6 steps of 32)."""


def choose_runtime(config: Config, image_size: int = 224) -> Runtime:
    """A GPU where there is one, and bf16 where the hardware multiplies it natively.

    Args:
        config: its `device` and `precision`.
        image_size: side in pixels of what the model will see.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise ConfigError("device is cuda, but PyTorch sees no GPU here; use --device auto or cpu.")
    device = torch.device("cuda" if has_cuda and config.device != "cpu" else "cpu")
    where = torch.cuda.get_device_name() if device.type == "cuda" else _cpu_name()
    native = _has_bf16(device)
    if config.precision == "auto" and native and _too_small(device, image_size):
        dtype, why = torch.float32, "fp32, faster than bf16 for small images"
    elif config.precision == "auto":
        dtype = torch.bfloat16 if native else torch.float32
        why = "bf16 in hardware" if native else "fp32, there is no bf16 in hardware"
    else:
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        why = f"{config.precision} as asked"
    return Runtime(device, dtype, f"{where}; {why}")


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("bf16"))


def _too_small(device: torch.device, image_size: int) -> bool:
    return device.type == "cpu" and image_size < SMALL_IMAGE


def _cpu_name() -> str:
    threads = torch.get_num_threads()
    return f"{threads} CPU core{'s' if threads > 1 else ''}"
