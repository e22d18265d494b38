"""A visitor without a browser: raw requests to a running app, and what a browser would keep."""

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

LITTLE = {
    "Recipe": "custom",
    "Image_size": 32,
    "Head_epochs": 1,
    "All-layer_epochs": 0,
    "lr": "0.01",
}
"""The settings of a training that costs next to nothing."""


class Visitor:
    """One page load: its own session, its own visit, every event of the page by its control."""

    def __init__(
        self, url: str, *, seconds: float = 120.0, cookies: dict[str, str] | None = None
    ) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(
            base_url=url, timeout=seconds, trust_env=False, limits=limits, cookies=cookies
        )
        self.session = secrets.token_hex(8)
        self.visit: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        """Of the last event: a quick run has ended by the time its click is answered."""
        self.said: list[str] = []
        """Every line that came over an event stream."""
        self.config = self.client.get("/config").json()
        self.components = {each["id"]: each for each in self.config["components"]}

    def do(self, control: str, event: str, **values: Any) -> dict[str, Any]:
        """Send an event of the control with this element id or label; its updates by control.

        `values` replace inputs by element id or label (spaces as `_`); `event_data` goes beside.

        Raises:
            RuntimeError: the app answered with an error; its words.
        """
        dependency = self._dependency(control, event)
        body = {
            "fn_index": dependency["id"],
            "session_hash": self.session,
            "event_data": values.pop("event_data", None),
            "data": self.inputs(dependency, values),
        }
        answer = self.client.post("/gradio_api/queue/join", json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code} {answer.text}")
        output = self._result(answer.json()["event_id"])
        if not output["success"]:
            raise RuntimeError(str(output["output"].get("error")))
        return self._taken(dependency, output["output"]["data"])

    def inputs(self, event: dict[str, Any], values: Mapping[str, Any]) -> list[Any]:
        """The data of an event as the page sends it, but for these values."""
        return [self._input(number, values) for number in event["inputs"]]

    def names(self, event: dict[str, Any]) -> list[str]:
        """The controls that bring an event about: element ids, labels, types, or `page`."""
        page = {"type": "page", "props": {}}
        found = [self.components.get(number, page) for number, _ in event["targets"]]
        shown = [(each["props"], each["type"]) for each in found]
        return [props.get("elem_id") or props.get("label") or kind for props, kind in shown]

    def upload(self, path: Path) -> dict[str, Any]:
        """Upload a file; the value that a control of files takes."""
        with path.open("rb") as file:
            answer = self.client.post("/gradio_api/upload", files={"files": (path.name, file)})
        answer.raise_for_status()
        meta = {"_type": "gradio.FileData"}
        return {"path": answer.json()[0], "orig_name": path.name, "meta": meta}

    def train_a_model(self) -> str:
        """Train on the chosen pictures as little as possible; the finished run."""
        self.do("start-train", "click", **LITTLE)
        return self.follow_until("train", "validation pictures right")

    def follow_until(self, kind: str, words: str, seconds: float = 300.0) -> str:
        """Tick until an update of the page holds the words, the last event's to begin with; the
        run that is shown then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for update in self.last.values():
                if words in json.dumps(update, ensure_ascii=False):
                    return self.visit["shown"].get(kind, "")
            time.sleep(0.3)
            self.do("timer", "tick")
        raise TimeoutError(f"{words!r} was not shown within {seconds} s")

    def _dependency(self, control: str, event: str) -> dict[str, Any]:
        for dependency in self.config["dependencies"]:
            for number, name in dependency["targets"]:
                of_page = number not in self.components and control == "page"
                if name == event and (of_page or self._is(number, control)):
                    return dependency
        raise LookupError(f"no {event} of {control}")

    def _is(self, number: int, control: str) -> bool:
        component = self.components.get(number, {"props": {}, "type": ""})
        props = component["props"]
        return control in (props.get("elem_id"), props.get("label"), component["type"])

    def _input(self, number: int, values: Mapping[str, Any]) -> Any:
        component = self.components[number]
        if component["type"] == "browserstate":
            return self.visit
        for control, value in values.items():
            if self._is(number, control) or self._is(number, control.replace("_", " ")):
                return value
        return component["props"].get("value") if component["type"] != "state" else None

    def _result(self, event_id: str) -> dict[str, Any]:
        params = {"session_hash": self.session}
        with self.client.stream("GET", "/gradio_api/queue/data", params=params) as stream:
            for line in stream.iter_lines():
                self.said.append(line)
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("event_id") == event_id and message["msg"] == "process_completed":
                    return message
        raise RuntimeError("the stream ended before the event did")

    def _taken(self, dependency: dict[str, Any], data: list[Any]) -> dict[str, Any]:
        """What the outputs were updated to; the visit is kept as a browser would."""
        updates = {}
        for number, value in zip(dependency["outputs"], data, strict=True):
            component = self.components[number]
            if isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1:
                continue
            if component["type"] == "browserstate":
                self.visit = value
            name = component["props"].get("elem_id") or component["props"].get("label")
            updates[str(name or component["type"])] = value
        self.last = updates
        return updates
