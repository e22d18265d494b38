"""The panel above the tabs: choose pictures, see what is in them, choose a model."""

from dataclasses import dataclass

import gradio as gr

from trainer.figures import percent
from trainer.menu import MENU
from ui.words import millions

OTHER = "other"
SOURCES = [("Examples", "examples"), ("Hugging Face Hub", "hub"), ("Upload a zip", "upload")]
EXAMPLES = [
    ("Digits: 1,797 scanned digits, no network needed", "digits"),
    ("Beans: 1,295 leaves, healthy or ill (Hub)", "AI-Lab-Makerere/beans"),
    ("Cats and dogs: 23,410 photos (Hub)", "microsoft/cats_vs_dogs"),
    ("Fashion-MNIST: 70,000 pieces of clothing (Hub)", "zalando-datasets/fashion_mnist"),
]


@dataclass(frozen=True, slots=True)
class DataPanel:
    panel: gr.Accordion
    source: gr.Radio
    example_group: gr.Group
    example: gr.Radio
    hub_group: gr.Group
    hub_text: gr.Textbox
    hub_search: gr.Button
    hub_found: gr.Radio
    upload_group: gr.Group
    upload: gr.File
    check: gr.HTML
    model: gr.Radio
    other_model: gr.Dropdown
    model_line: gr.HTML


def build_data_panel() -> DataPanel:
    """Sources left, what was found in the middle, models right."""
    with gr.Accordion("Data and model: choose pictures to begin", open=True) as panel, gr.Row():
        with gr.Column(scale=2, min_width=280):
            source = gr.Radio(SOURCES, value="examples", label="Where are the pictures?")
            with gr.Group() as example_group:
                example = gr.Radio(EXAMPLES, value=None, label="Example datasets")
            with gr.Group(visible=False) as hub_group:
                hub_text = gr.Textbox(
                    label="Dataset on the Hub",
                    placeholder="owner/name, or words to search for",
                    max_lines=1,
                )
                hub_search = gr.Button("Search", size="sm")
                hub_found = gr.Radio([], label="Found", visible=False)
            with gr.Group(visible=False) as upload_group:
                upload = gr.File(
                    label="A zip with one folder for each class",
                    file_types=[".zip"],
                    file_count="single",
                    height=140,
                )
                gr.HTML(
                    '<p class="lab-quiet" style="padding:0 10px 8px">In it: <code>cats/1.jpg, '
                    "dogs/1.jpg …</code>, or <code>train/cats/…, valid/cats/…</code></p>"
                )
        with gr.Column(scale=4, min_width=300):
            check = gr.HTML(empty_check(), elem_id="check")
        with gr.Column(scale=2, min_width=280):
            model = gr.Radio(_model_choices(), value=MENU[0].model_name, label="Model")
            other_model = gr.Dropdown(
                [],
                value=None,
                label="All timm models",
                info="type to search; or the Hub id (owner/name) of a model to train further",
                visible=False,
                filterable=True,
                allow_custom_value=True,
            )
            model_line = gr.HTML("")
    return DataPanel(
        panel=panel,
        source=source,
        example_group=example_group,
        example=example,
        hub_group=hub_group,
        hub_text=hub_text,
        hub_search=hub_search,
        hub_found=hub_found,
        upload_group=upload_group,
        upload=upload,
        check=check,
        model=model,
        other_model=other_model,
        model_line=model_line,
    )


def empty_check() -> str:
    """What stands there before any pictures were chosen."""
    return (
        '<div class="lab-card empty"><h3>Your pictures will be shown here</h3><p>Samples, classes, '
        "sizes, and what is wrong with them, before anything is trained.</p></div>"
    )


def _model_choices() -> list[tuple[str, str]]:
    menu = [
        (
            f"{model.title} · {millions(model.num_parameters)} · {model.image_size} px · "
            f"{percent(model.top1)} · {model.licence}",
            model.model_name,
        )
        for model in MENU
    ]
    return [*menu, ("Another timm CNN …", OTHER)]
