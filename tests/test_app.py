"""The app as its visitors use it: a real browser against a real app with real workers."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app_server import AppServer
from browsing import SLOW, choose_digits, open_page, see_settings, steps_drawn, train_briefly
from pictures import png

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OFFLINE_SECONDS = float(os.environ.get("LRLAB_TEST_OFFLINE_SECONDS", "8"))
"""How long the browser is offline; 30 s is tried by hand."""
expect.set_options(timeout=SLOW)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    server = AppServer(tmp_path_factory.mktemp("app")).wait()
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(app: AppServer, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    open_page(page, app)
    yield page
    context.close()
    known = ("AbortError", "errored out", "net::ERR", "network error", "Failed to load resource")
    assert [each for each in problems if not any(word in each for word in known)] == []


def choose_tiny_training(page: Page) -> None:
    """Digits, and a training of 180 steps that takes well under a minute."""
    choose_digits(page)
    train_briefly(page, all_layer_epochs=2, image_size=32, rate="0.005")
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 180"))


def expect_whole(page: Page, *, num_steps: int) -> None:
    """The training's result is shown, and every step of it is in the curve."""
    page.get_by_role("tab", name="Train").click()
    page.locator("#try-it").wait_for(state="visible")
    expect(page.locator("#train-card")).to_contain_text("of 360 validation pictures right")
    assert steps_drawn(page) == list(range(1, num_steps + 1))


def trainings(app: AppServer) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in app.runs.glob("*/run.json")]
    return [run for run in found if run["kind"] == "train"]


def sweep_digits(page: Page) -> None:
    """A sweep, with what was measured and the race under it."""
    page.locator("#start-sweep").click()
    page.locator("#use-rate").wait_for(state="visible")
    expect(page.locator("#verdict")).to_contain_text("Suggested:")
    expect(page.locator("#verdict")).to_contain_text("held-out pictures")
    expect(page.locator("#race-chart")).to_contain_text("too high")
    page.locator("#measured-chart").get_by_role("button", name="Table").click()
    expect(page.locator("#measured-chart .lrc-table tbody tr")).to_have_count(11)


def predict_several(page: Page, folder: Path) -> None:
    """Two pictures and a file that is none: a table with thumbnails, and the same as CSV."""
    for number in range(2):
        (folder / f"{number}.png").write_bytes(png(number))
    (folder / "2.png").write_bytes(b"no picture")
    page.get_by_text("Several pictures at once").click()
    page.locator("#predict-files input[type=file]").set_input_files(
        [folder / f"{n}.png" for n in range(3)]
    )
    page.get_by_role("button", name="Predict them all").click()
    rows = page.locator("#predict-table tr")
    expect(rows).to_have_count(4)
    expect(page.locator("#predict-table img")).to_have_count(2)
    drawn = "image => image.decode().then(() => image.naturalWidth)"
    assert page.locator("#predict-table img").last.evaluate(drawn) > 0
    expect(rows.nth(2)).to_contain_text("%")
    expect(rows.nth(3)).to_contain_text("is not a picture")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").or_(
            page.get_by_role("button", name="Download as CSV")
        ).first.click()
    assert Path(download.value.path()).read_text().count("\n") == 4


def test_digits_are_swept_trained_through_a_reload_and_predicted(
    app: AppServer, browser: Browser, visitor: Page, tmp_path: Path
) -> None:
    page = visitor
    choose_digits(page)
    for digit in "0123456789":
        expect(page.locator("#check").get_by_text(digit, exact=True).first).to_be_visible()

    sweep_digits(page)
    page.locator("#use-rate").click()
    rate = page.locator("#lr input, #lr textarea").first
    expect(rate).to_have_value(re.compile(r"^\d(\.\d{1,2})?e-\d$"))

    second = browser.new_context().new_page()
    second.set_default_timeout(SLOW)
    open_page(second, app)
    choose_digits(second)

    train_briefly(page, all_layer_epochs=2, image_size=48)
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 180"))
    page.reload()
    page.get_by_text("digits · 1,437 + 360 pictures · 10 classes").wait_for()
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 180"))
    expect(second.locator("#run-bar")).not_to_be_visible()
    assert "Training ·" not in second.locator("body").inner_text()
    second.locator("#start-sweep").click()
    expect(second.locator("#run-bar")).to_contain_text("waiting")

    page.get_by_role("tab", name="Train").click()
    page.locator("#try-it").wait_for(state="visible")
    expect(page.locator("#train-card")).to_contain_text("of 360 validation pictures right")
    assert steps_drawn(page) == list(range(1, 181))

    page.locator("#try-it").click()
    page.locator("#predict-examples img").nth(3).click()
    expect(page.locator("#predict-answer")).to_contain_text("%")
    predict_several(page, tmp_path)
    gone = time.monotonic() + 30
    while left := list(app.runs.glob("*/thumbnails/*")):
        assert time.monotonic() < gone, left  # nobody's pictures stay where they were shown
        time.sleep(0.2)
    page.set_viewport_size({"width": 390, "height": 844})
    time.sleep(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(second.locator("#run-bar")).not_to_contain_text("waiting")
    second.context.close()


def test_an_upload_that_is_no_archive_is_refused_in_words(visitor: Page, tmp_path: Path) -> None:
    page = visitor
    path = tmp_path / "notes.zip"
    path.write_bytes(b"not a zip at all")
    page.get_by_text("Upload a zip").click()
    page.locator("input[type=file]").first.set_input_files(str(path))
    expect(page.locator("#check")).to_contain_text("cannot be used")
    expect(page.locator("#check")).not_to_contain_text("Traceback")


def test_training_without_pictures_says_what_to_do(visitor: Page) -> None:
    visitor.get_by_role("tab", name="Train").click()
    visitor.locator("#start-train").click()
    expect(visitor.locator(".toast-body")).to_contain_text("Choose pictures first")


def test_a_setting_out_of_range_is_named_before_anything_runs(visitor: Page) -> None:
    choose_digits(visitor)
    visitor.get_by_role("tab", name="Train").click()
    visitor.locator("#lr input, #lr textarea").first.fill("fast")
    expect(visitor.get_by_text("Learning rate is 'fast'")).to_be_visible()
    visitor.locator("#start-train").click()
    expect(visitor.locator(".toast-body")).to_contain_text("Learning rate is 'fast'")


def test_a_stopped_training_goes_on_from_where_it_was(visitor: Page) -> None:
    page = visitor
    choose_digits(page)
    train_briefly(page, all_layer_epochs=3, image_size=32, rate="0.005")
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step 1\d\d of 225"))
    page.locator("#stop").click()
    expect(page.locator("#train-card")).to_contain_text("Stopped")
    page.locator("#resume").click()
    page.locator("#try-it").wait_for(state="visible")
    assert steps_drawn(page) == list(range(1, 226))


def test_a_training_is_whole_after_a_reload_and_in_a_tab_that_was_closed_and_opened_again(
    app: AppServer, visitor: Page
) -> None:
    before = len(trainings(app))
    choose_tiny_training(visitor)
    visitor.reload()
    expect(visitor.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 180"))
    again = visitor.context.new_page()
    again.set_default_timeout(SLOW)
    visitor.close()
    open_page(again, app)
    expect_whole(again, num_steps=180)
    again.reload()
    expect_whole(again, num_steps=180)
    runs = trainings(app)
    assert len(runs) == before + 1, "a reload began a training of its own"
    assert [run["restarts"] for run in runs[before:]] == [0]


def test_a_training_is_whole_in_two_tabs_that_were_offline_meanwhile(
    app: AppServer, visitor: Page
) -> None:
    before = len(trainings(app))
    choose_tiny_training(visitor)
    second = visitor.context.new_page()
    second.set_default_timeout(SLOW)
    open_page(second, app)
    expect(second.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 180"))
    visitor.context.set_offline(True)
    for page in (visitor, second):
        page.get_by_text("Connection to the server was lost").wait_for()
    time.sleep(OFFLINE_SECONDS)
    visitor.context.set_offline(False)
    for page in (visitor, second):
        page.get_by_text("Connection to the server was lost").wait_for(state="hidden")
        expect_whole(page, num_steps=180)
    assert len(trainings(app)) == before + 1


def test_no_tab_forgets_the_runs_of_another_that_was_open_already(
    app: AppServer, visitor: Page
) -> None:
    second = visitor.context.new_page()
    second.set_default_timeout(SLOW)
    open_page(second, app)
    choose_digits(visitor)
    train_briefly(visitor, all_layer_epochs=4, image_size=32, rate="0.005")
    expect(visitor.locator("#run-bar")).to_contain_text("Training · digits")
    choose_digits(second)
    visitor.reload()
    expect(visitor.locator("#run-bar")).to_contain_text("Training · digits")
    visitor.locator("#stop").click()
    expect(visitor.locator("#run-bar")).not_to_be_visible()


def test_what_is_typed_after_a_recipe_was_chosen_stays_on_a_slow_line(visitor: Page) -> None:
    page = visitor
    page.get_by_role("tab", name="Train").click()
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 2000, "downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", slow)
    page.get_by_label("Lesson", exact=True).check()
    page.get_by_role("button", name="All settings").click()
    see_settings(page)
    page.get_by_label("All-layer epochs").fill("5")
    page.wait_for_timeout(4000)
    expect(page.get_by_text("The eight steps of fast.ai's first lesson")).to_be_visible()
    expect(page.get_by_label("All-layer epochs")).to_have_value("5")
    expect(page.get_by_label("Schedule", exact=True)).to_have_value("sgdr")


def test_a_phone_shows_the_page_without_scrolling_sideways(
    app: AppServer, browser: Browser
) -> None:
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(SLOW)
    open_page(page, app)
    for tab in ("Sweep", "Train", "Predict"):
        page.get_by_role("tab", name=tab).click()
        time.sleep(0.5)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{tab} is {wide} px wide"
    page.context.close()


def test_the_run_of_an_app_that_was_ended_goes_on_by_itself_and_so_does_the_page(
    app: AppServer, visitor: Page
) -> None:
    page = visitor
    choose_digits(page)
    train_briefly(page, all_layer_epochs=3, image_size=32, rate="0.005")
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step 1\d\d of 225"))
    began = time.monotonic()
    app.stop()
    assert time.monotonic() - began < 15
    lost = page.get_by_text("Connection to the server was lost")
    lost.wait_for()
    app.restart()
    lost.wait_for(state="hidden")  # the page loads itself anew
    expect_whole(page, num_steps=225)
    expect(page.locator("#resume")).not_to_be_visible()
    page.get_by_text("What was done").click()
    went_on = re.compile(r"The app was started again, resuming from step 1\d\d")
    expect(page.locator("#train-card")).to_contain_text(went_on)
