"""Requests that are nearly right: an event as the page sends it, but for one to three values.

Where all values are wrong, gradio turns most requests away, and no handler of ours ever sees them.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visitor import Visitor

PLAIN = [None, True, 0, -1, 2**62, 1e308, -1e308, "", "0", "auto"]
TEXTS = ["../../etc/passwd", "/etc/passwd", "a/b", "\x00", "<img src=x onerror=alert(1)>"]
TEXTS += ["{{7*7}}", "quick", "custom", "sgd", "ℬ𝒾𝑔", "hf://datasets/a/b", "'\"`;$(id)"]
RATES = [
    "auto",
    "",
    "1e-3",
    "0,01",
    "nan",
    "inf",
    "-1",
    "1e400",
    "0x10",
    "1_0",
    "３e-3",
    "9" * 5000,
]
NUMBERS = [None, 0, -1, 1, 2, 0.5, 1e308, -1e308, 2**62, 1e-300, 3.999999, 100_000]
EVENT_DATA = {"sweep-chart": {"x": 1e-3}, "predict-examples": {"index": 0, "value": None}}
"""What the page sends beside an event, by the control."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes requests for a visitor's session."""

    rng: random.Random
    visitor: Visitor
    held: Mapping[str, Any]
    """What controls hold that are not as the page began, by element id or label."""
    events: list[dict[str, Any]]
    """Those that the app answers; others are the browser's alone."""

    def next(self) -> tuple[str, bytes]:
        """A path and a body."""
        event = self.rng.choice(self.events)
        body: Any = self._mangled(self._body(event))
        text = json.dumps(body).encode()
        if self.rng.random() < 0.02:
            # Not by `randrange`: how often that draws depends on the length of a path.
            text = text[: int(self.rng.random() * len(text))]
        routes = ["queue/join", f"run/{event['api_name']}", f"call/{event['api_name']}"]
        return f"/gradio_api/{self.rng.choices(routes, [0.94, 0.03, 0.03])[0]}", text

    def _body(self, event: dict[str, Any]) -> dict[str, Any]:
        """What the page would send, but for one to three values."""
        data = self.visitor.inputs(event, self.held)
        beside = next((EVENT_DATA[n] for n in self.visitor.names(event) if n in EVENT_DATA), None)
        body = {"data": data, "fn_index": event["id"], "event_data": beside}
        places = range(len(data) + (beside is not None))
        most = max(1, min(3, len(places) // 2))
        for place in self.rng.sample(places, min(len(places), self.rng.randint(1, most))):
            if place < len(data):
                component = self.visitor.components[event["inputs"][place]]
                data[place] = self._changed(component, data[place])
            else:
                other = [self.value(), {key: self.value() for key in beside or ()}]
                body["event_data"] = self.rng.choice(other)
        return {**body, "session_hash": self.visitor.session}

    def _mangled(self, body: dict[str, Any]) -> Any:
        """Now and then something that no page sends."""
        rng = self.rng
        if rng.random() < 0.03:
            return self.value()
        if rng.random() < 0.03:
            body["fn_index"] = self.value()
        if rng.random() < 0.03:
            body["data"] = rng.choice([self.value(), body["data"][1:], [*body["data"], None] * 9])
        for name in ("trigger_id", "event_id", "simple_format", "batched", "oauth_token"):
            if rng.random() < 0.02:
                body[name] = self.value()
        return body

    def _changed(self, component: dict[str, Any], value: Any) -> Any:
        """Another value: one of its kind, or anything."""
        rng, kind = self.rng, component["type"]
        if rng.random() < 0.4:
            return self.value()
        choices = [choice[1] for choice in component["props"].get("choices") or []]
        if kind == "dropdown" and not choices:  # the page fills the menu later
            choices = [value, None]
        if kind == "browserstate":
            return {**value, rng.choice(list(value)): self.value()}
        if kind in ("image", "file") and value:
            return [value] if rng.random() < 0.2 else {**_one(value), "path": self.value()}
        if choices:
            return rng.choice(choices)
        if kind == "number":
            return rng.choice(NUMBERS)
        return rng.choice([*RATES, *TEXTS]) if kind == "textbox" else self.value()

    def value(self) -> Any:
        """Anything."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.01:
            return rng.choice([float("nan"), float("inf"), 2**63])
        if kind < 0.45:
            return rng.choice(PLAIN)
        if kind < 0.75:
            return rng.choice(TEXTS)
        if kind < 0.78:
            return "x" * rng.choice([10_000, 1_500_000])
        if kind < 0.785:
            return "x" * 10_000_000
        if kind < 0.80:
            return _deep(rng.choice([50, 900]))
        if kind < 0.90:
            return [rng.choice(PLAIN + TEXTS) for _ in range(rng.randrange(4))]
        path = rng.choice([*PLAIN, *TEXTS, "http://127.0.0.1/x", "/proc/self/environ"])
        return rng.choice(
            [
                {"path": path, "meta": {"_type": "gradio.FileData"}},
                {"path": path},
                {"path": path, "url": "data:image/png;base64,AAAA", "meta": {"_type": path}},
                {"visitor": path, "runs": TEXTS, "shown": {"train": path, "check": path}},
                {"visitor": [1], "runs": {"a": 1}, "shown": [path], "model_name": path},
            ]
        )


def _one(value: Any) -> dict[str, Any]:
    return value[0] if isinstance(value, list) else value


def _deep(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value
