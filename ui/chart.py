"""Owns the live chart: `LiveChart`, a canvas drawn in the browser from a plain dict.

The drawing is in `assets/chart.js`, the looks in `assets/chart.css`; both are read here and travel
inside the component, so nothing is fetched. Not covered: zooming, categories on x, a third axis.

The value crosses the wire as one JSON *string*. Gradio wraps every object and array of a value in
a reactive proxy and stringifies it four times for each update: 4 series of 20 to 300 points cost
30-40 ms of main thread an update as an object, 6 ms as a string (gradio 6.31, Chromium, 2 cores).
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import gradio as gr

MAX_POINTS = 300
"""Points kept of a series; what the browser draws in well under 5 ms."""

Point = Sequence[float | None]
"""[x, y], or [x, low, high] in a band."""

_ASSETS = Path(__file__).parent / "assets"

_SKELETON = """<figure class="lrc">
<div class="lrc-head"><div class="lrc-title"></div><div class="lrc-actions">
<button type="button" data-do="table">Table</button>
<button type="button" data-do="csv">CSV</button>
<button type="button" data-do="png">PNG</button></div></div>
<ul class="lrc-legend"></ul>
<div class="lrc-stage">
<canvas class="lrc-plot" tabindex="0"></canvas>
<canvas class="lrc-hover" aria-hidden="true"></canvas>
<div class="lrc-empty" hidden><strong></strong><span></span></div>
<div class="lrc-tip" aria-hidden="true" hidden></div>
<div class="lrc-table" role="region" tabindex="0" hidden></div>
</div>
<div class="lrc-said" role="status"></div>
</figure>"""


class LiveChart(gr.HTML):
    """A chart that is redrawn in place while its value grows.

    Value, a dict (every key optional; y may be None or NaN for a gap)::

        {"series": [{"name": str, "role": "train"|"valid"|"raw"|"smooth"|"lr"|"other",
                     "style": "line"|"faint"|"dots"|"step", "axis": "left"|"right",
                     "points": [[x, y], ...]}],
         "band": [[x, low, high], ...], "band_label": str,
         "shade": [{"from": x, "to": x, "label": str,
                    "role": "suggested"|"steep"|"frozen"|"unfrozen"}],
         "marks": [{"x": x, "y": y|None, "label": str, "axis": "left"|"right",
                    "role": "suggested"|"rule"|"best"|"diverged"|"picked"}],
         "picked": x|None, "x_range": [low, high]|None,
         "empty": str}  # instead of `empty_title`, while there are no points

    Names and labels may come from users: the browser only ever writes them as text. Constructor
    strings are ours. A series of more than `MAX_POINTS` points is thinned, keeping its extremes.

    A click, a tap, or Enter on the focused chart picks (``pickable=True``)::

        def pick(event: gr.EventData):
            x = picked_x(event)  # a float, or None for a request that no chart made
            ...
        chart.select(pick, None, [rate], show_progress="hidden")

    Only the x travels; the chart need not be an input. The browser shows the pick at once and
    keeps it over later values, until one brings a *different* ``picked`` than the value before, or
    has no points (a new run). So a stream that knows nothing of picks does not erase them, and a
    handler that owns the pick echoes it in ``picked``.

    Events that output to the chart want ``show_progress="hidden"``: gradio fades it otherwise.
    To change anything but the value, use ``gr.update(visible=...)``.
    """

    def __init__(  # noqa: PLR0913 - a component's options, all by name
        self,
        value: dict[str, Any] | None = None,
        *,
        label: str,
        x_title: str,
        y_title: str,
        y2_title: str | None = None,
        log_x: bool = False,
        height: int = 320,
        empty_title: str,
        empty_text: str,
        pickable: bool = False,
        legend_lines: int = 2,
        x_format: Literal["number", "rate"] = "number",
        y_format: Literal["number", "percent", "rate"] = "number",
        y2_format: Literal["number", "percent", "rate"] = "percent",
        **kwargs: Any,
    ):
        """Build the chart.

        Args:
            value: What to draw, see the class; None is the empty state.
            height: Pixels of the whole component: title, legend and plot. It never changes.
            legend_lines: Lines kept for the legend where the chart is narrower than 460 px; up to
                two below 680 px, else one. Two hold four names of about 15 characters on a phone.
                0 leaves the legend away: for a single series that the titles name.
            x_format, y_format, y2_format: "percent" takes fractions (0.983 is 98.3 %), "rate"
                writes 3.2e-3.
            kwargs: What `gr.HTML` takes: elem_id, elem_classes, visible, scale, min_width, key.
        """
        options = {
            "label": label,
            "xTitle": x_title,
            "yTitle": y_title,
            "y2Title": y2_title,
            "logX": log_x,
            "height": height,
            "emptyTitle": empty_title,
            "emptyText": empty_text,
            "pickable": pickable,
            "legendLines": legend_lines,
            "xFormat": x_format,
            "yFormat": y_format,
            "y2Format": y2_format,
        }
        css = json.dumps((_ASSETS / "chart.css").read_text(encoding="utf-8"))
        # Inside the script: gradio drops a component's own props where an event updates the page
        # before the tab with the chart is first opened.
        js = (_ASSETS / "chart.js").read_text(encoding="utf-8")
        js = js.replace('"%CHART_CSS%"', css).replace('"%CHART_OPTIONS%"', json.dumps(options))
        super().__init__(
            value=value,
            label=label,
            html_template=_SKELETON,
            js_on_load=js,
            apply_default_css=False,
            **kwargs,
        )

    def __getattr__(self, name: str) -> NoReturn:
        """Tell that there is no such attribute.

        `gr.HTML` first looks through the whole script for an event of that name, and does so for
        every parameter that is no attribute, each time a page is opened or a chart updated.

        Raises:
            AttributeError: always; the events are those that `gr.HTML` declares.
        """
        raise AttributeError(f"LiveChart has no attribute {name!r}")

    # gr.HTML types both as markup, a str; ours is a dict on the Python side.
    def postprocess(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, value: dict[str, Any] | None
    ) -> str:
        """Return the value as the JSON string that the browser parses."""
        return json.dumps(_plain(value or {}), allow_nan=False, separators=(",", ":"))

    def preprocess(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, payload: str | None
    ) -> dict[str, Any]:
        """Return the dict again, for a handler that takes the chart as an input."""
        return json.loads(payload) if payload else {}


def picked_x(event: gr.EventData) -> float | None:
    """Return the x of a `LiveChart.select` event, or None if what the client sent is no number.

    Anybody can post an event: check the range before a rate trains anything.
    """
    data = event._data
    x = data.get("x") if isinstance(data, dict) else None
    if isinstance(x, bool) or not isinstance(x, int | float) or not math.isfinite(x):
        return None
    return float(x)


def thin(points: Sequence[Point], limit: int = MAX_POINTS) -> Sequence[Point]:
    """Keep at most `limit` points: both ends, and of every bucket its lowest and highest.

    A spike survives, and buckets are a power of two wide and start at the first point, so what
    was kept stays kept while a run grows, until the next doubling.
    """
    if len(points) <= limit:
        return points
    width = 2
    while 2 * math.ceil(len(points) / width) + 2 > limit:
        width *= 2
    kept = {0, len(points) - 1}
    for start in range(0, len(points), width):
        bucket = range(start, min(start + width, len(points)))
        known = {i: y for i in bucket if (y := _number(points[i][1])) is not None}
        known = known or {start: 0.0}  # a bucket of gaps stays one gap
        kept |= {min(known, key=known.__getitem__), max(known, key=known.__getitem__)}
    return [points[i] for i in sorted(kept)]


def _plain(value: Any) -> Any:
    """Copy a value into what JSON has: strings, None, and finite numbers of 6 digits."""
    if isinstance(value, dict):
        return {
            str(key): _plain(thin(item) if key in ("points", "band") else item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool) else _number(value)


def _number(value: Any) -> float | None:
    """Return an int as it is, a finite float rounded to 6 digits, or None: a gap."""
    if isinstance(value, int):
        return value
    if value is None or not math.isfinite(number := float(value)):
        return None
    return float(f"{number:.6g}")
