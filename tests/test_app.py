"""The app as its visitors use it: a real browser against a real app with real workers."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app_server import AppServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW = 180_000
"""Milliseconds that a wait may take on a cold, busy machine."""
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
    known = ("AbortError", "Connection errored out", "net::ERR", "Failed to load resource")
    assert [each for each in problems if not any(word in each for word in known)] == []


def open_page(page: Page, app: AppServer) -> None:
    page.goto(app.url)
    page.get_by_role("heading", name="LR Lab").wait_for()
    page.get_by_text("offline: built-in digits").wait_for()


def choose_digits(page: Page) -> None:
    page.get_by_text("Digits: 1,797").click()
    page.get_by_text("digits · 1,437 + 360 pictures · 10 classes").wait_for()


def train_briefly(page: Page, *, all_layer_epochs: int) -> None:
    page.get_by_role("tab", name="Train").click()
    page.get_by_label("Custom", exact=True).check()
    page.get_by_label("All-layer epochs").fill(str(all_layer_epochs))
    page.get_by_label("Head epochs").fill("2")
    page.get_by_label("Head epochs").blur()
    page.locator("#start-train").click()


def steps_drawn(page: Page) -> list[int]:
    """The steps in the loss chart's table."""
    page.locator("#loss-chart [data-do=table]").click()
    rows = page.locator("#loss-chart .lrc-table tbody tr").all_inner_texts()
    page.locator("#loss-chart [data-do=table]").click()
    return [int(re.sub(r"[^0-9]", "", row.split("\t")[0])) for row in rows]


def sweep_digits(page: Page) -> None:
    """A sweep, with what was measured and the race under it."""
    page.locator("#start-sweep").click()
    page.locator("#use-rate").wait_for(state="visible")
    expect(page.locator("#verdict")).to_contain_text("Suggested:")
    expect(page.locator("#verdict")).to_contain_text("held-out pictures")
    expect(page.locator("#race-chart")).to_contain_text("too high")
    page.locator("#measured-chart").get_by_role("button", name="Table").click()
    expect(page.locator("#measured-chart .lrc-table tbody tr")).to_have_count(11)


def test_digits_are_swept_trained_through_a_reload_and_predicted(
    app: AppServer, browser: Browser, visitor: Page
) -> None:
    page = visitor
    choose_digits(page)
    for digit in "0123456789":
        expect(page.locator("#check").get_by_text(digit, exact=True).first).to_be_visible()

    sweep_digits(page)
    page.locator("#use-rate").click()
    rate = page.locator("#lr input, #lr textarea").first
    expect(rate).to_have_value(re.compile(r"^\d\.\d\de-0\d$"))

    second = browser.new_context().new_page()
    second.set_default_timeout(SLOW)
    open_page(second, app)
    choose_digits(second)

    train_briefly(page, all_layer_epochs=5)
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 315"))
    page.reload()
    page.get_by_text("digits · 1,437 + 360 pictures · 10 classes").wait_for()
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step \d+ of 315"))
    expect(second.locator("#run-bar")).not_to_be_visible()
    assert "Training ·" not in second.locator("body").inner_text()
    second.locator("#start-sweep").click()
    expect(second.locator("#run-bar")).to_contain_text("waiting")

    page.get_by_role("tab", name="Train").click()
    page.locator("#try-it").wait_for(state="visible")
    expect(page.locator("#train-card")).to_contain_text("of 360 validation pictures right")
    steps = steps_drawn(page)
    assert steps == sorted(set(steps)), "the curve has gaps in order or duplicates"
    assert steps[0] <= 10
    assert steps[-1] == 315

    page.locator("#try-it").click()
    page.locator("#predict-examples img").nth(3).click()
    expect(page.locator("#predict-answer")).to_contain_text("%")
    page.set_viewport_size({"width": 390, "height": 844})
    time.sleep(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    second.locator("#use-rate").wait_for(state="visible")
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
    train_briefly(page, all_layer_epochs=3)
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step 1\d\d of 225"))
    page.locator("#stop").click()
    expect(page.locator("#train-card")).to_contain_text("Stopped")
    page.locator("#resume").click()
    page.locator("#try-it").wait_for(state="visible")
    steps = steps_drawn(page)
    assert steps == sorted(set(steps))
    assert steps[-1] == 225


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


def test_the_run_of_an_app_that_was_ended_is_there_after_a_restart(
    app: AppServer, visitor: Page
) -> None:
    page = visitor
    choose_digits(page)
    train_briefly(page, all_layer_epochs=3)
    expect(page.locator("#run-bar")).to_contain_text(re.compile(r"step 1\d\d of 225"))
    began = time.monotonic()
    app.stop()
    assert time.monotonic() - began < 15
    app.restart()
    open_page(page, app)
    page.get_by_role("tab", name="Train").click()
    page.locator("#resume").click()
    page.locator("#try-it").wait_for(state="visible")
    assert steps_drawn(page)[-1] == 225
