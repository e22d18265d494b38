"""Senseless requests to every event of a running app, and what became of each.

Used by tests/test_api_fuzz.py and, at full size, by benchmarks/fuzz_api.py.
"""

import io
import json
import random
import re
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app_server import AppServer
from hub_emulator import HubEmulator
from pictures import png
from senseless import Requests
from visitor import LITTLE, Visitor

PATIENCE_SECONDS = 150.0
"""Longer than the app itself waits for anything."""
BATCH = 20
OUR_TITLES = ("This needs a change", "Our mistake")
"""Of errors that our handlers raise; gradio has others for what it turns away itself."""
_OURS = re.compile(
    r'File "[^"]*/(?:ui|trainer)/[^"]+\.py"|a handler failed|Our mistake|in postprocess_data'
)


@dataclass(slots=True)
class Outcome:
    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    accepted: int = 0
    ended: int = 0
    entered: dict[str, int] = field(default_factory=dict)
    """By event: how often the app's own handler began, and not gradio alone refused."""
    carried_out: dict[str, int] = field(default_factory=dict)
    """By event: how often it did what was asked."""
    unanswered: list[str] = field(default_factory=list)
    """Requests without an answer, and events without an end."""
    surprises: list[str] = field(default_factory=list)
    """Answers that are neither a result, nor a refusal, nor an error that gradio announces."""


@contextmanager
def logged_in_app(folder: Path) -> Iterator[AppServer]:
    """An app that may publish, to a Hub of its own."""
    with HubEmulator() as hub:
        hub.users["hf_canaryTokenOfAda"] = "ada"
        env = hub.client_env(folder / "home", HF_TOKEN="hf_canaryTokenOfAda")
        server = AppServer(folder, env).wait()
        try:
            yield server
        finally:
            server.stop()


def fuzz(app: AppServer, num_requests: int, seed: int) -> Outcome:
    """Send requests in batches; wait for each batch's events to end.

    A seed always makes the same requests, but for the ids that the app gives.
    """
    outcome, visitor = Outcome(), Visitor(app.url, seconds=PATIENCE_SECONDS)
    visitor.client.headers["Origin"] = app.url  # as a browser says; nobody else may publish
    held = _prepare(visitor, app.folder)
    events = [event for event in visitor.config["dependencies"] if event["backend_fn"]]
    names = {event["id"]: _name(visitor, event) for event in events}
    outcome.entered.update(dict.fromkeys(names.values(), 0))
    requests = Requests(random.Random(seed), visitor, held, events)
    while outcome.sent < num_requests:
        visitor.do("page", "load")  # fills the menus that a changed visit has emptied
        sent: dict[str, str] = {}
        for _ in range(min(BATCH, num_requests - outcome.sent)):
            path, body = requests.next()
            event_id = _send(visitor.client, path, body, outcome)
            if event_id:
                sent[event_id] = names.get(_json(body).get("fn_index"), "")
        outcome.accepted += len(sent)
        _follow(visitor, sent, outcome)
    return outcome


def defects(log: Path) -> list[str]:
    """Lines of the app's log that name code of ours in a traceback."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if _OURS.search(line)]


def _prepare(visitor: Visitor, folder: Path) -> dict[str, Any]:
    """Do once what can be done with little, so that every event could do something; what the
    controls hold then."""
    zip_box = "A zip with one folder for each class"
    archive = visitor.upload(_two_classes(folder / "pictures.zip"))
    (folder / "red.png").write_bytes(png())
    picture = visitor.upload(folder / "red.png")
    visitor.do("page", "load")
    visitor.do(zip_box, "upload", **{zip_box: archive})
    visitor.follow_until("check", "2 classes")
    model = visitor.train_a_model()
    held = {**LITTLE, "Steps": 20, "Check with trainings": False}
    visitor.do("start-sweep", "click", **held)
    visitor.follow_until("sweep", "rates in ")
    return {
        **held,
        zip_box: archive,
        "Example datasets": "digits",
        "Dataset on the Hub": "cats",
        "Your runs": model,
        "predict-model": model,
        "predict-image": picture,
        "predict-files": [picture, picture],
        "publish-model": model,
        "publish-name": "fuzzed",
    }


def _two_classes(path: Path) -> Path:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for number in range(24):
            color = (number * 9, 20, 200) if number % 2 else (200, number * 9, 20)
            archive.writestr(f"{('cats', 'dogs')[number % 2]}/{number}.png", png(color, (32, 32)))
    path.write_bytes(data.getvalue())
    return path


def _name(visitor: Visitor, event: dict[str, Any]) -> str:
    """Such as `start-sweep click`."""
    return f"{visitor.names(event)[0]} {event['targets'][0][1]}"


def _send(client: httpx.Client, path: str, body: bytes, outcome: Outcome) -> str | None:
    """Send it; the id of the event that it begins."""
    outcome.sent += 1
    try:
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        if len(body) < 2_000_000:  # who sends more than the limit may be cut off
            outcome.unanswered.append(f"{path}: {error!r}")
        return None
    _count(outcome.statuses, answer.status_code)
    found, joined = _json(answer.content), path.endswith("/queue/join")
    if joined and answer.status_code == 200:
        return found["event_id"]
    if answer.status_code >= 500 and (
        answer.status_code != 503 if joined else "error" not in found
    ):
        outcome.surprises.append(f"{path}: {answer.status_code} {body[:300]!r}")
    return None


def _follow(visitor: Visitor, sent: dict[str, str], outcome: Outcome) -> None:
    """Read the session's stream until each of its events has ended.

    Args:
        visitor: whose session it is.
        sent: the name of each event, by its id.
        outcome: where it is noted.
    """
    waiting = set(sent)
    deadline = time.monotonic() + PATIENCE_SECONDS
    if not waiting:
        return
    params = {"session_hash": visitor.session}
    try:
        with visitor.client.stream("GET", "/gradio_api/queue/data", params=params) as stream:
            for line in stream.iter_lines():
                message = _json(line[5:]) if line.startswith("data:") else {}
                event_id = message.get("event_id")
                if message.get("msg") == "process_completed" and event_id in waiting:
                    waiting.discard(event_id)
                    _note(sent[event_id], message, outcome)
                if not waiting or time.monotonic() > deadline:
                    break
    except httpx.HTTPError as error:
        outcome.unanswered.append(repr(error))
    outcome.ended += len(sent) - len(waiting)
    outcome.unanswered += sorted(f"{sent[event_id]} {event_id}" for event_id in waiting)


def _note(name: str, message: dict[str, Any], outcome: Outcome) -> None:
    if message["success"]:
        _count(outcome.carried_out, name)
    if message["success"] or message["output"].get("title") in OUR_TITLES:
        _count(outcome.entered, name)


def _count(counts: dict[Any, int], what: Any) -> None:
    counts[what] = counts.get(what, 0) + 1


def _json(text: str | bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
