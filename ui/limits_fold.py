"""The fold at the foot of the page that says what may be uploaded and asked for."""

import gradio as gr

from trainer.limits import Limits
from ui.origin import on_space


def build_limits(limits: Limits) -> None:
    """A closed fold; it changes nothing and has no events."""
    with gr.Accordion("Limits", open=False, elem_id="limits"):
        gr.Markdown(limits_words(limits, local=not on_space()))


def limits_words(limits: Limits, *, local: bool) -> str:
    """The limits that a visitor may meet, as a short list."""
    raised = (
        " Each can be raised on your machine by an environment variable, for example "
        "`LRLAB_MAX_PIXELS`."
        if local
        else ""
    )
    return (
        f"- A picture: {_mega(limits.max_pixels)} megapixels, {limits.max_side:,} pixels a "
        f"side and {_mega(limits.max_picture_bytes)} MB; JPEG, PNG, WebP, GIF, BMP, TIFF or PPM.\n"
        f"- A dataset: {limits.max_pictures:,} pictures in {limits.max_classes:,} classes. A zip: "
        f"{_mega(limits.max_archive_bytes)} MB, {_mega(limits.max_unpacked_bytes)} MB unpacked.\n"
        f"- A model: {_mega(limits.max_parameters)} million parameters.\n"
        f"- At once: {limits.max_waiting_each} runs of yours, {limits.max_waiting} that wait in "
        f"all, {limits.max_predict_images} pictures in one prediction.\n"
        f"- Uploaded pictures are removed after {limits.max_temp_seconds // 60} minutes.{raised}"
    )


def _mega(value: int) -> str:
    return f"{value / 1e6:,.0f}"
