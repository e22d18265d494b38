"""What the data panel shows of a check: facts, class bars, findings, a sheet of samples. Pure,
but for reading thumbnails."""

import base64
from pathlib import Path
from typing import Any

from trainer.data.sheet import read_sheet
from trainer.figures import percent
from trainer.hub_client import HUB_PREFIX
from trainer.menu import menu_model
from ui.words import count, millions, shorten, text

MAX_CLASSES = 60
"""Class bars shown; the rest is counted."""
_SPLITS = {"train": "training", "valid": "validation", "test": "test"}
_COLOURS = {"train": "#1a5fd0", "valid": "#d07a1e", "test": "#7a5bd0"}


def summary_line(summary: dict[str, Any], title: str, model_name: str) -> str:
    """The folded panel: data and model on one line."""
    parts = " + ".join(f"{sum(counts):,}" for _, counts in summary["counts"])
    classes = count(len(summary["class_names"]), "class", "classes")
    model = menu_model(model_name)
    name = f"{model.title}, {model.image_size} px" if model else model_name
    return f"{shorten(title, 40)} · {parts} pictures · {classes} — {name}"


def check_html(summary: dict[str, Any], folder: Path) -> str:
    """Everything a person should see before training."""
    sheet = sheet_html(folder / "sheet", "Some training pictures")
    return f"{_findings(summary)}{sheet}{_facts(summary)}{_classes(summary)}{_skipped(summary)}"


def sheet_html(folder: Path, title: str, *, big: bool = False) -> str:
    """Thumbnails with captions; empty where there are none."""
    items = "".join(
        f'<li><img src="{_data_uri(path)}" alt="{text(caption)}: {text(name)}" '
        f'title="{text(name)}"><span>{text(caption)}</span></li>'
        for path, caption, name in read_sheet(folder)
        if path.is_file()
    )
    if not items:
        return ""
    kind = " big" if big else ""
    return f'<p class="lab-quiet">{text(title)}</p><ul class="lab-sheet{kind}">{items}</ul>'


def model_line(model_name: str, *, online: bool) -> str:
    """What is known of the chosen model, and whether its weights can be had."""
    model = menu_model(model_name)
    if model_name.startswith(HUB_PREFIX):
        name = text(model_name.removeprefix(HUB_PREFIX))
        known = f"<b>{name}</b> from the Hub: its layers are trained further, on your classes."
    elif model is None:
        known = f"<b>{text(model_name)}</b>, a timm model; its card on the Hub has its licence."
    else:
        known = (
            f"<b>{text(model.title)}</b>: {millions(model.num_parameters)} parameters, "
            f"{model.image_size} px, ImageNet top-1 {percent(model.top1)}, {model.licence}; "
            f"{model.why}."
        )
    missing = not online and not (model and model.embedded)
    warn = (
        '<ul class="lab-find"><li class="warning">Its weights come from the Hugging Face Hub, '
        "which cannot be reached now. EfficientNet-Lite0 works without a network.</li></ul>"
        if missing
        else ""
    )
    return f'<p class="lab-quiet">{known}</p>{warn}'


def _facts(summary: dict[str, Any]) -> str:
    low_w, mid_w, high_w = summary["widths"]
    low_h, mid_h, high_h = summary["heights"]
    return (
        f'<p class="lab-quiet">Sizes: {low_w}×{low_h} to {high_w}×{high_h} pixels, '
        f"typically {mid_w}×{mid_h}.</p>"
    )


def _classes(summary: dict[str, Any]) -> str:
    splits = [(name, counts) for name, counts in summary["counts"] if sum(counts)]
    names = summary["class_names"][:MAX_CLASSES]
    largest = max((sum(c[i] for _, c in splits) for i in range(len(names))), default=1) or 1
    rows = "".join(_class_row(name, index, splits, largest) for index, name in enumerate(names))
    key = "".join(
        f'<i style="background:{_COLOURS[name]}"></i>{_SPLITS[name]} {sum(counts):,}'
        for name, counts in splits
    )
    rest = len(summary["class_names"]) - len(names)
    more = (
        f'<p class="lab-quiet">and {count(rest, "more class", "more classes")}</p>' if rest else ""
    )
    return (
        f'<p class="lab-quiet lab-key">Pictures of each class:{key}</p>'
        f'<div class="lab-classes">{rows}</div>{more}'
    )


def _class_row(name: str, index: int, splits: list[tuple[str, list[int]]], largest: int) -> str:
    bars = "".join(
        f'<i style="width:{counts[index] / largest * 100:.1f}%;background:{_COLOURS[split]}"></i>'
        for split, counts in splits
    )
    figures = " + ".join(str(counts[index]) for _, counts in splits)
    return (
        f'<b title="{text(name)}">{text(shorten(name))}</b>'
        f'<span class="bars" aria-hidden="true">{bars}</span><em>{figures}</em>'
    )


def _findings(summary: dict[str, Any]) -> str:
    signs = {"error": "Stop: ", "warning": "Look: ", "info": ""}
    items = "".join(
        f'<li class="{text(finding["level"])}"><strong>{signs.get(finding["level"], "")}</strong>'
        f"{text(finding['text'])}</li>"
        for finding in summary["findings"]
    )
    return f'<ul class="lab-find">{items}</ul>'


def _skipped(summary: dict[str, Any]) -> str:
    skipped = summary["skipped"]
    if not skipped:
        return ""
    items = "".join(
        f"<li>{text(shorten(each['name'], 60))}: {text(each['reason'])}</li>"
        for each in skipped[:50]
    )
    rest = f"<li>and {len(skipped) - 50} more</li>" if len(skipped) > 50 else ""
    title = f"{count(len(skipped), 'file')} left out"
    return (
        f'<details><summary class="lab-quiet">{title}</summary>'
        f'<ul class="lab-steps">{items}{rest}</ul></details>'
    )


def _data_uri(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
