"""`Config`: every setting of a run, validated once; it knows nothing of tokens, paths or UI.

`config_for("quick", epochs=3)` starts from a preset; the command line's options and the app's
controls are these fields.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trainer.errors import ConfigError
from trainer.limits import Limits

CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": ("quick", "lesson"),
    "optimizer": ("adamw", "sgd"),
    "schedule": ("one_cycle", "cosine", "constant", "sgdr"),
    "augment": ("auto", "none", "light", "strong"),
    "unfreeze": ("auto", "always", "never"),
    "growth": ("exponential", "doubling"),
    "sweep_loss": ("train", "valid"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "fp32", "bf16"),
}
"""The words that a field of words may hold."""
MAY_BE_NONE = ("image_size", "views", "lr", "unfrozen_lr")
"""The numbers that are chosen during the run where none is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    preset: str = "quick"
    """The recipe: `quick` (head on cached features, then all layers where it pays) or `lesson`
    (the eight steps of fast.ai's first lesson)."""
    model_name: str = "tf_efficientnet_lite0"
    """A timm model's name; lite0 is the one whose weights need no network. `hf-hub:owner/name` or
    `hf-hub:owner/name@revision` starts from any timm CNN on the Hub that has safetensors."""
    pretrained: bool = True
    """Start from ImageNet weights; without, from random numbers, which needs far more data."""
    image_size: int | None = None
    """Side in pixels of the square that the model sees; none: the model's own, or a smaller one
    where the pictures are tiny. Larger sees more detail and costs its square in time."""
    freeze_epochs: int = 10
    """Epochs that train the head alone on the frozen body's features; cheap."""
    epochs: int = 6
    """Epochs that train all layers after that. More fit better, then over-fit."""
    unfreeze: str = "auto"
    """Train all layers? `auto` skips it where the head alone is right on 98 % already."""
    lr: float | None = None
    """Peak learning rate of the head's phase; none (`auto`): sweep first and take the
    suggestion. Ten times too low wastes epochs, ten times too high destroys the weights."""
    unfrozen_lr: float | None = None
    """Peak rate of the head once all layers train; none: chosen from the optimizer
    (1e-3 AdamW, 3e-2 SGD), or swept again by the lesson."""
    body_lr_mult: float = 0.3
    """The body's rate over the head's, once all layers train (discriminative rates); 0.1–1."""
    optimizer: str = "adamw"
    """`adamw` (Loshchilov and Hutter 2017) or `sgd` with Nesterov momentum."""
    momentum: float = 0.9
    """SGD's momentum or AdamW's beta1, where the schedule does not set it; 0–0.99."""
    weight_decay: float = 0.01
    """Decoupled for AdamW; never on norms and biases. Raising it keeps weights small; 0–0.3."""
    schedule: str = "one_cycle"
    """The course of the rate within a phase: `one_cycle`, `cosine`, `constant` or `sgdr`."""
    cycle_len: int = 1
    """Epochs of SGDR's first cycle."""
    cycle_mult: int = 2
    """How much longer each SGDR cycle is than the one before."""
    batch_size: int = 32
    """Images in one step. Larger is steadier and needs a larger rate; smaller learns more often."""
    augment: str = "auto"
    """Random changes to training images: `none`, `light` (shift, zoom, and a flip where pictures
    can be mirrored), `strong` (also turns and colours); `auto` suits the data."""
    views: int | None = None
    """Versions of each picture in the cached features: 2 adds its mirror image where that keeps
    its meaning, more add augmented ones; each costs a pass through the body. None: 2 up to 500
    pictures, which are soon learned by heart, else 1."""
    label_smoothing: float = 0.0
    """Share of each label spread over all classes, 0–0.3; against over-confidence."""
    seed: int = 42
    """Order of the images, augmentation and a new head's weights."""
    split_seed: int = 42
    """Seed of the train/valid split where the data has none; apart from `seed`, so that runs
    with other seeds are judged on the same pictures."""
    valid_fraction: float = 0.2
    """Share of the pictures held out for validation where the data has no such split; 0.05–0.5."""
    lr_min: float = 1e-7
    """First rate of the sweep."""
    lr_max: float = 10.0
    """Last rate of the sweep."""
    num_steps: int = 100
    """Steps of the sweep (exponential growth)."""
    growth: str = "exponential"
    """How the sweep's rate grows: `exponential` in num_steps, or `doubling` each step."""
    repeats: int = 3
    """Sweeps with other orders of the data, drawn as one curve; 1–20."""
    sweep_loss: str = "train"
    """What the sweep watches: the loss of each step's `train` images, as fast.ai's `lr_find`, or
    of validation images after the step (`valid`, as its `lr_find2`), which shows over-fitting."""
    verify: bool = True
    """Check the sweep's reading with trainings at several rates, judged on held-out training
    pictures: whole ones of the head, short ones of all layers, within ten seconds or a quarter of
    the training's time."""
    device: str = "auto"
    """`auto`: a GPU where there is one."""
    precision: str = "auto"
    """Arithmetic of the steps: `bf16` where the hardware has it, else `fp32`."""

    def __post_init__(self) -> None:
        _check_words(self)
        for name, (low, high) in ranges().items():
            value = getattr(self, name)
            if value is not None or name not in MAY_BE_NONE:
                _check_range(name, value, low, high)
        if self.lr_max <= self.lr_min:
            raise ConfigError(
                f"lr_max ({self.lr_max:g}) must be larger than lr_min ({self.lr_min:g})."
            )
        if self.freeze_epochs + self.epochs == 0:
            raise ConfigError("freeze_epochs and epochs are both 0; set one of them above 0.")
        if self.pretrained and self.unfreeze == "never" and self.freeze_epochs == 0:
            raise ConfigError(
                "unfreeze is never and freeze_epochs is 0, so nothing would be trained; set "
                "freeze_epochs above 0."
            )
        if not self.pretrained and self.epochs == 0:
            raise ConfigError(
                "epochs is 0 and the weights are random: a frozen random body learns nothing. "
                "Set epochs above 0 or use pretrained weights."
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        return asdict(self)


def ranges(limits: Limits | None = None) -> dict[str, tuple[float, float]]:
    """The lowest and the highest value of each number, both allowed."""
    limits = limits or Limits.from_env()
    return {
        "image_size": (16, limits.max_image_size),
        "freeze_epochs": (0, limits.max_epochs),
        "epochs": (0, limits.max_epochs),
        "lr": (1e-10, 1e3),
        "unfrozen_lr": (1e-10, 1e3),
        "body_lr_mult": (0.0, 1.0),
        "momentum": (0.0, 0.999),
        "weight_decay": (0.0, 1.0),
        "cycle_len": (1, limits.max_epochs),
        "cycle_mult": (1, 10),
        "batch_size": (2, limits.max_batch_size),
        "views": (1, 16),
        "label_smoothing": (0.0, 0.5),
        "seed": (0, 2**31 - 1),
        "split_seed": (0, 2**31 - 1),
        "valid_fraction": (0.05, 0.5),
        "lr_min": (1e-12, 1.0),
        "lr_max": (1e-9, 1e4),
        "num_steps": (6, limits.max_sweep_steps),
        "repeats": (1, limits.max_repeats),
    }


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "quick": {},
    "lesson": {
        "freeze_epochs": 2,
        "epochs": 7,
        "schedule": "sgdr",
        "unfreeze": "always",
        "body_lr_mult": 0.1,
    },
}
"""What each preset changes in the defaults."""


def config_for(preset: str = "quick", **overrides: Any) -> Config:
    """The preset's settings with the given ones put over them.

    Raises:
        ConfigError: an unknown preset or setting, or a value out of range.
    """
    if preset not in tuple(PRESETS):
        raise ConfigError(f"preset is {preset!r}; choose {' or '.join(PRESETS)}.")
    known = {field.name for field in fields(Config)}
    if unknown := sorted(set(overrides) - known):
        raise ConfigError(
            f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}."
        )
    return Config(**{"preset": preset, **PRESETS[preset], **overrides})


def config_from_json(text: str) -> Config:
    """The config that `json.dumps(config.to_dict())` wrote.

    Raises:
        ConfigError: it is not such a text.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigError("the saved settings are not JSON.") from error
    if not isinstance(values, dict):
        raise ConfigError("the saved settings are not a table of settings.")
    return config_for(**values)


def command_line(config: Config, dataset: str, command: str = "train") -> str:
    """The shell command that does the same as this config; only what differs from the preset."""
    import shlex  # small; only this function needs it

    if dataset.startswith("-"):  # a folder's name; it would be taken for an option
        dataset = f"./{dataset}"
    base = config_for(config.preset)
    words = ["python", "-m", "trainer", command, dataset, "--preset", config.preset]
    for field in fields(Config):
        value = getattr(config, field.name)
        if field.name == "preset" or value == getattr(base, field.name):
            continue
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words += [option, "auto" if value is None else str(value)]
    return shlex.join(words)


def _check_words(config: Config) -> None:
    """The fields that hold no number."""
    for name, words in CHOICES.items():
        value = getattr(config, name)
        if value not in words:
            raise ConfigError(f"{name} is {value!r}; choose {' or '.join(words)}.")
    if not isinstance(config.model_name, str) or not config.model_name:
        raise ConfigError(f"model_name is {config.model_name!r}; it must be a timm model's name.")
    for name in ("pretrained", "verify"):
        value = getattr(config, name)
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}; it must be true or false.")


def _check_range(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}.")
    if isinstance(low, int) and isinstance(high, int) and not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r}; it must be a whole number.")
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value:g}; it must be from {low:g} to {high:g}.")
