"""A model's `model.safetensors`: judged by its header, then loaded into the model it must fit.

The header lists every tensor's name, type, shape and place, so that a file that does not fit, or
is cut off, is known by its first bytes. No pickle is ever read.
"""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from trainer.architecture import TimmModel, check_cnn, create
from trainer.data.names import printable
from trainer.errors import ModelError
from trainer.model_config import ModelConfig, read_config

WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""The two files of a model folder that count."""

MAX_HEADER_BYTES = 1_000_000
"""The largest CNN of timm has a header of a tenth of that."""
_TYPES = frozenset({"F64", "F32", "F16", "BF16", "I64", "I32"})
_SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}
_MAX_SIDES = 8
"""Dimensions of a tensor; a video's convolution has five."""

Read = Callable[[int, int], bytes]
"""Bytes of the file from one position to another, the second left out."""


def check_weights(read: Read, num_bytes: int, model: TimmModel, what: str) -> None:
    """Hold a safetensors header against the model that the file is for.

    Args:
        read: gives a part of the file, wherever it lies.
        num_bytes: the file's size.
        model: may be on the meta device.
        what: the model, in words: `model 'owner/name'`.

    Raises:
        ModelError: it is no safetensors file, it is cut off, or its tensors do not fit.
    """
    tensors = _header(read, num_bytes, what)
    expected = model.state_dict()
    missing = [name for name in expected if name not in tensors and not _is_counter(name)]
    more = [name for name in tensors if name not in expected]
    if missing or more:
        lacks = f"lacks {missing[0]} ({len(missing)} in all)" if missing else ""
        has = f"has {printable(more[0])[:80]} ({len(more)} in all)" if more else ""
        raise ModelError(
            f"The weights of the {what} do not fit its architecture: the file "
            f"{' and '.join(filter(None, (lacks, has)))}. It may hold another model."
        )
    for name, (shape, _) in tensors.items():
        if shape != tuple(expected[name].shape):
            raise ModelError(
                f"The weights of the {what} do not fit its architecture: {name} is "
                f"{_by(shape)} and should be {_by(tuple(expected[name].shape))}."
            )


def open_model(folder: Path, what: str) -> tuple[TimmModel, ModelConfig]:
    """Build the model that a folder describes and load its weights, in float32 on the CPU.

    timm's own `local-dir:` would follow whatever the config says about where to load from.

    Raises:
        ModelError: it is no CNN that is taken here, or its weights are damaged or do not fit.
        OSError: a file cannot be read.
    """
    config = read_config(folder / CONFIG, what)
    check_cnn(config.architecture, config.args)
    pretrained_cfg = dict(config.pretrained_cfg)
    model = create(config.architecture, pretrained_cfg=pretrained_cfg, **config.args)
    load_weights(model, folder / WEIGHTS, what)
    return model, config


def load_weights(model: TimmModel, path: Path, what: str) -> None:
    """Load a safetensors file into a model, whole or not at all.

    Raises:
        ModelError: it is damaged, does not fit, or holds numbers that are not finite.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        check_weights(read, path.stat().st_size, model, what)
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ModelError(f"The weights of the {what} cannot be loaded: {error}") from error
    if not all(bool(torch.isfinite(value).all()) for value in state.values()):
        raise ModelError(f"The weights of the {what} hold numbers that are not finite.")
    own = model.state_dict()
    model.load_state_dict({name: state.get(name, value) for name, value in own.items()})


def _header(read: Read, num_bytes: int, what: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every tensor, by name.

    Raises:
        ModelError: it is none, or the file is not as long as it says.
    """
    no_header = ModelError(
        f"The {what} has a model.safetensors that is damaged: it does not begin with a list of "
        "tensors."
    )
    first = read(0, 8)
    if len(first) < 8:
        raise no_header
    (length,) = struct.unpack("<Q", first)
    if length > min(MAX_HEADER_BYTES, num_bytes):
        raise no_header
    try:
        entries = json.loads(read(8, 8 + length))
        entries.pop("__metadata__", None)
        tensors = {name: _entry(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise no_header from error
    end = 8 + length + max((entry[2] for entry in tensors.values()), default=0)
    if end != num_bytes:
        raise ModelError(
            f"The {what} has a model.safetensors of {num_bytes:,} bytes that should have {end:,}: "
            "it is cut off or damaged."
        )
    return {name: (shape, kind) for name, (shape, kind, _) in tensors.items()}


def _entry(entry: Mapping[str, Any]) -> tuple[tuple[int, ...], str, int]:
    """Shape, type and end of one tensor.

    Raises:
        ValueError, KeyError, TypeError: it is not as the format has it.
    """
    shape, kind, (start, end) = tuple(entry["shape"]), entry["dtype"], entry["data_offsets"]
    if kind not in _TYPES or len(shape) > _MAX_SIDES:
        raise ValueError(kind)
    # JSON's numbers have no end; the format's have 64 bits.
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, start, end)):
        raise ValueError(kind)
    count = 1
    for side in shape:
        count *= side
    if end - start != count * _SIZES[kind]:
        raise ValueError(end)
    return shape, kind, end


def _is_counter(name: str) -> bool:
    """BatchNorm's count of its batches, which old files do not have."""
    return name.endswith(".num_batches_tracked")


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"
