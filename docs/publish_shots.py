"""Take the screenshots of the Publish tab: the real app, and the tests' Hub in place of the Hub.

`python docs/publish_shots.py` takes about two minutes. Chromium is `$CHROMIUM`, else
`/usr/bin/chromium`.
"""

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

# The tests start the app and the Hub in the same way.
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "docs")]

from app_server import AppServer  # noqa: E402 the path must be set before
from hub_emulator import HubEmulator  # noqa: E402
from shots import CHOSEN, DESKTOP, SLOW, both  # noqa: E402

expect.set_options(timeout=SLOW)


def main() -> None:
    """Train, ask, publish, and photograph what was asked and what is published."""
    with (
        tempfile.TemporaryDirectory() as name,
        HubEmulator() as hub,
        sync_playwright() as playwright,
    ):
        hub.users["hf_of_ada"] = "ada"
        folder = Path(name)
        app = AppServer(folder, hub.client_env(folder / "home", HF_TOKEN="hf_of_ada")).wait()
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
    """From the empty page to a published model with its demo page."""
    page.goto(url)
    page.get_by_text("Digits: 1,797").click()
    page.get_by_text(CHOSEN).wait_for()
    page.get_by_role("tab", name="Train").click()
    page.locator("#start-train").click()
    page.locator("#to-publish").wait_for(state="visible")
    page.locator("#to-publish").click()
    page.locator("#ask-hub").click()
    page.locator("#publish").wait_for(state="visible")
    both(page, "publish", at="#publish-findings")
    page.locator("#publish").click()
    expect(page.locator("#publish-result")).to_contain_text("Demo page")
    expect(page.locator("#publish-result")).to_contain_text("pictures alike")
    both(page, "published", at="#publish-result")


if __name__ == "__main__":
    main()
