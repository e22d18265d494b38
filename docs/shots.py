"""Take the README's screenshots: the real app, a real training, a real browser (`make shots`).

It takes about two minutes on two cores. Chromium is `$CHROMIUM`, else `/usr/bin/chromium`.
"""

import io
import os
import re
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

# The tests start the app in the same way.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from app_server import AppServer

SHOTS = Path(__file__).parent / "shots"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
MAX_BYTES = 250_000
SLOW = 300_000
"""Milliseconds that a wait may take on a cold, busy machine."""
CHOSEN = "digits · 1,437 + 360 pictures · 10 classes"
expect.set_options(timeout=SLOW)


def main() -> None:
    """Walk through the app once, and photograph each state wide and narrow."""
    os.environ.update(
        HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", GRADIO_ANALYTICS_ENABLED="False"
    )
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        app = AppServer(Path(folder)).wait()
        try:
            chromium = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
                args=["--no-sandbox", "--disable-dev-shm-usage"],
            )
            page = chromium.new_page(viewport=DESKTOP)
            page.set_default_timeout(SLOW)
            walk(page, app.url)
            chromium.close()
        finally:
            app.stop()


def walk(page: Page, url: str) -> None:
    """From the empty page to a prediction, then once more in the dark."""
    open_page(page, url)
    both(page, "start", at="h1")
    page.get_by_text("Digits: 1,797").click()
    page.get_by_text(CHOSEN).wait_for()
    page.locator("#check img").first.wait_for()
    both(page, "data", at="#check")

    page.locator("#start-sweep").click()
    page.locator("#use-rate").wait_for(state="visible")
    both(page, "sweep", at="#start-sweep")
    page.locator("#use-rate").click()

    page.locator("#start-train").click()
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"epoch \d of 6"))
    both(page, "training", at="#run-bar")
    page.locator("#try-it").wait_for(state="visible")
    both(page, "train", at="#loss-chart")

    page.locator("#try-it").click()
    page.locator("#predict-examples img").nth(3).click()
    expect(page.locator("#predict-answer")).to_contain_text("%")
    both(page, "predict", at="#predict-model")

    open_page(page, f"{url}/?__theme=dark")
    page.get_by_text(CHOSEN).wait_for()
    for tab in ("Sweep", "Train"):
        page.get_by_role("tab", name=tab).click()
        page.locator("#use-rate" if tab == "Sweep" else "#try-it").wait_for(state="visible")
        photograph(page, f"{tab.lower()}-desktop-dark", full_page=True)


def open_page(page: Page, url: str) -> None:
    """Open it and wait until it has answered once."""
    page.goto(url)
    page.get_by_role("heading", name="LR Lab").wait_for()
    page.get_by_text("offline: built-in digits").wait_for()


def both(page: Page, name: str, *, at: str) -> None:
    """The whole page on a desktop; on a phone one screen of it, from the element `at` on."""
    photograph(page, f"{name}-desktop", full_page=True)
    page.set_viewport_size(PHONE)
    page.locator(at).first.evaluate("element => element.scrollIntoView({block: 'start'})")
    photograph(page, f"{name}-phone")
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > PHONE["width"]:
        raise ValueError(f"{name}: the page is {width} px wide on a phone")
    page.set_viewport_size(DESKTOP)
    page.evaluate("window.scrollTo(0, 0)")


def photograph(page: Page, name: str, *, full_page: bool = False) -> None:
    """Save `docs/shots/NAME.png` once the canvases have been drawn again."""
    page.mouse.move(0, 0)  # no tooltips
    page.wait_for_timeout(800)
    data = small_png(page.screenshot(full_page=full_page, animations="disabled"))
    (SHOTS / f"{name}.png").write_bytes(data)
    print(f"{name}.png  {len(data) / 1000:.0f} kB")


def small_png(png: bytes) -> bytes:
    """The picture with as many colours as `MAX_BYTES` allows."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for num_colours in (256, 128, 64, 32):
        target = io.BytesIO()
        image.quantize(num_colours, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
        if target.tell() <= MAX_BYTES:
            return target.getvalue()
    raise ValueError(f"the screenshot is larger than {MAX_BYTES} bytes even in 32 colours")


if __name__ == "__main__":
    main()
