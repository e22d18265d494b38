"""Two visitors of one app: neither finds, reads, changes or ends what is the other's."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app_server import ROOT, AppServer
from pictures import png
from visitor import Visitor

pytestmark = pytest.mark.timeout(600)


class World:
    """A running app, Alice with a training that runs, Bob with pictures and a model of his own."""

    def __init__(self, app: AppServer) -> None:
        self.app = app
        self.alice, self.bob = Visitor(app.url), Visitor(app.url)
        for each in (self.alice, self.bob):
            each.do("page", "load")
            each.do("Example datasets", "input", Example_datasets="digits")
        self.alice.follow_until("check", "10 classes")
        self.bob.follow_until("check", "10 classes")
        self.model = self.bob.train_a_model()
        self.alice.do("start-train", "click", Recipe="custom", **{"All-layer_epochs": 50})
        self.run_id = self.alice.visit["shown"]["train"]
        self.alice.follow_until("train", "of ")
        self.secrets = [self.run_id, self.alice.visit["shown"]["check"], self.alice.session]

    @property
    def status(self) -> str:
        run = self.app.runs / self.run_id / "run.json"
        return json.loads(run.read_text(encoding="utf-8"))["status"]

    @property
    def predicted(self) -> list[list[str]]:
        """The pictures of each prediction that was ever begun."""
        runs = [json.loads(path.read_text()) for path in self.app.runs.glob("*/run.json")]
        return [run["job"]["images"] for run in runs if run["kind"] == "predict"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = AppServer(tmp_path_factory.mktemp("app")).wait()
    yield World(server)
    server.stop()


PUBLIC = [
    "/",
    "/config",
    "/gradio_api/info",
    "/gradio_api/info?all_endpoints=true",
    "/gradio_api/openapi.json",
    "/gradio_api/startup-events",
    "/gradio_api/queue/status",
    "/gradio_api/app_id",
    "/gradio_api/user",
    "/gradio_api/token",
    "/gradio_api/runs",
    "/gradio_api/run-history/records",
    "/monitoring",
    "/monitoring/summary",
    "/manifest.json",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_nothing_that_is_public_names_a_run(world: World, path: str) -> None:
    answer = world.bob.client.get(path)
    assert answer.status_code < 500
    assert [secret for secret in world.secrets if secret in answer.text] == []


FILES: list[Callable[[World], str]] = [
    lambda w: f"{w.app.runs}/{w.run_id}/run.json",
    lambda w: f"{w.app.runs}/{w.run_id}/events.jsonl",
    lambda w: f"{w.app.runs}/{w.alice.visit['shown']['check']}/run.json",
    lambda w: f"{w.app.runs}/workers.log",
    lambda w: f"{w.app.runs}",
    lambda w: f"{w.app.folder}/temp/lrlab-gradio/../../runs/{w.run_id}/run.json",
    lambda w: f"{w.app.folder}/cache/timm-models-1.0.31.json",
    lambda w: str(w.app.log),
    lambda w: f"runs/{w.run_id}/run.json",
    lambda w: str(ROOT / "app.py"),
    lambda w: str(ROOT / ".git" / "config"),
    lambda w: "/etc/passwd",
    lambda w: "/proc/self/environ",
    lambda w: f"{Path.home()}/.cache/huggingface/token",
]


@pytest.mark.parametrize("number", range(len(FILES)))
def test_no_file_of_a_run_or_of_the_machine_has_an_address(world: World, number: int) -> None:
    path = FILES[number](world)
    for route in ("/gradio_api/file=", "/file=", "/gradio_api/file/"):
        answer = world.bob.client.get(route + path)
        assert answer.status_code in (403, 404), f"{route}{path}"


METAS: list[dict[str, Any]] = [
    {},
    {"meta": None},
    {"meta": {"_type": "a picture"}},
    {"meta": {"_type": "gradio.FileData"}},
    {"url": "data:image/png;base64,AAAA"},
]


@pytest.mark.parametrize("number", range(len(METAS)))
def test_no_file_of_a_run_or_of_the_machine_is_a_picture(world: World, number: int) -> None:
    """Gradio checks a path only where its `meta` says that it is a file's."""
    paths = [path(world) for path in FILES] + ["/dev/stdin", "/dev/zero", "\0", "x" * 5000, ""]
    before = world.predicted
    for path in paths:
        told = _asked_about(world, {"path": path, **METAS[number]})
        assert "should not" not in "".join(told)  # a mistake of ours is worded so
    assert world.predicted == before


def test_a_picture_that_bob_uploads_is_one(world: World, tmp_path: Path) -> None:
    """The same requests as above, so that nothing but the path can have stopped those."""
    (tmp_path / "red.png").write_bytes(png())
    picture = world.bob.upload(tmp_path / "red.png")
    assert _asked_about(world, picture) == ["", ""]
    assert world.predicted == [[picture["path"]]] * 2


def _asked_about(world: World, picture: dict[str, Any]) -> list[str]:
    """The errors that the two ways to predict ended in, with Bob's own model."""
    model = {"predict-model": world.model}
    return [
        _told(world.bob, "predict-image", "change", {**model, "predict-image": picture}),
        _told(world.bob, "predict-many", "click", {**model, "predict-files": [picture]}),
    ]


def _told(visitor: Visitor, control: str, event: str, values: dict[str, Any]) -> str:
    """The error that an event ended in."""
    try:
        visitor.do(control, event, **values)
    except RuntimeError as error:
        return str(error)
    return ""


def on_page(updates: dict[str, Any]) -> str:
    """What the page shows; not the visit, which repeats what the visitor sent."""
    return json.dumps({name: value for name, value in updates.items() if name != "browserstate"})


def _almost(world: World) -> list[str]:
    """Ids that are nearly Alice's, or that lead to her folder another way."""
    run_id = world.run_id
    swapped = ("a" if run_id[0] != "a" else "b") + run_id[1:]
    paths = [f"../{world.app.runs.name}/{run_id}", f"{run_id}/", f"./{run_id}", f"x/../{run_id}"]
    return [run_id[:-1], run_id + "x", swapped, run_id[::-1], "", ".", "..", "uploads", *paths]


def test_an_id_that_is_nearly_anothers_shows_nothing(world: World) -> None:
    bob = Visitor(world.app.url)
    for wrong in _almost(world):
        bob.visit = {
            "visitor": world.alice.visit["visitor"],
            "runs": [wrong],
            "shown": {"train": wrong, "check": wrong, "sweep": wrong},
            "model_name": "",
        }
        updates = bob.do("page", "load")
        shown = on_page(updates)
        assert [secret for secret in world.secrets if secret in shown] == []
        assert updates["Your runs"]["choices"] == []


ACTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("stop", "click", {}),
    ("resume", "click", {}),
    ("Download the model", "click", {}),
    ("use-rate", "click", {}),
    ("start-train", "click", {}),
    ("start-sweep", "click", {}),
]


@pytest.mark.parametrize("number", range(len(ACTIONS)))
def test_an_id_that_is_nearly_anothers_does_nothing(world: World, number: int) -> None:
    control, event, values = ACTIONS[number]
    bob = Visitor(world.app.url)
    for wrong in _almost(world)[:5]:
        shown = {"train": wrong, "check": wrong, "sweep": wrong}
        bob.visit = {"visitor": "bob", "runs": [wrong], "shown": shown, "model_name": ""}
        try:
            updates = bob.do(control, event, **values)
        except RuntimeError as error:
            assert "Our mistake" not in str(error)
        else:
            assert [secret for secret in world.secrets if secret in on_page(updates)] == []
    assert world.status in ("running", "queued")


def test_ones_own_name_for_another_does_not_open_their_runs(world: World) -> None:
    bob = Visitor(world.app.url)
    bob.visit = {"visitor": world.alice.visit["visitor"]}
    assert world.run_id not in on_page(bob.do("page", "load"))
    bob.do("stop", "click")
    assert world.status == "running"


def test_bob_sees_and_stops_only_what_is_his(world: World) -> None:
    shown = json.dumps(world.bob.do("page", "load"))
    assert world.bob.visit["shown"]["check"] != world.alice.visit["shown"]["check"]
    assert [secret for secret in world.secrets if secret in shown] == []
    world.bob.do("stop", "click")
    assert world.status == "running"


@pytest.mark.parametrize("path", ["/gradio_api/cancel", "/gradio_api/reset"])
def test_a_guessed_session_cancels_nothing(world: World, path: str) -> None:
    for session in ("", "0", world.alice.session[:-1], world.alice.visit["visitor"]):
        body = {"session_hash": session, "fn_index": 0, "event_id": session}
        assert world.bob.client.post(path, json=body).status_code < 500
    assert world.status == "running"


def test_a_guessed_session_has_no_stream(world: World) -> None:
    params = {"session_hash": world.alice.session[:-1]}
    with world.bob.client.stream("GET", "/gradio_api/queue/data", params=params) as stream:
        first = next(stream.iter_lines(), "")
    assert world.run_id not in first


def test_nothing_that_bob_was_ever_told_names_alices_runs(world: World) -> None:
    world.bob.do("timer", "tick")
    assert [s for s in world.secrets for line in world.bob.said if s in line] == []


def test_anothers_website_neither_reads_nor_stops(world: World) -> None:
    foreign = {"Origin": "https://evil.example"}
    body = {"data": [], "fn_index": 2, "session_hash": world.alice.session}
    for path in ("/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/run/handler"):
        answer = world.bob.client.post(path, json=body, headers=foreign)
        assert answer.status_code == 403
    with httpx.Client(base_url=world.app.url, headers={"Host": "rebound.example"}) as rebound:
        assert rebound.get("/config").status_code == 403


def test_who_holds_the_id_is_the_one_who_stops_it(world: World) -> None:
    """The last of the file: it shows that the tests above could have failed."""
    assert world.status == "running"
    again = Visitor(world.app.url)
    again.visit = world.alice.visit
    assert world.run_id in on_page(again.do("page", "load"))
    again.do("stop", "click")
    again.follow_until("train", "Stopped")
    assert world.status == "stopped"
