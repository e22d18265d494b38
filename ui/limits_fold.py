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
        f"- A dataset: {limits.max_pictures:,} pictures in {limits.max_classes:,} classes.\n"
        f"- A zip: {_mega(limits.max_archive_bytes)} MB, {_mega(limits.max_unpacked_bytes)} MB "
        f"unpacked and no more than {limits.max_archive_ratio} times its size, "
        f"{limits.max_archive_entries:,} entries, folders {limits.max_depth} deep.\n"
        f"- A model: {_mega(limits.max_parameters)} million parameters, pictures of "
        f"{limits.max_image_size} × {limits.max_image_size} pixels.\n"
        f"- A run: {_hours(limits.max_run_seconds)}; {limits.max_epochs:,} epochs in one go, "
        f"{limits.max_steps:,} steps, {limits.max_batch_size:,} pictures a step. A sweep: "
        f"{limits.max_sweep_steps:,} steps, {limits.max_repeats} repeats. Looking at data, "
        f"predicting: {_hours(limits.max_quick_seconds)}.\n"
        f"- At once: {limits.max_waiting_each} runs of yours, {limits.max_waiting} that wait in "
        f"all, {limits.max_predict_images} pictures in one prediction. Uploads, but for the app's "
        f"own machine: {_mega(limits.max_client_bytes)} MB in ten minutes.\n"
        f"- Pictures sent for a prediction are removed after {limits.max_temp_seconds // 60} "
        f"minutes; runs, and the zips they need, {limits.max_run_days} days after their end, the "
        f"oldest sooner where all runs exceed {_mega(limits.max_runs_bytes)} MB; on a Space zips "
        f"go after a day.{raised}"
    )


def _hours(seconds: int) -> str:
    return f"{seconds / 3600:.3g} {'hour' if seconds == 3600 else 'hours'}"


def _mega(value: int) -> str:
    return f"{value / 1e6:,.0f}"
