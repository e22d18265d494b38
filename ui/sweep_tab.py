"""The Sweep tab: what will be tried, the chart, the verdict, and the way to Train."""

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from ui.chart import LiveChart
from ui.controls import SWEEP_FIELDS, control


@dataclass(frozen=True, slots=True)
class SweepTab:
    words: gr.Markdown
    plan: gr.Markdown
    start: gr.Button
    chart: LiveChart
    verdict: gr.HTML
    use_rate: gr.Button
    checked: gr.Row
    """What stands below once there is something to show: the two charts after it."""
    measured: LiveChart
    race: LiveChart
    reading: gr.Markdown
    settings: dict[str, Component]
    """By `Config` field."""


def build_sweep_tab() -> SweepTab:
    """Controls in the left third, the chart in the rest."""
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            words = gr.Markdown("Choose pictures above; then a sweep takes seconds.")
            plan = gr.Markdown("", elem_classes="lab-quiet")
            start = gr.Button("Find a learning rate", variant="primary", elem_id="start-sweep")
            with gr.Accordion("Settings of the sweep", open=False):
                settings = {name: control(name) for name in SWEEP_FIELDS}
                gr.HTML(
                    '<p class="lab-quiet">Optimizer, batch size and augmentation are those of the '
                    "Train tab: a sweep tries what will be trained.</p>"
                )
        with gr.Column(scale=2, min_width=320):
            chart = LiveChart(
                label="Loss against learning rate",
                x_title="Learning rate",
                y_title="Loss",
                log_x=True,
                height=400,
                x_format="rate",
                pickable=True,
                empty_title="No sweep yet",
                empty_text="Raise the rate each step, watch the loss: flat, falling, blowing up.",
                elem_id="sweep-chart",
            )
            use_rate = gr.Button(
                "Use this rate → Train", variant="primary", visible=False, elem_id="use-rate"
            )
            verdict = gr.HTML("", elem_id="verdict")
            with gr.Row(visible=False) as checked:
                with gr.Column(min_width=300):
                    measured = LiveChart(
                        label="Measured accuracy",
                        x_title="Learning rate",
                        y_title="Accuracy, held-out pictures",
                        log_x=True,
                        height=280,
                        x_format="rate",
                        y_format="percent",
                        legend_lines=0,
                        empty_title="Not measured",
                        empty_text="No trainings at several rates, or not yet.",
                        elem_id="measured-chart",
                    )
                with gr.Column(min_width=300):
                    race = LiveChart(
                        label="The race",
                        x_title="Step",
                        y_title="Training loss",
                        height=280,
                        empty_title="No race",
                        empty_text="Three short trainings come after the sweep where time allows.",
                        elem_id="race-chart",
                    )
            with gr.Accordion("How to read this curve", open=False):
                reading = gr.Markdown("Run a sweep first; then this explains the curve you see.")
    return SweepTab(
        words=words,
        plan=plan,
        start=start,
        chart=chart,
        verdict=verdict,
        use_rate=use_rate,
        checked=checked,
        measured=measured,
        race=race,
        reading=reading,
        settings=settings,
    )
