"""Several tabs of one visitor: each hears of the runs that another begins, in the browser alone.

The script is in `assets/tabs.js`. Not covered: a tab that is asleep hears of them when it wakes.
"""

from pathlib import Path

import gradio as gr

from ui.frame import Frame
from ui.handling import QUICK

_SCRIPT = Path(__file__).with_name("assets") / "tabs.js"


def wire_tabs(demo: gr.Blocks, frame: Frame) -> None:
    """Let the page tell other tabs of its visit, and take in what they tell."""
    demo.load(None, js=_SCRIPT.read_text(encoding="utf-8"), **QUICK)
    tell = "(visit) => { window.lrlabTabs?.tell(visit); }"
    frame.browser.change(None, [frame.browser], js=tell, **QUICK)
    join = "(visit) => window.lrlabTabs.join(visit)"
    frame.other_tab.click(None, [frame.browser], [frame.browser], js=join, **QUICK)
