"""Publishing from the page: a real browser, a real app, the Hub emulator; at home, on a Space."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from app_server import AppServer
from browsing import see_settings
from hub_emulator import HubEmulator
from hub_tokens import Token
from sign_in import SignIn

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW = 180_000
ADA, GRACE = "hf_canaryTokenOfAda", "hf_oauth_canaryTokenOfGrace"
SECRET = "canaryOfTheOauthApp"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubEmulator]:
    with HubEmulator() as hub:
        hub.users[ADA] = "ada"
        hub.users[GRACE] = Token(
            user="grace", role="oauth", scopes=("openid", "profile", "contribute-repos")
        )
        yield hub


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def local(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a machine where Ada is logged in."""
    folder = tmp_path_factory.mktemp("local")
    server = AppServer(folder, hub.client_env(folder / "home", HF_TOKEN=ADA)).wait()
    yield server
    server.stop()


def open_page(browser: Browser, app: AppServer, width: int = 1280) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 1000}).new_page()
    page.set_default_timeout(SLOW)
    page.goto(app.url)
    page.get_by_role("heading", name="LR Lab").wait_for()
    return page


def train_digits(page: Page) -> None:
    page.get_by_text("Digits: 1,797").click()
    page.get_by_text("digits · 1,437 + 360 pictures · 10 classes").wait_for()
    page.get_by_role("tab", name="Train").click()
    page.get_by_label("Custom", exact=True).check()
    see_settings(page)
    page.locator("#lr input, #lr textarea").first.fill("0.01")
    page.get_by_label("Image size").fill("32")
    page.get_by_label("All-layer epochs").fill("0")
    page.get_by_label("Head epochs").fill("1")
    page.get_by_label("Head epochs").blur()
    page.locator("#start-train").click()
    page.locator("#to-publish").wait_for(state="visible")
    page.locator("#to-publish").click()


def name_of(page: Page) -> Locator:
    return page.locator("#publish-name").locator("input, textarea").first


def ask(page: Page, name: str) -> None:
    name_of(page).fill(name)
    page.locator("#ask-hub").click()


def left_behind(folder: Path, *secrets: str) -> list[str]:
    """The files of the app that hold one of these."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(p) for p in files if any(s.encode() in p.read_bytes() for s in secrets)]


def test_a_model_is_asked_for_trained_published_and_verified(
    hub: HubEmulator, local: AppServer, browser: Browser
) -> None:
    page = open_page(browser, local)
    page.get_by_role("tab", name="Publish").click()
    ask(page, "bob/not-mine")
    expect(page.locator("#publish-findings")).to_contain_text("ada may not write to bob")
    ask(page, "early")
    expect(page.locator("#publish-findings")).to_contain_text("Train a model, then publish it")
    expect(page.locator("#publish")).not_to_be_visible()

    train_digits(page)
    expect(name_of(page)).to_have_value("early")  # what was asked for before the training
    page.locator("#ask-hub").click()
    publish = page.locator("#publish")
    expect(publish).to_contain_text("Publish ada/early, private")
    assert ("models", "ada/early") not in hub.repos
    publish.click()
    result = page.locator("#publish-result")
    expect(result).to_contain_text("Demo page")
    expect(result).to_contain_text("answers 8 pictures alike")
    model = hub.repos["models", "ada/early"]
    space = hub.repos["spaces", "ada/early"]
    assert model.private and space.private and space.sdk == "static"
    assert {"model.onnx", "plots/confusion.png"} <= set(model.commits[model.refs["main"]])
    assert "index.html" in space.commits[space.refs["main"]]

    page.reload()
    page.get_by_role("tab", name="Publish").click()
    expect(page.locator("#publish-result")).to_contain_text("answers 8 pictures alike")
    expect(page.locator("#publish")).not_to_be_visible()
    expect(name_of(page)).to_have_value("digits-tf_efficientnet_lite0")  # for the next one
    assert left_behind(local.folder, ADA) == []


def test_a_changed_control_takes_the_confirmation_back(local: AppServer, browser: Browser) -> None:
    page = open_page(browser, local, width=390)
    train_digits(page)
    expect(name_of(page)).to_have_value("digits-tf_efficientnet_lite0")
    ask(page, "changed")
    page.locator("#publish").wait_for(state="visible")
    expect(name_of(page)).to_have_value("changed")
    page.get_by_label("Public: everybody").check()
    expect(page.locator("#publish")).not_to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def runs_of(app: AppServer, kind: str) -> list[dict[str, Any]]:
    """The runs of a kind, the newest last."""
    found = [json.loads(path.read_text()) for path in app.runs.glob("*/run.json")]
    return sorted((run for run in found if run["kind"] == kind), key=lambda run: run["created"])


def test_the_model_that_is_published_is_the_one_that_was_shown(
    local: AppServer, browser: Browser
) -> None:
    """Another training may end, and the page be loaded anew, between the question and the click."""
    page = open_page(browser, local)
    train_digits(page)
    first = runs_of(local, "train")[-1]
    ask(page, "shown")
    publish = page.locator("#publish")
    expect(publish).to_contain_text("Publish ada/shown, private")
    page.get_by_role("tab", name="Train").click()
    page.locator("#start-train").click()
    second = first
    while second["run_id"] == first["run_id"] or second["status"] != "done":
        page.wait_for_timeout(500)
        second = runs_of(local, "train")[-1]
    expect(page.locator("#run-bar")).not_to_be_visible()
    page.get_by_role("tab", name="Publish").click()
    expect(publish).to_contain_text("Publish ada/shown, private")

    page.get_by_role("tab", name="Train").click()
    page.locator("#to-publish").click()  # the second training's own button
    expect(publish).not_to_be_visible()
    expect(name_of(page)).to_have_value("digits-tf_efficientnet_lite0")
    expect(page.locator("#publish-findings")).not_to_contain_text("Ready to publish")

    page.reload()
    page.get_by_role("tab", name="Publish").click()
    expect(publish).to_contain_text("Publish ada/shown, private")
    expect(name_of(page)).to_have_value("shown")
    publish.click()
    expect(page.locator("#publish-result")).to_contain_text("answers 8 pictures alike")
    assert runs_of(local, "publish")[-1]["job"]["model"] == first["folder"]


def test_nobody_publishes_from_outside_the_page(local: AppServer) -> None:
    """What a foreign page, a share link's visitor and a program without a page can send."""
    config = json.loads(urllib.request.urlopen(f"{local.url}/config", timeout=10).read())
    ids = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    clicks = {
        name: next(
            each["id"] for each in config["dependencies"] if [ids[name], "click"] in each["targets"]
        )
        for name in ("ask-hub", "publish")
    }
    visit = {"visitor": "someone", "runs": [], "shown": {}, "model_name": ""}
    asked = [visit, None, None, "stolen", "public", []]
    foreign = {"Origin": "https://evil.example"}
    assert told(local, clicks["ask-hub"], asked, foreign) == "403"
    share = {"Host": "abc.gradio.live", "Origin": "https://abc.gradio.live"}
    assert told(local, clicks["ask-hub"], asked, share) in ("403", "421")
    assert "Publishing works from the app" in told(local, clicks["ask-hub"], asked, {})
    tunnel = {"Origin": local.url, "X-Forwarded-For": "192.0.2.1"}
    assert "This app is open to others" in told(local, clicks["ask-hub"], asked, tunnel)
    guessed = [visit, None, "a-guessed-word"]
    answer = told(local, clicks["publish"], guessed, {"Origin": local.url})
    assert "Check the name and the login again" in answer


def told(app: AppServer, fn_index: int, data: list[Any], headers: dict[str, str]) -> str:
    """The status of a refused request, or all that an event answers."""
    body = json.dumps({"data": data, "fn_index": fn_index, "session_hash": f"s{len(headers)}"})
    request = urllib.request.Request(
        f"{app.url}/gradio_api/queue/join",
        data=body.encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except HTTPError as error:
        error.close()
        return str(error.code)
    stream = urllib.request.Request(
        f"{app.url}/gradio_api/queue/data?session_hash=s{len(headers)}", headers=headers
    )
    said = ""
    with urllib.request.urlopen(stream, timeout=60) as answer:
        for line in answer:
            said += line.decode()
            if "process_completed" in said:
                return said
    return said


def test_on_a_space_a_visitor_publishes_as_themselves_and_as_nobody_else(
    hub: HubEmulator, browser: Browser, tmp_path: Path
) -> None:
    with SignIn() as provider:
        provider.visitor, provider.token = "grace", GRACE
        env = hub.client_env(
            tmp_path / "home",
            HF_TOKEN=ADA,  # of the Space's owner; nothing may ever be published with it
            SYSTEM="spaces",
            SPACE_ID="ada/lr-lab",
            OAUTH_CLIENT_ID="an-app",
            OAUTH_CLIENT_SECRET=SECRET,
            OAUTH_SCOPES="openid profile contribute-repos",
            OPENID_PROVIDER_URL=provider.url,
        )
        app = AppServer(tmp_path / "space", env).wait()
        try:
            page = open_page(browser, app)
            train_digits(page)
            ask(page, "on-a-space")
            expect(page.locator("body")).to_contain_text("Sign in with Hugging Face first")
            page.locator("#sign-in").click()
            expect(page.locator("#sign-in")).to_contain_text("grace")
            page.get_by_role("tab", name="Publish").click()
            ask(page, "ada/not-graces")
            expect(page.locator("#publish-findings")).to_contain_text("grace may not write to ada")
            page.locator("#publish-extras input").first.uncheck()
            ask(page, "on-a-space")
            expect(page.locator("#publish")).to_contain_text("grace/on-a-space")
            page.locator("#publish").click()
            expect(page.locator("#publish-result")).to_contain_text("pictures alike")
        finally:
            app.stop()
    assert ("models", "grace/on-a-space") in hub.repos
    assert not [repo_id for _, repo_id in hub.repos if re.match(r"ada/(not|on)-", repo_id)]
    assert left_behind(tmp_path, ADA, GRACE, SECRET) == []
