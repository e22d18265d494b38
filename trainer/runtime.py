"""Where and in which arithmetic the model computes, each choice with its reason.

On a CPU the choices are measured (`probe`); what stands here holds before that, and on a GPU.
Not covered: several GPUs.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from trainer.allocator import keep_freed_memory
from trainer.config import Config
from trainer.errors import ConfigError

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    device: torch.device
    dtype: torch.dtype
    """Arithmetic of the body's forward and backward passes; weights stay float32."""
    reason: str
    channels_last: bool = True
    """Memory layout of images and weights: N, H, W, C instead of N, C, H, W."""
    threads: int = 0
    """CPU threads; 0: as many as PyTorch takes."""
    batch_size: int = 16
    """Images that a forward pass without gradients takes at once; larger ones are no faster on
    a CPU, and the memory that they touch for the first time takes seconds."""
    images_per_second: float = 0.0
    """What the probe measured; 0 where nothing was."""
    exact_per_second: float = 0.0
    """The same in float32; 0 where that was not measured."""

    @property
    def precision(self) -> str:
        """`bf16` or `fp32`."""
        return "bf16" if self.dtype is torch.bfloat16 else "fp32"

    @property
    def rounding(self) -> tuple[object, ...]:
        """What decides how its sums round: with the same, the same inputs give the same bits."""
        return (self.dtype, self.channels_last, self.threads, self.batch_size)

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which the body runs; leaves everything alone for fp32."""
        enabled = self.dtype is not torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=enabled)

    def apply(self, model: nn.Module) -> None:
        """Lay the weights out, and set the number of threads."""
        model.to(memory_format=self.memory_format)  # pyright: ignore[reportCallIssue, reportArgumentType]
        if self.threads and self.threads != torch.get_num_threads():
            torch.set_num_threads(self.threads)

    def inputs(self, images: Tensor) -> Tensor:
        """The images `[N, 3, S, S]` on the device, laid out as the weights are."""
        moved = images.to(self.device, non_blocking=True)
        return moved.contiguous(memory_format=self.memory_format)

    @property
    def memory_format(self) -> torch.memory_format:
        """As PyTorch names the layout."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint or the probe's cache; without the device."""
        return {
            "precision": self.precision,
            "reason": self.reason,
            "channels_last": self.channels_last,
            "threads": self.threads,
            "batch_size": self.batch_size,
            "images_per_second": self.images_per_second,
            "exact_per_second": self.exact_per_second,
        }

    def exact(self) -> "Runtime":
        """The same in float32: for figures that must hold wherever the model is loaded."""
        reason = f"{device_name(self.device)}; fp32, for exact figures"
        speed = self.exact_per_second
        return replace(self, dtype=torch.float32, reason=reason, images_per_second=speed)


def runtime_from(values: dict[str, Any], device: torch.device) -> Runtime:
    """The runtime that `to_dict` wrote, on this device.

    Raises:
        KeyError, TypeError: the values are not those of a runtime.
    """
    rest = {key: value for key, value in values.items() if key != "precision"}
    return Runtime(device=device, dtype=_DTYPES[values["precision"]], **rest)


def choose_runtime(config: Config) -> Runtime:
    """A GPU where there is one, and bf16 where the hardware multiplies it natively.

    Args:
        config: its `device` and `precision`.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    keep_freed_memory()
    has_cuda = torch.cuda.is_available()
    if config.device == "cuda" and not has_cuda:
        raise ConfigError("device is cuda, but PyTorch sees no GPU here; use --device auto or cpu.")
    device = torch.device("cuda" if has_cuda and config.device != "cpu" else "cpu")
    native = has_bf16(device)
    if config.precision == "auto":
        dtype = torch.bfloat16 if native else torch.float32
        why = "bf16 in hardware" if native else "fp32, there is no bf16 in hardware"
    else:
        dtype, why = _DTYPES[config.precision], f"{config.precision} as asked"
    reason = f"{device_name(device)}; {why}"
    return Runtime(device=device, dtype=dtype, reason=reason, batch_size=_batch_size(device))


def exact_runtime(config: Config) -> Runtime:
    """float32, whatever the training used: for the figures that are published.

    Raises:
        ConfigError: as `choose_runtime`.
    """
    return choose_runtime(config).exact()


def _batch_size(device: torch.device) -> int:
    return 256 if device.type == "cuda" else 16


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bf16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("bf16"))


def device_name(device: torch.device) -> str:
    """The device in words: the GPU's name, or the number of CPU cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{threads} CPU core{'s' if threads > 1 else ''}"
