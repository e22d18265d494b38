"""The Train tab: preset, rate, every other knob in a fold, live charts, and how it ended."""

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from ui.chart import LiveChart
from ui.controls import GROUPS, PRESET_WORDS, PRESETS, control


@dataclass(frozen=True, slots=True)
class TrainTab:
    preset: gr.Radio
    preset_words: gr.Markdown
    lr: gr.Textbox
    plan: gr.Markdown
    start: gr.Button
    fold: gr.Accordion
    settings: dict[str, Component]
    """By `Config` field, without the rate."""
    command: gr.Code
    loss_chart: LiveChart
    rate_chart: LiveChart
    card: gr.HTML
    try_it: gr.Button
    resume: gr.Button
    download: gr.DownloadButton
    publish: gr.Button


def build_train_tab() -> TrainTab:
    """Controls in the left third, charts and result in the rest."""
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            preset = gr.Radio(PRESETS, value="quick", label="Recipe")
            preset_words = gr.Markdown(PRESET_WORDS["quick"], elem_classes="lab-quiet")
            lr = gr.Textbox(
                "auto",
                label="Learning rate",
                info="automatic: a sweep is run first",
                max_lines=1,
                elem_id="lr",
            )
            plan = gr.Markdown("", elem_classes="lab-quiet")
            start = gr.Button("Train", variant="primary", elem_id="start-train")
            with gr.Accordion("All settings", open=False) as fold:
                settings = _build_settings()
                command = gr.Code(
                    "", language="shell", label="The same in a shell", interactive=False, lines=2
                )
        with gr.Column(scale=2, min_width=320):
            loss_chart = LiveChart(
                label="Loss and accuracy",
                x_title="Step",
                y_title="Loss",
                y2_title="Accuracy",
                height=340,
                empty_title="No training yet",
                empty_text="The loss should fall, the validation accuracy rise.",
                elem_id="loss-chart",
            )
            with gr.Row():
                try_it = gr.Button(
                    "Try it → Predict", variant="primary", visible=False, elem_id="try-it"
                )
                resume = gr.Button(
                    "Go on from here", variant="primary", visible=False, elem_id="resume"
                )
                download = gr.DownloadButton("Download the model", visible=False)
                publish = gr.Button("Publish …", visible=False, elem_id="to-publish")
            card = gr.HTML("", elem_id="train-card")
            rate_chart = LiveChart(
                label="Learning rate of each step",
                x_title="Step",
                y_title="Rate",
                height=190,
                legend_lines=0,
                y_format="rate",
                empty_title="The schedule",
                empty_text="appears with the first step",
                elem_id="rate-chart",
            )
    return TrainTab(
        preset=preset,
        preset_words=preset_words,
        lr=lr,
        plan=plan,
        start=start,
        fold=fold,
        settings=settings,
        command=command,
        loss_chart=loss_chart,
        rate_chart=rate_chart,
        card=card,
        try_it=try_it,
        resume=resume,
        download=download,
        publish=publish,
    )


def _build_settings() -> dict[str, Component]:
    settings: dict[str, Component] = {}
    for title, names in GROUPS.items():
        gr.Markdown(f"**{title}**")
        with gr.Row():
            for name in names:
                settings[name] = control(name)
    return settings
