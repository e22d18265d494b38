"""The controls of a run: one component a `Config` field, bound by name, and back to a `Config`."""

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import gradio as gr
from gradio.components import Component

from trainer.config import CHOICES, Config, config_for
from trainer.errors import ConfigError

CUSTOM = "custom"
PRESETS = [("Quick", "quick"), ("Lesson", "lesson"), ("Custom", CUSTOM)]
PRESET_WORDS = {
    "quick": "Trains the head on cached features, then all layers where that pays. Minutes on two "
    "CPU cores, seconds on a GPU.",
    "lesson": "The eight steps of fast.ai's first lesson, in order: cached features, sweep, last "
    "layer, augmentation, unfreeze, lower rates for early layers, sweep again, longer cycles. "
    "Slower: about ten passes through all layers.",
    CUSTOM: "Quick's recipe with your own numbers, below.",
}

_LABELS: Mapping[str, tuple[str, str]] = {
    "freeze_epochs": ("Head epochs", "Passes that train the head alone; cheap."),
    "epochs": ("All-layer epochs", "Passes that train every layer; slow on a CPU."),
    "unfreeze": ("Train all layers?", "auto: only where the head alone is right on under 98 %."),
    "batch_size": (
        "Batch size",
        "Pictures in one step. Larger is steadier, and needs a larger rate.",
    ),
    "image_size": (
        "Image size",
        "Pixels; 0 means the model's own. Twice the size, four times the time.",
    ),
    "augment": ("Augmentation", "Random changes to training pictures; auto suits the data."),
    "views": ("Views", "Versions of each picture in the cached features; 0 means automatic."),
    "optimizer": ("Optimizer", "AdamW adapts each weight's step; SGD is the lesson's."),
    "momentum": ("Momentum", "How much of the last step is kept; 0–0.99."),
    "weight_decay": ("Weight decay", "Keeps weights small, against over-fitting; 0–0.3."),
    "label_smoothing": ("Label smoothing", "Makes the model less sure of itself; 0–0.3."),
    "schedule": ("Schedule", "The course of the rate within a phase."),
    "cycle_len": ("Cycle length", "Epochs of the first SGDR cycle."),
    "cycle_mult": ("Cycle factor", "How much longer each SGDR cycle is than the last."),
    "unfrozen_lr": ("All-layer rate", "Peak rate once all layers train; auto chooses."),
    "body_lr_mult": (
        "Body rate factor",
        "The body's rate over the head's; earlier layers need less.",
    ),
    "seed": ("Seed", "The same seed gives the same run on the same machine."),
    "lr_min": ("From", "First rate of the sweep."),
    "lr_max": ("To", "Last rate of the sweep."),
    "num_steps": ("Steps", "Rates between the first and the last."),
    "growth": ("Growth", "exponential: in so many steps. doubling: twice the rate each step."),
    "repeats": ("Repeats", "Sweeps with other orders of the pictures."),
    "sweep_loss": ("Loss of", "train: each step's pictures. valid: others, after the step."),
    "verify": ("Check with trainings", "At several rates, on held-out pictures."),
}
_ZERO_IS_AUTO = ("image_size", "views")
SWEEP_FIELDS = ("lr_min", "lr_max", "num_steps", "growth", "repeats", "sweep_loss", "verify")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Data": ("batch_size", "image_size", "augment", "views", "seed"),
    "Schedule": (
        "freeze_epochs",
        "epochs",
        "unfreeze",
        "schedule",
        "cycle_len",
        "cycle_mult",
    ),
    "Optimizer": ("optimizer", "unfrozen_lr", "body_lr_mult", "momentum"),
    "Regularization": ("weight_decay", "label_smoothing"),
}
_TEXTS = ("lr", "unfrozen_lr", "lr_min", "lr_max")
"""Rates are typed as text: 3e-3, or auto."""


def control(name: str) -> Component:
    """The component for a field, with the preset's value."""
    label, info = _LABELS[name]
    value = shown_value(name, getattr(config_for(), name))
    if name in CHOICES:
        return gr.Dropdown(list(CHOICES[name]), value=value, label=label, info=info, min_width=140)
    if isinstance(value, bool):
        return gr.Checkbox(value=value, label=label, info=info, min_width=140)
    if name in _TEXTS:
        return gr.Textbox(value=value, label=label, info=info, max_lines=1, min_width=140)
    precision = None if isinstance(getattr(config_for(), name), float) else 0
    return gr.Number(value=value, label=label, info=info, precision=precision, min_width=140)


def shown_value(name: str, value: Any) -> Any:
    """A field's value as its control shows it."""
    if name in _TEXTS:
        return "auto" if value is None else f"{value:g}"
    return 0 if name in _ZERO_IS_AUTO and value is None else value


def preset_values(preset: str) -> dict[str, Any]:
    """The controls' values for a preset."""
    config = config_for("quick" if preset == CUSTOM else preset)
    names = {name for group in GROUPS.values() for name in group}
    return {name: shown_value(name, getattr(config, name)) for name in names}


def config_from(preset: str, model_name: str, settings: Mapping[str, Any]) -> Config:
    """The config that the controls hold.

    Raises:
        ConfigError: a value is not of its kind or out of range; the message names the control.
    """
    known = {field.name for field in fields(Config)}
    values = {name: _value(name, value) for name, value in settings.items() if name in known}
    if not isinstance(model_name, str):
        raise ConfigError("The model's name must be a text.")
    base = "quick" if preset == CUSTOM else preset
    return config_for(base, model_name=model_name, **values)


def _value(name: str, value: Any) -> Any:
    label = _LABELS.get(name, ("Learning rate", ""))[0]
    if name in _TEXTS:
        return _rate(label, value, auto=name in ("lr", "unfrozen_lr"))
    if name in CHOICES or isinstance(getattr(config_for(), name), bool):
        return value  # checked by the config
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{label} is empty or not a number; type one.")
    if name in _ZERO_IS_AUTO and value == 0:
        return None
    if isinstance(getattr(config_for(), name), float):
        return float(value)
    return int(value) if float(value).is_integer() else value


def _rate(label: str, value: Any, *, auto: bool) -> float | None:
    typed = str(value if value is not None else "").strip().lower().replace(",", ".")
    if auto and typed in ("auto", ""):
        return None
    try:
        return float(typed)
    except ValueError as error:
        what = "a number such as 3e-3, or auto" if auto else "a number such as 1e-7"
        raise ConfigError(f"{label} is {typed[:20]!r}; type {what}.") from error
