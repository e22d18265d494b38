"""The Predict tab: one picture in, bars out; or many, as a table."""

from dataclasses import dataclass

import gradio as gr
from gradio.data_classes import ImageData


class Picture(gr.Image):
    """An image that is handed on as it was uploaded, for the worker to decode under limits.

    `gr.Image` opens every picture in the app's own process and decodes each that is not RGB,
    of whatever format and size.
    """

    is_template = True
    """For the browser it is gradio's own image."""

    def preprocess(self, payload: ImageData | None) -> str | None:
        """Return the path of what was uploaded."""
        return payload.path if payload is not None else None


@dataclass(frozen=True, slots=True)
class PredictTab:
    model: gr.Dropdown
    image: gr.Image
    examples: gr.Gallery
    answer: gr.Label
    small_print: gr.HTML
    files: gr.File
    start_many: gr.Button
    table: gr.HTML
    csv: gr.DownloadButton


def build_predict_tab() -> PredictTab:
    """Picture left, bars right, the table below."""
    model = gr.Dropdown(
        [],
        value=None,
        label="Model",
        info="your finished trainings; or type the Hub id of a timm image classifier",
        allow_custom_value=True,
        elem_id="predict-model",
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            image = Picture(
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                label="Picture",
                height=320,
                elem_id="predict-image",
            )
            examples = gr.Gallery(
                [],
                label="Validation pictures to try",
                show_label=False,
                columns=6,
                height=232,
                allow_preview=False,
                object_fit="cover",
                visible=False,
                elem_id="predict-examples",
            )
        with gr.Column(scale=1, min_width=300):
            answer = gr.Label(
                label="What the model sees", num_top_classes=5, elem_id="predict-answer"
            )
            small_print = gr.HTML(empty_words(has_model=False))
    with gr.Accordion("Several pictures at once", open=False):
        files = gr.File(
            label="Pictures",
            file_count="multiple",
            file_types=["image"],
            height=140,
            elem_id="predict-files",
        )
        start_many = gr.Button("Predict them all", variant="primary", elem_id="predict-many")
        table = gr.HTML("", elem_id="predict-table")
        csv = gr.DownloadButton("Download as CSV", visible=False)
    return PredictTab(
        model=model,
        image=image,
        examples=examples,
        answer=answer,
        small_print=small_print,
        files=files,
        start_many=start_many,
        table=table,
        csv=csv,
    )


def empty_words(*, has_model: bool) -> str:
    """What stands under the empty bars."""
    if has_model:
        words = "Give it a picture: upload, paste, take one, or choose one below it."
    else:
        words = "Train a model first (tab Train), or type the Hub id of one."
    return f'<p class="lab-quiet">{words}</p>'
