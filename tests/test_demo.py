"""The free demo: the folder that is written, and the page in a real browser against our `predict`.

The page is served from loopback, as a Static Space would serve it.
"""

import base64
import gzip
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from fnmatch import fnmatch
from functools import partial
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Any, cast

import numpy as np
import pytest
import yaml
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from timm.models import save_for_hf

from demo_model import lite0_folder, served, set_preprocessing
from photo_sets import SHARED
from pictures import encode, quadrants, with_orientation
from trainer.classifier import Classifier, open_classifier
from trainer.config import Config
from trainer.data.picture import decode
from trainer.errors import ConfigError, ModelError, PictureError
from trainer.model import create
from trainer.publish.demo import INTERPOLATIONS, MAX_EXAMPLES, PAGE, write_demo
from trainer.transforms import Preprocess

ROOT = Path(__file__).parents[1]
REPO = "someone/some-model"
HOSTILE = ("<img src=x onerror=window.hacked=1>", "</script><script>window.hacked=1</script>", "{{")
TITLE = 'A: "b" # <img src=x onerror=window.hacked=1> {{7*7}} ${1}\n---\nsdk: docker é 🔎'
SLOW = 90_000
"""Milliseconds that a wait may take on a cold, busy machine."""
expect.set_options(timeout=SLOW)


def photo(size: tuple[int, int], seed: int, *, grain: float = 6) -> Image.Image:
    """Like a photograph: smooth light, edges of things, structure at every scale, some noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0:height, 0:width] / max(size)
    pixels = np.stack([90 + 90 * np.sin(rng.uniform(1, 5) * x + y * k) for k in (1, 2, 3)], axis=-1)
    for _ in range(9):
        center, radius = rng.uniform(0, 1, 2), rng.uniform(0.03, 0.25)
        inside = np.hypot(x - center[0], y - center[1]) < radius
        pixels[inside] = 0.3 * pixels[inside] + 0.7 * rng.uniform(0, 255, 3)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(height, width)))
    texture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(size)), s=(height, width))
    pixels += 25 * (texture / texture.std())[..., None] + rng.normal(0, grain, pixels.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def camera(size: tuple[int, int], seed: int) -> Image.Image:
    """As a camera writes a large photograph: no detail in single pixels, and grey grain."""
    small = photo((size[0] // 2, size[1] // 2), seed, grain=2).resize(
        size, Image.Resampling.BICUBIC
    )
    grain = np.random.default_rng(seed).normal(0, 2, (size[1], size[0], 1))
    return Image.fromarray(np.clip(np.asarray(small) + grain, 0, 255).astype(np.uint8))


def with_alpha(image: Image.Image) -> Image.Image:
    """The picture, more transparent to the right."""
    mask = np.linspace(255, 0, image.width).astype(np.uint8)[None].repeat(image.height, axis=0)
    image.putalpha(Image.fromarray(mask))
    return image


def pictures() -> dict[str, bytes]:
    """Encoded pictures of many kinds; photographs too, where there are some."""
    found = {
        "square": encode(photo((256, 256), 1)),
        "tiny": encode(photo((20, 14), 2)),
        "wide": encode(photo((900, 310), 3)),
        "tall": encode(photo((211, 777), 4)),
        "strip": encode(photo((40, 1600), 5)),
        "one pixel high": encode(photo((300, 300), 6).resize((300, 1))),
        "jpeg": encode(photo((640, 480), 7), "JPEG", quality=90),
        "jpeg 4:4:4": encode(photo((481, 603), 8), "JPEG", quality=95, subsampling=0),
        "progressive": encode(photo((500, 400), 9), "JPEG", quality=80, progressive=True),
        "webp": encode(photo((420, 560), 10), "WEBP", quality=85),
        "lossless webp": encode(photo((333, 222), 11), "WEBP", lossless=True),
        "gif": encode(photo((300, 200), 12).quantize(64), "GIF"),
        "bmp": encode(photo((250, 190), 13), "BMP"),
        "grey": encode(photo((400, 300), 14).convert("L")),
        "grey jpeg": encode(photo((400, 300), 15).convert("L"), "JPEG", quality=90),
        "palette": encode(photo((400, 300), 16).quantize(200)),
        "alpha": encode(with_alpha(photo((350, 270), 17))),
        "alpha webp": encode(with_alpha(photo((270, 350), 18)), "WEBP", lossless=True),
        "cmyk": encode(photo((320, 320), 19).convert("CMYK"), "JPEG", quality=95),
        "large": encode(camera((2400, 1600), 20), "JPEG", quality=90),
        "larger": encode(camera((4000, 3000), 21), "JPEG", quality=90),
        "odd and large": encode(camera((1203, 1607), 22), "JPEG", quality=92),
        "large png": encode(photo((1500, 1100), 23), compress_level=1),
    }
    for turn in range(1, 9):
        found[f"turn {turn}"] = with_orientation(photo((300, 200), 30 + turn), turn, "JPEG")
    found["large and turned"] = with_orientation(camera((1600, 1200), 40), 6, "JPEG")
    for path in sorted(SHARED.glob("sample_photos/*.jpg")) + sorted(SHARED.rglob("*9.jpg"))[::40]:
        found[path.name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def lite0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of the real model; its ONNX is made with the first demo."""
    return lite0_folder(tmp_path_factory.mktemp("lite0") / "model")


@pytest.fixture(scope="module")
def demo(lite0: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "daisy"
    folder.mkdir()
    (folder / "IMG_2024.jpg").write_bytes(with_orientation(photo((1000, 700), 50), 6, "JPEG"))
    (folder.parent / "my name.png").write_bytes(encode(with_alpha(photo((300, 300), 51))))
    return write_demo(
        lite0,
        tmp_path_factory.mktemp("demo") / "space",
        repo_id=REPO,
        title="A thousand things",
        examples=[folder / "IMG_2024.jpg", folder.parent / "my name.png"],
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model whose class names are hostile."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    config = {"label_names": list(HOSTILE)}
    model = create("test_resnet", num_classes=len(HOSTILE))
    save_for_hf(model, str(folder), model_config=config, safe_serialization=True)
    set_preprocessing(folder, input_size=[3, 32, 32])
    return folder


@pytest.fixture(scope="module")
def hostile(tiny: Path) -> Path:
    return write_demo(tiny, tiny.parent / "space", repo_id=REPO, title=TITLE)


def front_matter(folder: Path) -> dict[str, Any]:
    _, front, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(front)


def about_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model.json").read_text())


def test_the_folder_holds_the_whole_page_and_stays_under_30_megabytes(demo: Path) -> None:
    files = {str(p.relative_to(demo)): p.stat().st_size for p in demo.rglob("*") if p.is_file()}
    page = {str(p.relative_to(PAGE)) for p in PAGE.rglob("*") if p.is_file()}
    made = {"README.md", "model.json", "model.onnx"}
    examples = {"examples/example-1.jpg", "examples/example-2.jpg"}
    assert set(files) == page | made | examples
    assert 15e6 < sum(files.values()) < 30e6
    about = about_of(demo)
    assert about["model_bytes"] == files["model.onnx"]
    assert about["runtime_bytes"] == files["ort/ort-wasm-simd-threaded.wasm.gz"]
    assert about["class_names"][985] == "daisy"
    assert about["hub_url"] == f"https://huggingface.co/{REPO}"


def test_every_file_of_the_page_goes_into_the_package() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setup["package-data"]["trainer.publish"]
    for path in PAGE.rglob("*"):
        name = str(path.relative_to(PAGE.parent))
        same_depth = [p for p in patterns if p.count("/") == name.count("/")]
        assert path.is_dir() or any(fnmatch(name, pattern) for pattern in same_depth), name


def test_the_vendored_files_are_the_ones_that_are_listed() -> None:
    folder = PAGE / "ort"
    listed = json.loads((folder / "vendored.json").read_text())
    found = {p.name: sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    del found["vendored.json"]
    assert found == listed["sha256"]
    for name, digest in listed["unpacked_sha256"].items():
        packed = (folder / f"{name}.gz").read_bytes()
        assert packed[4:8] == b"\0\0\0\0"  # no time of packing: the same bytes each time
        assert sha256(gzip.decompress(packed)).hexdigest() == digest
    assert f"v{listed['version']}" in (folder / "ort.wasm.bundle.min.js").read_text()[:100]
    assert "Microsoft Corporation" in (folder / "LICENSE").read_text()


def test_the_front_matter_configures_a_static_space(demo: Path) -> None:
    assert front_matter(demo) == {
        "title": "A thousand things",
        "emoji": "🔎",
        "colorFrom": "green",
        "colorTo": "gray",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "license": "unknown",  # it has no run that says what it began from
        "models": [REPO],
        "short_description": "Tells 1,000 classes of pictures apart, in your browser",
    }


def test_hostile_text_reaches_neither_the_configuration_nor_the_source(hostile: Path) -> None:
    front = front_matter(hostile)
    assert front["title"] == " ".join(TITLE.split())
    assert front["sdk"] == "static"
    assert len(front["short_description"]) <= 60
    for path in PAGE.rglob("*"):
        if path.is_file():
            assert (hostile / path.relative_to(PAGE)).read_bytes() == path.read_bytes()
    assert about_of(hostile)["class_names"] == list(HOSTILE)


def test_no_page_file_has_inline_code_or_another_host() -> None:
    html = (PAGE / "index.html").read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:|<script(?![^>]*src=)", html)
    for name in ("index.html", "style.css", "app.js", "worker.js", "preprocess.js"):
        text = (PAGE / name).read_text()
        assert not re.search(r"(?<!xmlns=.)https?://|innerHTML|insertAdjacent|eval\(", text), name


def test_examples_become_small_upright_jpegs_that_tell_nothing(demo: Path) -> None:
    listed = about_of(demo)["examples"]
    assert [each["caption"] for each in listed] == ["daisy", "Example 2"]
    with Image.open(demo / listed[0]["file"]) as turned:
        assert turned.format == "JPEG"
        assert turned.size == (448, 640)
        assert not turned.getexif()
    with Image.open(demo / listed[1]["file"]) as see_through:
        assert min(cast("tuple[int, ...]", see_through.getpixel((299, 150)))) > 245  # over white
    assert b"IMG_2024" not in (demo / "model.json").read_bytes()


def test_a_demo_is_replaced_and_anything_else_is_kept(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "space"
    target.mkdir()
    write_demo(tiny, target, repo_id=REPO, title="one")
    write_demo(tiny, target, repo_id=REPO, title="two")
    assert about_of(target)["title"] == "two"
    (target / "thesis.txt").write_text("the only copy")
    with pytest.raises(ConfigError, match="would be lost"):
        write_demo(tiny, target, repo_id=REPO, title="three")
    assert about_of(target)["title"] == "two"
    assert (target / "thesis.txt").read_text() == "the only copy"
    assert [path.name for path in tmp_path.iterdir()] == ["space"]


def test_what_cannot_be_shown_is_refused_before_anything_is_written(
    tiny: Path, tmp_path: Path
) -> None:
    target, broken = tmp_path / "space", tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nothing")
    write = partial(write_demo, tiny, target, title="t")
    for repo_id in ("name", "../x", "a/b@main", "a/<b>"):
        with pytest.raises(ConfigError, match="not the id"):
            write(repo_id=repo_id)
    with pytest.raises(ConfigError, match="at most 12"):
        write(repo_id=REPO, examples=[broken] * (MAX_EXAMPLES + 1))
    with pytest.raises(PictureError, match=r"broken\.jpg is cut off"):
        write(repo_id=REPO, examples=[broken])
    with pytest.raises(PictureError, match="cannot be read"):
        write(repo_id=REPO, examples=[tmp_path / "gone.jpg"])
    with pytest.raises(ModelError, match="not an exported model"):
        write_demo(tmp_path, target, repo_id=REPO, title="t")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.jpg"]


def test_an_onnx_of_another_model_or_an_unknown_resizing_is_refused(
    tiny: Path, hostile: Path, tmp_path: Path
) -> None:
    stale = copytree(tiny, tmp_path / "stale")
    other = create("test_resnet", num_classes=len(HOSTILE))
    config = {"label_names": list(HOSTILE)}
    save_for_hf(other, str(stale), model_config=config, safe_serialization=True)
    set_preprocessing(stale, input_size=[3, 32, 32])
    assert (stale / "model.onnx").is_file()
    with pytest.raises(ModelError, match="differs from the model"):
        write_demo(stale, tmp_path / "space", repo_id=REPO, title="t")
    odd = copytree(tiny, tmp_path / "odd")
    set_preprocessing(odd, interpolation="random")
    with pytest.raises(ModelError, match="interpolation 'random', which"):
        write_demo(odd, tmp_path / "space", repo_id=REPO, title="t")


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_enough_contrast(dark: bool) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (PAGE / "style.css").read_text(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", blocks[dark]))

    def luminance(name: str) -> float:
        value = colours[name].lstrip("#")
        value = value if len(value) == 6 else "".join(2 * char for char in value)
        parts = [int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, two: str) -> float:
        low, high = sorted((luminance(one), luminance(two)))
        return (high + 0.05) / (low + 0.05)

    for text in ("text", "muted", "accent"):
        assert min(contrast(text, "card"), contrast(text, "page")) >= 4.5, text
    assert contrast("on-accent", "accent") >= 4.5
    assert contrast("on-accent", "accent-strong") >= 4.5
    assert contrast("error", "error-soft") >= 4.5
    assert contrast("control", "card") >= 3


@pytest.fixture(scope="module")
def url(demo: Path) -> Iterator[str]:
    with served(demo) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream"]
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(SLOW)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, url: str) -> Iterator[Page]:
    """The demo, opened and answered once; it may neither complain nor ask another host."""
    page = context.new_page()
    complaints, asked = watch(page)
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-state", "answered")
    yield page
    assert complaints == []
    assert all(address.startswith((url, "blob:")) for address in asked), asked


def watch(page: Page) -> tuple[list[str], list[str]]:
    """What the page complains of, and every address that is asked; both grow."""
    complaints: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.context.on("request", lambda request: asked.append(request.url))
    return complaints, asked


def upload(page: Page, data: bytes, name: str = "picture.png", kind: str = "image/png") -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": data})


def expect_answer(page: Page, size: str) -> None:
    expect(page.locator("#took")).to_contain_text(f"{size} pixels")
    expect(page.locator("body")).to_have_attribute("data-state", "answered")


def shown(page: Page) -> dict[str, str]:
    """The names and percentages on the page."""
    names = page.locator("#bars li > span:first-child").all_inner_texts()
    percents = page.locator("#bars li > span:nth-child(2)").all_inner_texts()
    return dict(zip(names, percents, strict=True))


def expected(classifier: Classifier, data: bytes) -> np.ndarray:
    """Our own probabilities of a picture."""
    return classifier.probs(classifier.preprocess.view(decode(data))[None])[0]


LOAD = """
async ({ about, name }) => {
  const worker = (window[name] = new Worker("worker.js", { type: "module" }));
  window.asked = (message) => new Promise((resolve) => {
    worker.onmessage = ({ data }) => data.type === "progress" || resolve(data);
    worker.postMessage(message);
  });
  return (await asked({ type: "load", about })).type;
}"""
LOOK = """
async ({ data, id }) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const answer = await asked({ type: "look", id, blob: new Blob([bytes]) });
  return { ...answer, probs: Array.from(answer.probs ?? []) };
}"""
VIEW = """
async ({ data, width, height, settings }) => {
  const { view } = await import("/preprocess.js");
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const rows = (top, count) => bytes.subarray(top * width * 4, (top + count) * width * 4);
  return Array.from(view({ width, height, rows }, settings));
}"""


@pytest.mark.browser
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_page_answers_as_predict_does(
    page: Page, lite0: Path, demo: Path, interpolation: str
) -> None:
    classifier = open_classifier(lite0, Config(device="cpu"))
    assert classifier.engine == "ONNX Runtime"
    settings = replace(classifier.preprocess, interpolation=interpolation)
    classifier = replace(classifier, preprocess=settings)
    about = about_of(demo) | {"preprocess": asdict(settings)}
    assert page.evaluate(LOAD, {"about": about, "name": interpolation}) == "ready"
    gaps, seconds = {}, {}
    for number, (name, data) in enumerate(pictures().items(), start=1):
        sent = base64.b64encode(data).decode()
        answer = page.evaluate(LOOK, {"data": sent, "id": number})
        assert answer["type"] == "answer", (name, answer)
        truth = expected(classifier, data)
        gaps[name] = float(np.abs(truth - np.array(answer["probs"])).max())
        seconds[name] = answer["seconds"]
    print({name: (round(gaps[name], 4), round(seconds[name], 2)) for name in gaps})
    assert len(gaps) >= 30
    assert {name: gap for name, gap in gaps.items() if gap > 1e-3} == {}


@pytest.mark.browser
@pytest.mark.parametrize("crop_mode", ["center", "squash", "border"])
def test_the_page_resizes_as_pillow_does_to_the_bit(page: Page, crop_mode: str) -> None:
    for number, interpolation in enumerate(INTERPOLATIONS):
        for size in ((70, 45), (45, 71), (30, 20), (33, 33), (300, 7)):
            settings = Preprocess(
                image_size=33,
                crop_pct=(0.875, 1.0, 0.95)[number % 3],
                crop_mode=crop_mode,
                interpolation=interpolation,
                mean=(0.485, 0.456, 0.406),
                std=(0.229, 0.224, 0.225),
            )
            image = photo(size, number)
            data = base64.b64encode(image.convert("RGBA").tobytes()).decode()
            sent = {"data": data, "width": size[0], "height": size[1]}
            values = page.evaluate(VIEW, sent | {"settings": asdict(settings)})
            ours = np.array(values, dtype=np.uint8).reshape(33, 33, 3)
            np.testing.assert_array_equal(ours, settings.view(image), f"{interpolation} {size}")


@pytest.mark.browser
def test_a_first_example_is_answered_without_a_click(page: Page, lite0: Path, demo: Path) -> None:
    truth = expected(
        open_classifier(lite0, Config(device="cpu")), (demo / "examples/example-1.jpg").read_bytes()
    )
    names = about_of(demo)["class_names"]
    answer = shown(page)
    best = np.argsort(-truth)[:5]
    assert list(answer)[0] == names[best[0]]
    assert len(answer) == 5
    assert float(answer[names[best[0]]].removesuffix(" %")) == pytest.approx(
        100 * truth[best[0]], abs=1.05
    )
    assert page.title() == page.locator("h1").inner_text() == "A thousand things"
    assert page.locator("#preview").get_attribute("alt") == "daisy"
    assert page.locator("#model-link").get_attribute("href") == f"https://huggingface.co/{REPO}"
    assert page.locator("#examples [aria-pressed=true]").count() == 1


@pytest.mark.browser
def test_pictures_are_taken_from_a_file_a_drop_the_clipboard_and_an_example(page: Page) -> None:
    upload(page, encode(quadrants((64, 40))))
    expect_answer(page, "64 × 40")
    assert page.locator("#examples [aria-pressed=true]").count() == 0
    for event, size in (("drop", (50, 41)), ("paste", (51, 42))):
        data = base64.b64encode(encode(quadrants(size))).decode()
        page.evaluate(
            """async ({ event, data }) => {
              const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
              const transfer = new DataTransfer();
              transfer.items.add(new File([bytes], "some.png", { type: "image/png" }));
              document.body.dispatchEvent(event === "drop"
                ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true })
                : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
            }""",
            {"event": event, "data": data},
        )
        expect_answer(page, f"{size[0]} × {size[1]}")
    page.get_by_role("button", name="Example 2").click()
    expect_answer(page, "300 × 300")


@pytest.mark.browser
def test_the_camera_gives_a_picture_and_is_let_go(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["camera"])
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()
    expect_answer(page, "640 × 480")
    assert page.evaluate("document.getElementById('video').srcObject") is None
    context.clear_permissions()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("The camera was refused")


@pytest.mark.browser
def test_what_goes_wrong_is_said_and_the_next_picture_works(page: Page) -> None:
    alert = page.get_by_role("alert")
    upload(page, b"some words", "notes.txt", "text/plain")
    expect(alert).to_contain_text("cannot read this file as a picture")
    expect(page.locator("#result")).to_be_hidden()
    page.evaluate("document.body.dispatchEvent(new DragEvent('drop', "
                  "{dataTransfer: new DataTransfer(), bubbles: true}))")  # fmt: skip
    expect(alert).to_contain_text("not a picture file")
    upload(page, bytes(50_000_001), "large.png")
    expect(alert).to_contain_text("too large (51 MB; the limit is 50 MB)")
    upload(page, encode(Image.new("1", (9000, 8000))))
    expect(alert).to_contain_text("too large (72 megapixels; the limit is 64)")
    upload(page, encode(quadrants((40, 30))))
    expect_answer(page, "40 × 30")
    expect(alert).to_be_hidden()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model.onnx", "The model is missing from this Space (model.onnx: 404)"),
        ("model.json", "The model is missing from this Space (model.json: 404)"),
        ("ort/ort-wasm-simd-threaded.wasm.gz", "The model is missing from this Space"),
    ],
)
def test_a_missing_file_is_named(
    context: BrowserContext, hostile: Path, tmp_path: Path, gone: str, said: str
) -> None:
    folder = copytree(hostile, tmp_path / "space")
    (folder / gone).unlink()
    page = context.new_page()
    with served(folder) as address:
        page.goto(address)
        expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.locator("#choose").is_disabled()


@pytest.mark.browser
def test_a_damaged_model_and_an_old_browser_are_told_apart(
    context: BrowserContext, hostile: Path, tmp_path: Path
) -> None:
    folder = copytree(hostile, tmp_path / "space")
    (folder / "model.onnx").write_bytes(b"version https://git-lfs")
    page = context.new_page()
    with served(folder) as address:
        page.goto(address)
        expect(page.get_by_role("alert")).to_contain_text("The model does not run in this browser")
        page.add_init_script("delete window.OffscreenCanvas")
        page.goto(address)
        expect(page.get_by_role("alert")).to_contain_text("This browser is too old")


@pytest.mark.browser
def test_hostile_names_are_only_text_on_the_page(context: BrowserContext, hostile: Path) -> None:
    page = context.new_page()
    complaints, _ = watch(page)
    with served(hostile) as address:
        page.goto(address)
        expect(page.locator("#status")).to_have_text("Ready. Choose a picture.")
        assert page.locator("#try").is_hidden()
        upload(page, encode(quadrants((64, 40))))
        expect_answer(page, "64 × 40")
        assert set(shown(page)) == set(HOSTILE)
        assert page.locator("h1").inner_text() == " ".join(TITLE.split())
        assert page.locator("h1 img, #bars img, #about img, #names *").count() == 0
        assert page.evaluate("typeof window.hacked") == "undefined"
    assert complaints == []


@pytest.mark.browser
def test_it_works_inside_a_frame_of_another_host(
    context: BrowserContext, url: str, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(f'<link rel="icon" href="data:,"><iframe src="{url}">')
    page = context.new_page()
    complaints, asked = watch(page)
    with served(tmp_path) as address:
        page.goto(address.replace("127.0.0.1", "localhost"))
        frame = page.frame_locator("iframe")
        expect(frame.locator("body")).to_have_attribute("data-state", "answered")
        assert frame.locator("#model-link").get_attribute("target") == "_blank"
    assert complaints == []
    assert any(each.endswith("model.onnx") for each in asked)


@pytest.mark.browser
def test_a_phone_needs_no_sideways_scrolling_even_with_long_names(
    context: BrowserContext, hostile: Path, tmp_path: Path, url: str
) -> None:
    folder = copytree(hostile, tmp_path / "space")
    about = about_of(folder) | {"class_names": ["x" * 200, "y " * 100, "z"], "title": "t" * 80}
    (folder / "model.json").write_text(json.dumps(about))
    page = context.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    with served(folder) as address:
        for each in (address, url):
            page.goto(each)
            if each == address:
                expect(page.locator("#status")).to_have_text("Ready. Choose a picture.")
                upload(page, encode(quadrants((64, 40))))
            expect(page.locator("body")).to_have_attribute("data-state", "answered")
            page.locator("summary").click()
            assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.browser
def test_the_keyboard_reaches_the_first_action_first_and_shows_where_it_is(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "choose"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_answer(page, "300 × 300")


@pytest.mark.browser
def test_a_photo_of_12_megapixels_does_not_freeze_the_page(page: Page, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(encode(camera((4000, 3000), 60), "JPEG", quality=90))
    page.evaluate("""() => {
      let last = performance.now();
      window.longest = 0;
      setInterval(() => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
      }, 10);
    }""")
    page.locator("#file").set_input_files(tmp_path / "photo.jpg")
    expect_answer(page, "4000 × 3000")
    print(page.locator("#took").inner_text(), "longest pause", page.evaluate("longest"), "ms")
    assert page.evaluate("longest") < 1_500  # a busy machine pauses too
