"""`ModelConfig`: what a model folder's `config.json` says, judged before anything is built by it.

The file may come from anybody. Of its keys only those are taken that describe the architecture,
the preprocessing and the classes; each is held against what it may be. Nothing that names a place
to load from (`url`, `file`, `hf_hub_id`, `state_dict`, `custom_load`) is even looked at.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm

from trainer.architecture import ModelArgs
from trainer.data.names import megabytes, printable
from trainer.errors import ModelError
from trainer.limits import Limits

MAX_CONFIG_BYTES = 2_000_000
"""ImageNet-21k with names and descriptions needs about one."""
_MAX_CLASSES = 1_000_000
_MAX_LABEL_LENGTH = 300
_MIN_IMAGE_SIZE = 16

_NUMBERS = ("drop_rate", "drop_path_rate", "drop_block_rate", "bn_eps", "bn_momentum")
_WORDS = ("global_pool", "act_layer", "norm_layer")
_WORD = re.compile(r"[a-z0-9_]{0,30}")
_INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "lanczos", "hamming", "box")
_CROP_MODES = ("center", "squash", "border")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """What is needed to build the model and to show it pictures."""

    architecture: str
    """timm's name of it, without a tag."""
    args: ModelArgs
    """Of the architecture; `num_classes` is among them."""
    pretrained_cfg: Mapping[str, Any]
    """timm's own for the architecture, with the folder's preprocessing."""
    class_names: tuple[str, ...]
    """In the order of the logits; numbers where the file has no names."""


def read_config(path: Path, what: str, limits: Limits | None = None) -> ModelConfig:
    """Read and judge a `config.json`.

    Args:
        path: the file.
        what: the model, in words: `model 'owner/name'`.
        limits: `max_image_size`; from the environment by default.

    Raises:
        ModelError: what is wrong with it.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_CONFIG_BYTES:
        raise ModelError(
            f"The {what} has a config.json that is {megabytes(size)}; the limit is "
            f"{megabytes(MAX_CONFIG_BYTES)}."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"The {what} has a config.json that is not JSON ({str(error)[:100]}), so nothing says "
            "what model it is."
        ) from error
    return judge_config(values, what, limits or Limits.from_env())


def judge_config(values: Any, what: str, limits: Limits) -> ModelConfig:
    """Take what is needed out of a config, and refuse what does not make sense.

    Raises:
        ModelError: what is wrong with it.
    """
    if not isinstance(values, dict):
        raise ModelError(f"The {what} has a config.json that is not a JSON object.")
    inner = values.get("pretrained_cfg", values)  # timm's first format had one level
    if not isinstance(inner, dict):
        raise ModelError(f"The {what} has a pretrained_cfg that is not a JSON object.")
    architecture = _architecture(values, what)
    known = timm.get_pretrained_cfg(architecture)
    base = known.to_dict(remove_source=True) if known is not None else {}
    args = _model_args(values.get("model_args") or {}, what)
    count = args.get("num_classes")
    for source in (values, inner, base):
        count = source.get("num_classes") if count is None else count
    count = _whole("num_classes", 1000 if count is None else count, 1, _MAX_CLASSES, what)
    names = values.get("label_names", inner.get("label_names", inner.get("labels")))
    return ModelConfig(
        architecture=architecture,
        args={**args, "num_classes": count},
        pretrained_cfg={**base, **_preprocessing(inner, what, limits), "num_classes": count},
        class_names=_class_names(names, count, what),
    )


def _architecture(values: Mapping[str, Any], what: str) -> str:
    name = values.get("architecture")
    if isinstance(name, str) and timm.is_model(name):
        return name.partition(".")[0]
    if name is None:
        others = values.get("architectures")
        kind = others[0] if isinstance(others, list) and others else None
        if kind:
            raise ModelError(
                f"The {what} is made for transformers ({printable(str(kind))[:60]}), not for timm. "
                "Choose a model whose page carries the library timm."
            )
        raise ModelError(
            f"The {what} has a config.json that names no architecture, so it is not a timm model."
        )
    if not isinstance(name, str) or len(name) > 100:
        raise ModelError(f"The {what} has an architecture that is not a name.")
    return name  # the architecture's own check says what it could have meant


def _model_args(args: Any, what: str) -> dict[str, Any]:
    """The arguments that a CNN may have been built with.

    Raises:
        ModelError: another argument, or a value that it cannot have.
    """
    if not isinstance(args, dict):
        raise ModelError(f"The {what} has model_args that are not a JSON object.")
    taken: dict[str, Any] = {}
    for name, value in args.items():
        shown = f"{printable(str(name))[:60]}={printable(repr(value))[:60]}"
        if name == "num_classes":
            taken[name] = _whole(name, value, 1, _MAX_CLASSES, what)
        elif name == "in_chans":
            _whole(name, value, 3, 3, what)
        elif name in _NUMBERS and _is_number(value) and 0 <= value <= 1:
            taken[name] = float(value)
        elif name in _WORDS and isinstance(value, str) and _WORD.fullmatch(value):
            taken[name] = value
        else:
            raise ModelError(
                f"The {what} is built with model_args that this app does not accept: {shown}. "
                "Choose a model whose architecture is just as timm has it."
            )
    return taken


def _preprocessing(values: Mapping[str, Any], what: str, limits: Limits) -> dict[str, Any]:
    """What the model is to be shown; timm's own where the file says nothing.

    Raises:
        ModelError: a value that pictures cannot be prepared by.
    """
    taken: dict[str, Any] = {}
    size = values.get("input_size")
    if size is not None:
        if not isinstance(size, list) or len(size) != 3 or size[0] != 3 or size[1] != size[2]:
            raise _odd("input_size", size, what)
        side = _whole("input_size", size[1], _MIN_IMAGE_SIZE, limits.max_image_size, what)
        taken["input_size"] = (3, side, side)
    for name, high in (("mean", 1.0), ("std", 10.0)):
        value = values.get(name)
        if value is None:
            continue
        good = isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))
        if not good or not all(0 <= each <= high for each in value):
            raise _odd(name, value, what)
        taken[name] = tuple(float(each) for each in value)
    if min(taken.get("std", (1.0,))) < 1e-3:
        raise _odd("std", values["std"], what)
    crop = values.get("crop_pct")
    if crop is not None:
        if not _is_number(crop) or not 0.1 <= crop <= 2:
            raise _odd("crop_pct", crop, what)
        taken["crop_pct"] = float(crop)
    for name, words in (("interpolation", _INTERPOLATIONS), ("crop_mode", _CROP_MODES)):
        value = values.get(name)
        if value is not None:
            if value not in words:
                raise _odd(name, value, what)
            taken[name] = value
    return taken


def _class_names(names: Any, count: int, what: str) -> tuple[str, ...]:
    """One name a logit; numbers where there are none.

    Raises:
        ModelError: they are no names, or not as many as classes.
    """
    numbers = [str(number) for number in range(count)]
    if names is None or names == [] or names == {}:
        return tuple(numbers)
    if isinstance(names, dict):  # id to name, perhaps with gaps
        if not names.keys() <= set(numbers):
            raise ModelError(f"The {what} has label_names for classes that it does not have.")
        names = [names.get(number, number) for number in numbers]
    if not isinstance(names, list):
        raise ModelError(f"The {what} has label_names that are not a list.")
    if len(names) != count:
        raise ModelError(
            f"The {what} has {len(names):,} label_names for {count:,} classes, so nothing says "
            "which is which."
        )
    if not all(isinstance(name, str) and len(name) <= _MAX_LABEL_LENGTH for name in names):
        raise ModelError(
            f"The {what} has label_names that are not texts of up to {_MAX_LABEL_LENGTH} "
            "characters."
        )
    return tuple(printable(name) for name in names)


def _whole(name: str, value: Any, low: int, high: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _odd(name, value, what)
    return value


def _is_number(value: Any) -> bool:
    """Whether it can be held against a range, which neither NaN nor infinity is within.

    `math.isfinite` cannot take every whole number that JSON can write.
    """
    return isinstance(value, int | float) and not isinstance(value, bool)


def _odd(name: str, value: Any, what: str) -> ModelError:
    return ModelError(
        f"The {what} has a config.json with {name} {printable(repr(value))[:60]}, which pictures "
        "cannot be prepared by or classes counted by."
    )
