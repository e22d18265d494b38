"""`Page`: the whole app as one `gr.Blocks`; builds every part, then wires them."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from trainer.limits import Limits
from ui.context import Context
from ui.data_panel import DataPanel, build_data_panel
from ui.frame import Frame, build_frame
from ui.limits_fold import build_limits
from ui.open_tab import remember_open_tab
from ui.predict_tab import PredictTab, build_predict_tab
from ui.publish_tab import PublishTab, build_publish_tab
from ui.sweep_tab import SweepTab, build_sweep_tab
from ui.train_tab import TrainTab, build_train_tab

TITLE = "LR Lab"


@dataclass(frozen=True, slots=True)
class Page:
    frame: Frame
    data: DataPanel
    tabs: gr.Tabs
    sweep: SweepTab
    train: TrainTab
    predict: PredictTab
    publish: PublishTab

    @property
    def settings(self) -> dict[str, Any]:
        """Every control of a run by its `Config` field, and where preset and model come from."""
        return {
            **self.sweep.settings,
            **self.train.settings,
            "lr": self.train.lr,
            "preset": self.train.preset,
            "model": self.data.model,
            "other_model": self.data.other_model,
        }


def build_page(context: Context) -> gr.Blocks:
    """The app's page, ready to be launched."""
    from ui.wiring import wire  # it needs Page, so it comes after it

    with gr.Blocks(title=TITLE, delete_cache=(3600, 86400)) as demo:
        frame = build_frame()
        data = build_data_panel()
        with gr.Tabs(selected="sweep") as tabs:
            with gr.Tab("Sweep", id="sweep") as sweep_place:
                sweep = build_sweep_tab()
            with gr.Tab("Train", id="train") as train_place:
                train = build_train_tab()
            with gr.Tab("Predict", id="predict") as predict_place:
                predict = build_predict_tab()
            with gr.Tab("Publish", id="publish") as publish_place:
                publish = build_publish_tab()
        build_limits(Limits.from_env())
        page = Page(frame, data, tabs, sweep, train, predict, publish)
        wire(demo, page, context)
        places = (sweep_place, train_place, predict_place, publish_place)
        remember_open_tab(demo, tabs, places)
    return demo
