"""What a person does in the app, as a real browser does it: open, choose, train, read the chart."""

import csv
from pathlib import Path

from playwright.sync_api import Page, expect

from app_server import AppServer

SLOW = 180_000
"""Milliseconds that a wait may take on a cold, busy machine."""
_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def open_page(page: Page, app: AppServer) -> None:
    page.goto(app.url)
    page.get_by_role("heading", name="LR Lab").wait_for()
    page.get_by_text("offline: built-in digits").wait_for()


def choose_digits(page: Page) -> None:
    page.get_by_text("Digits: 1,797").click()
    page.get_by_text("digits · 1,437 + 360 pictures · 10 classes").wait_for()


def see_settings(page: Page) -> None:
    """Until the fields of “All settings” are on the screen.

    Gradio sets each field anew in the frame in which it is first drawn; a script can be faster
    than that, nobody else.
    """
    page.get_by_label("All-layer epochs").wait_for()
    page.evaluate(_FRAMES)


def train_briefly(
    page: Page, *, all_layer_epochs: int, image_size: int = 0, rate: str | None = None
) -> None:
    """A training of two epochs of the head and some of all layers, 45 steps each on digits.

    All layers are trained `always`: by itself a run leaves them out on a machine that is slow, or
    busy with other tests.
    """
    page.get_by_role("tab", name="Train").click()
    page.get_by_label("Custom", exact=True).check()
    see_settings(page)
    page.get_by_label("Train all layers?").click()
    page.get_by_role("option", name="always").click()
    if rate is not None:
        page.locator("#lr input, #lr textarea").first.fill(rate)
    numbers = {"Image size": image_size, "All-layer epochs": all_layer_epochs, "Head epochs": 2}
    for label, number in numbers.items():
        page.get_by_label(label).fill(str(number))
    page.get_by_label("Head epochs").blur()
    for label, number in numbers.items():
        expect(page.get_by_label(label)).to_have_value(str(number))
    page.locator("#start-train").click()


def steps_drawn(page: Page) -> list[int]:
    """The steps whose loss the chart draws, as its CSV has them; it draws up to 300."""
    with page.expect_download() as saved:
        page.locator("#loss-chart [data-do=csv]").click()
    with Path(saved.value.path()).open(newline="") as file:
        return [int(x) for name, x, _ in csv.reader(file) if name == "Training loss, each step"]
