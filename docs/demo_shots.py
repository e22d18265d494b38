"""Take the screenshots of the free demo: the real model, Gradio's own example pictures.

`python docs/demo_shots.py` takes about a minute. Chromium is `$CHROMIUM`, else `/usr/bin/chromium`.
"""

import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

# The tests make the model and serve the page in the same way.
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "docs")]

from demo_model import lite0_folder, served  # noqa: E402 the path must be set before
from shots import DESKTOP, SLOW, both  # noqa: E402
from trainer.publish.demo import write_demo  # noqa: E402

PICTURES = {"cheetah": "cheetah1.jpg", "lion": "lion.jpg", "tower": "tower.jpg"}
expect.set_options(timeout=SLOW)


def main() -> None:
    """Write a demo, open it, and photograph its first answer wide and narrow."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        demo = write_demo(
            lite0_folder(Path(folder) / "model"),
            Path(folder) / "space",
            repo_id="someone/thousand-things",
            title="A thousand things",
            examples=example_pictures(Path(folder)),
        )
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        page = chromium.new_page(viewport={**DESKTOP, "height": 760})
        with served(demo) as url:
            page.goto(url)
            expect(page.locator("body")).to_have_attribute("data-state", "answered")
            both(page, "demo", at="body")
        chromium.close()


def example_pictures(folder: Path) -> list[Path]:
    """Gradio's pictures, each in a folder of its class, whose name becomes its caption."""
    gradio = find_spec("gradio")
    if gradio is None or gradio.origin is None:
        raise SystemExit("gradio is not installed, and its pictures are needed")
    media = Path(gradio.origin).parent / "media_assets" / "images"
    paths = []
    for name, file in PICTURES.items():
        (folder / name).mkdir()
        paths.append(Path(shutil.copy(media / file, folder / name)))
    return paths


if __name__ == "__main__":
    main()
