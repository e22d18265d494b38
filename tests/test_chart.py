"""The live chart, as Python sees it and as a person with a browser does: one app, one Chromium."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from ui.chart import MAX_POINTS, LiveChart, picked_x, thin

HOSTILE = "<img src=x onerror='window.hacked=1'>{{7*7}}${window.hacked=1}`"
RULES = {"steep": 4e-4, "valley": 7e-4, "slide": 2e-3, "min / 10": 9e-3, "ignite": 2.5e-2}
WIDE, PHONE = 1280, 390
CSS = Path(__file__).parents[1] / "ui" / "assets" / "chart.css"

# Records every text that a chart writes on its canvas, with its box, and every error.
SPY = """
window.texts = []; window.paints = 0;
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const w = this.measureText(text).width;
  const left = this.textAlign === "center" ? x - w / 2 : this.textAlign === "right" ? x - w : x;
  window.texts.push({ chart: this.canvas.closest?.("[id]:not([id^=html-])")?.id,
    text, left, right: left + w, top: y - 6, bottom: y + 6 });
  return write.apply(this, arguments);
};
const frame = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (f) => frame((t) => { window.paints++; f(t); });
"""


def sweep_value(count: int = 100, *, done: bool = False, top: float = 1e6) -> dict[str, Any]:
    """A sweep from 1e-7 to 10: flat at 0.69, down to 0.1 near 1e-2, then off to `top`."""
    lrs = [1e-7 * 10 ** (8 * i / 99) for i in range(count)]
    loss = [0.69 - 0.59 / (1 + math.exp(-(math.log10(lr) + 3.2) * 3.2)) for lr in lrs]
    loss = [y + max(0.0, math.log10(lr) + 1) ** 3 * top for lr, y in zip(lrs, loss, strict=True)]
    points = [[lr, y] for lr, y in zip(lrs, loss, strict=True)]
    raw = [[lr, y * (1 + 0.05 * math.sin(40 * i))] for i, (lr, y) in enumerate(points)]
    value: dict[str, Any] = {
        "series": [
            {"name": "Each batch", "role": "raw", "style": "faint", "points": raw},
            {"name": "Smoothed", "role": "smooth", "style": "line", "points": points},
        ],
        "band": [[lr, 0.9 * y, 1.1 * y] for lr, y in points],
        "band_label": "Spread",
        "x_range": [1e-7, 10],
    }
    if done:
        suggested = {"x": 3.2e-3, "y": None, "label": "Suggested 3.2e-3", "role": "suggested"}
        rules = [{"x": x, "y": None, "label": name, "role": "rule"} for name, x in RULES.items()]
        diverged = {"x": 0.9, "y": None, "label": "diverged", "role": "diverged"}
        value["marks"] = [suggested, *rules, diverged]
        value["shade"] = [{"from": 8e-4, "to": 8e-3, "label": "suggested range"}]
        value["shade"][0]["role"] = "suggested"
    return value


def training_value() -> dict[str, Any]:
    loss = [[step, 1.1 * math.exp(-step / 60) + 0.1] for step in range(1, 301)]
    accuracy = [[75, 0.905], [150, 0.958], [225, 0.976], [300, 0.983]]
    return {
        "series": [
            {"name": "Training loss", "role": "train", "style": "line", "points": loss},
            {"name": "Accuracy", "role": "valid", "axis": "right", "points": accuracy},
        ],
        "x_range": [0, 300],
    }


def hostile_value() -> dict[str, Any]:
    value = sweep_value(done=True)
    for item in [*value["series"], *value["marks"], *value["shade"]]:
        item["name" if "points" in item else "label"] = HOSTILE
    value["band_label"] = HOSTILE
    return value


def odd_value() -> dict[str, Any]:
    """What a broken run sends: gaps, infinities, a rate of zero, one point, an unknown role."""
    points = [[0, 1.0], [1e-3, math.nan], [1e-2, math.inf], [-1, 2.0], [0.1, 0.5], [1, 1e300]]
    return {
        "series": [
            {"name": "odd", "role": "?", "points": points},
            {"name": "one", "role": "valid", "style": "dots", "points": [[0.1, 0.5]]},
            {"name": "none", "role": "lr", "style": "step", "points": []},
        ],
        "band": [[0.1, None, 1.0]],
        "marks": [{"x": 0, "label": "at zero", "role": "best"}, {"x": 0.1, "role": "rule"}],
        "picked": math.nan,
    }


def sweep_chart(elem_id: str, value: dict[str, Any] | None = None) -> LiveChart:
    return LiveChart(
        value,
        label="LR sweep",
        x_title="Learning rate",
        y_title="Loss",
        log_x=True,
        x_format="rate",
        pickable=True,
        empty_title="No sweep yet",
        empty_text="It shows where the loss falls fastest.",
        elem_id=elem_id,
    )


def training_chart(elem_id: str, value: dict[str, Any] | None = None) -> LiveChart:
    return LiveChart(
        value,
        label="Training",
        x_title="Step",
        y_title="Loss",
        y2_title="Accuracy",
        empty_title="Nothing trained yet",
        empty_text="Loss should fall.",
        elem_id=elem_id,
    )


def show_pick(event: gr.EventData) -> str:
    return repr(picked_x(event))


def build_app() -> gr.Blocks:
    """Charts in each state, one that a button feeds, one in a tab that starts closed."""
    with gr.Blocks(analytics_enabled=False) as app:
        with gr.Tab("First"):
            picked = gr.Textbox(label="picked", elem_id="picked")
            buttons = {
                name: gr.Button(name) for name in ("start", "finish", "own", "clear", "wait")
            }
            live = sweep_chart("live")
            sweep_chart("done", sweep_value(done=True))
            training_chart("training", training_value())
            sweep_chart("hostile", hostile_value())
            sweep_chart("odd", odd_value())
        with gr.Tab("Second"):
            lazy = sweep_chart("lazy")

        def start() -> Iterator[dict[str, Any]]:
            for count in (1, 20, 40, 60):
                yield sweep_value(count)

        values = {
            "finish": lambda: [sweep_value(done=True)] * 2,
            "own": lambda: [sweep_value(60) | {"picked": 1e-4}] * 2,
            "clear": lambda: [{}, {}],
            "wait": lambda: [{"empty": "Reading <b>pictures</b> …"}] * 2,
        }
        buttons["start"].click(start, None, live, show_progress="hidden")
        for name, value in values.items():
            buttons[name].click(value, None, [live, lazy], show_progress="hidden")
        live.select(show_pick, None, picked, show_progress="hidden")
    return app


@pytest.fixture(scope="module")
def app_url() -> Iterator[str]:
    app = build_app()
    _, url, _ = app.launch(prevent_thread_lock=True, ssr_mode=False, quiet=True)
    yield url
    app.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(request: pytest.FixtureRequest, browser: Browser, app_url: str) -> Iterator[Page]:
    """A page at the width in the test's parameter, light; the chart may not log an error."""
    width = getattr(request, "param", WIDE)
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if "LiveChart" in m.text else None)
    page.add_init_script(SPY)
    page.goto(f"{app_url}?__theme=light")
    page.wait_for_function("document.querySelectorAll('.lrc-plot').length === 5 && paints > 4")
    yield page
    page.close()
    assert errors == []


def plot(page: Page, chart: str) -> Locator:
    return page.locator(f"#{chart} .lrc-plot")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def wait_for_points(page: Page, chart: str, count: int) -> None:
    page.wait_for_function(
        "([id, n]) => document.querySelector(`#${id} .lrc-plot`).ariaLabel.includes(`${n} points`)",
        arg=[chart, count],
    )


def repaint(page: Page, chart: str) -> list[dict[str, Any]]:
    """Paint again and return what one painting wrote on this chart's canvas."""
    page.evaluate("document.fonts.ready.then(() => { texts = []; })")
    page.evaluate("document.body.classList.toggle('lrc-test')")
    page.wait_for_function("id => texts.some(t => t.chart === id)", arg=chart)
    return [t for t in page.evaluate("texts") if t["chart"] == chart]


def point_at(page: Page, chart: str, share: float) -> tuple[float, float]:
    """Page coordinates at a share of a plot's width, in the middle of its height."""
    plot(page, chart).scroll_into_view_if_needed()
    box = plot(page, chart).bounding_box()
    assert box is not None
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def overlapping(a: dict[str, Any], b: dict[str, Any]) -> bool:
    beside = a["right"] <= b["left"] or b["right"] <= a["left"]
    return not (beside or a["bottom"] <= b["top"] or b["bottom"] <= a["top"])


# Without a browser.


def test_a_value_travels_as_json_text_and_comes_back_with_gaps_for_what_is_not_finite() -> None:
    chart = sweep_chart("any")
    value = {"series": [{"name": "a", "points": [[1, math.nan], [2, math.inf], [3, 1 / 3]]}]}
    wire = chart.postprocess(value)
    assert json.loads(wire)["series"][0]["points"] == [[1, None], [2, None], [3, 0.333333]]
    assert chart.preprocess(wire)["series"][0]["name"] == "a"
    assert chart.preprocess(None) == {} == chart.preprocess(chart.postprocess(None))


def test_the_config_that_the_page_gets_is_plain_json() -> None:
    config = sweep_chart("any", sweep_value()).get_config()
    assert json.loads(json.dumps(config))["label"] == "LR sweep"
    assert '"logX": true' in config["js_on_load"]


def test_a_word_of_its_script_is_no_attribute_of_a_chart() -> None:
    chart = sweep_chart("any")
    assert '"png"' in chart.get_config()["js_on_load"]
    assert not hasattr(chart, "png")


def test_thinning_keeps_the_spike_the_ends_and_what_it_kept_before() -> None:
    points = [[i, math.nan if i == 5 else math.sin(i)] for i in range(2000)]
    points[777][1] = 99.0
    kept = thin(points)
    assert MAX_POINTS / 3 < len(kept) <= MAX_POINTS
    assert points[777] in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    shorter = {tuple(p) for p in thin(points[:1900])[:-3] if p[1] == p[1]}
    assert shorter <= {tuple(p) for p in kept}
    assert thin(points[:300]) == points[:300]


@pytest.mark.parametrize(
    ("data", "x"),
    [({"x": 0.01}, 0.01), ({"x": 1}, 1.0), ({"x": True}, None), ({"x": "0.01"}, None)]
    + [({"x": math.nan}, None), ({"x": math.inf}, None), ({}, None), (None, None), ([1], None)],
)
def test_a_pick_is_a_finite_number_or_nothing(data: Any, x: float | None) -> None:
    assert picked_x(gr.EventData(None, data)) == x


def test_every_text_colour_is_readable_in_light_and_dark() -> None:
    css = CSS.read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--lrc-([\w-]+): (#[0-9a-f]{3,6});", block))
        for block in (css.split(".lrc {")[1].split("}")[0], css.split(".dark .lrc {")[1])
    )
    for colors, surface in ((light, "#ffffff"), (light | dark, "#27272a")):
        for name in ("muted", "train", "valid", "accent", "rule", "diverged", "lr"):
            assert contrast(colors[name], surface) >= 4.5, (name, surface)
        assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
        assert contrast(colors["on-tip"], colors["tip"]) >= 4.5


def contrast(a: str, b: str) -> float:
    """WCAG contrast ratio of two hex colours."""
    lights = sorted((luminance(a), luminance(b)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color: str) -> float:
    digits = color[1:] if len(color) == 7 else "".join(2 * c for c in color[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# With a browser.


@pytest.mark.browser
def test_an_empty_chart_says_so_and_nothing_moves_when_points_arrive(page: Page) -> None:
    chart = page.locator("#live .lrc")
    assert plot(page, "live").get_attribute("role") == "img"
    assert "No sweep yet" in chart.inner_text()
    assert page.locator("#live [data-do=csv]").is_disabled()
    before = (chart.bounding_box(), plot(page, "live").bounding_box())
    press(page, "start")
    wait_for_points(page, "live", 60)
    assert not page.locator("#live .lrc-empty").is_visible()
    assert (chart.bounding_box(), plot(page, "live").bounding_box()) == before
    assert chart.bounding_box()["height"] == 320  # pyright: ignore[reportOptionalSubscript]
    assert page.locator("#live .lrc-legend").inner_text().split("\n") == [
        "Each batch",
        "Smoothed",
        "Spread",
    ]


@pytest.mark.browser
def test_an_empty_chart_says_what_is_being_done_meanwhile(page: Page) -> None:
    title = page.locator("#live .lrc-empty strong")
    press(page, "wait")
    expect(title).to_have_text("Reading <b>pictures</b> …")
    expect(plot(page, "live")).to_have_attribute("aria-label", re.compile("LR sweep. Reading"))
    press(page, "clear")
    expect(title).to_have_text("No sweep yet")


@pytest.mark.browser
def test_a_click_gives_the_handler_a_float_and_sends_no_chart(page: Page) -> None:
    press(page, "start")
    wait_for_points(page, "live", 60)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.mouse.click(*point_at(page, "live", 0.4))
    page.wait_for_function("document.querySelector('#picked textarea').value !== ''")
    x = float(page.locator("#picked textarea").input_value())
    assert any(math.isclose(x, p[0], rel_tol=1e-4) for p in sweep_value(60)["series"][1]["points"])
    assert 1e-5 < x < 1e-3
    assert max(len(body) for body in sent) < 500
    picked = f"Picked {x:.1e}".replace("e-0", "e-").replace(".0e", "e")
    assert picked in (plot(page, "live").get_attribute("aria-label") or "")


@pytest.mark.browser
def test_a_pick_outlives_later_values_until_python_picks_or_the_run_is_cleared(page: Page) -> None:
    press(page, "start")
    wait_for_points(page, "live", 60)
    page.mouse.click(*point_at(page, "live", 0.4))
    label = "document.querySelector('#live .lrc-plot').ariaLabel"
    page.wait_for_function(f"{label}.includes('Picked')")
    press(page, "finish")
    wait_for_points(page, "live", 100)
    assert "Picked" in page.evaluate(label)
    press(page, "own")
    page.wait_for_function(f"{label}.includes('Picked 1e-4')")
    press(page, "clear")
    page.wait_for_function(f"{label}.includes('No sweep yet')")
    press(page, "start")
    wait_for_points(page, "live", 60)
    assert "Picked" not in page.evaluate(label)


@pytest.mark.browser
def test_the_keyboard_walks_over_the_points_and_picks(page: Page) -> None:
    press(page, "finish")
    wait_for_points(page, "live", 100)
    plot(page, "live").focus()
    page.keyboard.press("ArrowRight")
    assert "Suggested" in (plot(page, "live").get_attribute("aria-valuetext") or "")
    assert page.locator("#live .lrc-tip").is_visible()
    scrolled = page.evaluate("scrollY")
    for key in ("ArrowDown", "PageUp", "Home"):
        page.keyboard.press(key)
    assert page.evaluate("scrollY") == scrolled
    assert plot(page, "live").get_attribute("aria-valuenow") == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#picked textarea').value !== ''")
    x = float(page.locator("#picked textarea").input_value())
    assert math.isclose(x, 1e-7 * 10 ** (8 / 99), rel_tol=1e-5)
    page.keyboard.press("Escape")
    assert not page.locator("#live .lrc-tip").is_visible()


@pytest.mark.browser
def test_names_and_labels_are_never_markup_or_code(page: Page) -> None:
    page.mouse.move(*point_at(page, "hostile", 0.55))
    assert HOSTILE[:20] in page.locator("#hostile .lrc-tip").inner_text()
    page.locator("#hostile [data-do=table]").click()
    assert HOSTILE[:20] in page.locator("#hostile .lrc-table").inner_text()
    page.wait_for_timeout(200)
    assert page.locator("#hostile .lrc img").count() == 0
    assert page.evaluate("window.hacked") is None


@pytest.mark.browser
@pytest.mark.parametrize("page", [WIDE, PHONE], indirect=True)
def test_labels_stay_on_the_canvas_and_off_each_other(page: Page) -> None:
    texts = repaint(page, "done")
    box = plot(page, "done").bounding_box()
    assert box is not None
    names = [*RULES, "Suggested 3.2e-3", "diverged", "suggested range"]
    labels = [next(t for t in texts if t["text"] == name) for name in names]
    for i, label in enumerate(labels):
        assert label["left"] >= 0
        assert label["right"] <= box["width"]
        assert 0 <= label["top"] < label["bottom"] <= box["height"]
        assert not [b["text"] for b in labels[i + 1 :] if overlapping(label, b)], label["text"]


@pytest.mark.browser
def test_a_loss_of_a_million_leaves_through_the_top_of_a_readable_axis(page: Page) -> None:
    texts = [t["text"] for t in repaint(page, "done")]
    ticks = [float(t) for t in texts if re.fullmatch(r"\d\.\d+", t) and float(t) != 0.1]
    assert 0.69 < max(ticks) < 2
    assert {"1e-7", "1e-5", "1e-2", "0.1", "1", "10"} <= set(texts)


@pytest.mark.browser
def test_training_has_accuracy_in_percent_on_the_right(page: Page) -> None:
    texts = [t["text"] for t in repaint(page, "training")]
    assert "100.0\u00a0%" in texts or "100\u00a0%" in texts
    assert "Accuracy" in texts
    assert "Accuracy 98.3\u00a0%" in (plot(page, "training").get_attribute("aria-label") or "")


@pytest.mark.browser
def test_gaps_infinities_and_zero_rates_draw_without_an_error(page: Page) -> None:
    assert repaint(page, "odd")
    assert "4 points" in (plot(page, "odd").get_attribute("aria-label") or "")
    for share in (0.1, 0.5, 0.9):
        page.mouse.move(*point_at(page, "odd", share))
    assert page.locator("#odd .lrc-tip").is_visible()


@pytest.mark.browser
def test_a_tab_opened_later_draws_the_value_it_has_then(page: Page) -> None:
    press(page, "finish")
    wait_for_points(page, "live", 100)
    assert page.locator("#lazy .lrc").count() == 0
    page.get_by_role("tab", name="Second").click()
    wait_for_points(page, "lazy", 100)
    assert {"Suggested 3.2e-3", "0.1"} <= {t["text"] for t in repaint(page, "lazy")}


@pytest.mark.browser
def test_table_csv_and_png_hold_the_points(page: Page, tmp_path: Path) -> None:
    page.locator("#training [data-do=table]").click()
    rows = page.locator("#training .lrc-table tbody tr")
    assert 20 <= rows.count() <= 40
    assert "98.3\u00a0%" in rows.last.inner_text()
    files = {}
    for kind in ("csv", "png"):
        with page.expect_download() as download:
            page.locator(f"#training [data-do={kind}]").click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    lines = files["csv"].read_text().splitlines()
    assert files["csv"].name == "training.csv"
    assert lines[0] == '"series","Step","value"'
    assert len(lines) == 1 + 300 + 4
    assert lines[-1] == '"Accuracy",300,0.983'
    assert files["png"].read_bytes().startswith(b"\x89PNG")


@pytest.mark.browser
def test_the_theme_changes_the_drawing_at_once(page: Page) -> None:
    has_colour = """rgb => {
        const canvas = document.querySelector('#done .lrc-plot');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((_, i) => i % 4 === 0 && rgb.every((c, k) => data[i + k] === c));
    }"""
    blue_in_light, blue_in_dark = [0x1A, 0x5F, 0xD0], [0x74, 0xAC, 0xFF]
    assert page.evaluate(has_colour, blue_in_light)
    assert not page.evaluate(has_colour, blue_in_dark)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(has_colour, arg=blue_in_dark, timeout=10_000)


@pytest.mark.browser
def test_a_cursor_that_moves_before_a_new_theme_is_drawn_is_no_error(page: Page) -> None:
    plot(page, "done").focus()
    page.evaluate("""async () => {
        document.body.classList.add('dark');
        await Promise.resolve();  // the theme is known to have changed, and not yet drawn
        const key = new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true });
        document.querySelector('#done .lrc-plot').dispatchEvent(key);
    }""")
    assert page.locator("#done .lrc-tip").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_on_a_phone_the_tooltip_stays_inside_and_the_page_does_not_scroll_sideways(
    page: Page,
) -> None:
    for share in (0.15, 0.5, 0.95):
        page.mouse.move(*point_at(page, "done", share))
        tip = page.locator("#done .lrc-tip").bounding_box()
        outer = page.locator("#done .lrc").bounding_box()
        assert tip is not None
        assert outer is not None
        assert tip["x"] >= outer["x"]
        assert tip["x"] + tip["width"] <= outer["x"] + outer["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
