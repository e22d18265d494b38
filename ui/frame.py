"""The frame of the page: header and badges, the visitor's runs, the bar of the run in progress."""

from dataclasses import dataclass

import gradio as gr

from ui.words import text


@dataclass(frozen=True, slots=True)
class Frame:
    browser: gr.BrowserState
    """The visit, kept in the browser."""
    folds: gr.State
    """By run id: what its events add up to, for this page load."""
    timer: gr.Timer
    other_tab: gr.Button
    """Unseen: a script presses it when another tab of the visitor has begun a run."""
    badges: gr.HTML
    runs: gr.Dropdown
    bar: gr.HTML
    stop: gr.Button
    bar_row: gr.Row


STORAGE_KEY = "lrlab-visit"
_STORAGE_SECRET = "lrlab"


def build_frame() -> Frame:
    """Header line, badges, runs menu and run bar."""
    browser = gr.BrowserState({}, storage_key=STORAGE_KEY, secret=_STORAGE_SECRET)
    folds = gr.State({})
    timer = gr.Timer(4.0)
    other_tab = gr.Button("Another tab", visible="hidden", elem_id="other-tab")
    with gr.Row():
        with gr.Column(scale=3, min_width=280, elem_classes="lab-top"):
            gr.HTML(
                '<div class="lab-header"><h1>LR <span>Lab</span></h1><p>Find a learning rate, '
                "fine-tune a network on your own pictures, try it.</p></div>"
            )
            badges = gr.HTML(badges_html("starting", online=None))
        runs = gr.Dropdown(
            [],
            value=None,
            label="Your runs",
            info="none yet",
            interactive=True,
            scale=1,
            min_width=220,
        )
    with gr.Row(visible=False, equal_height=True) as bar_row:
        bar = gr.HTML("", elem_id="run-bar", min_width=240)
        stop = gr.Button("Stop", variant="stop", scale=0, min_width=110, elem_id="stop")
    return Frame(
        browser=browser,
        folds=folds,
        timer=timer,
        other_tab=other_tab,
        badges=badges,
        runs=runs,
        bar=bar,
        stop=stop,
        bar_row=bar_row,
    )


def badges_html(device: str, *, online: bool | None) -> str:
    """What runs compute on, and whether the Hub can be used."""
    hub = {
        None: "",
        True: '<span class="lab-badge">Hugging Face Hub reachable</span>',
        False: '<span class="lab-badge off">offline: built-in digits and weights</span>',
    }[online]
    return f'<div class="lab-badges"><span class="lab-badge">{text(device)}</span>{hub}</div>'
