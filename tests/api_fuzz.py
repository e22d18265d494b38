"""Senseless requests to every event of a running app, and whether each one was answered.

Used by tests/test_api_fuzz.py and, at full size, by benchmarks/fuzz_api.py.
"""

import json
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 30.0
BATCH = 20
_OURS = re.compile(r'File "[^"]*/(?:ui|trainer)/[^"]+\.py"|a handler failed|Our mistake')


@dataclass(slots=True)
class Outcome:
    sent: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    accepted: int = 0
    ended: int = 0
    unanswered: list[str] = field(default_factory=list)
    """Requests without an answer, and events without an end."""
    surprises: list[str] = field(default_factory=list)
    """Answers that are neither a result, nor a refusal, nor an error that gradio announces."""


def fuzz(url: str, num_requests: int, seed: int) -> Outcome:
    """Send requests in batches; wait for each batch's events to end."""
    rng, outcome = random.Random(seed), Outcome()
    # A connection each: one that lies idle while a stream is read is closed by the server.
    once = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(
        base_url=url, timeout=PATIENCE_SECONDS, trust_env=False, limits=once
    ) as client:
        dependencies = client.get("/config").json()["dependencies"]
        while outcome.sent < num_requests:
            session = f"fuzz{rng.getrandbits(60):x}"
            events: set[str] = set()
            for _ in range(min(BATCH, num_requests - outcome.sent)):
                _send(client, _request(rng, dependencies, session), events, outcome)
            outcome.accepted += len(events)
            _follow(client, session, events, outcome)
    return outcome


def defects(log: Path) -> list[str]:
    """Lines of the app's log that name code of ours in a traceback."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if _OURS.search(line)]


def _request(
    rng: random.Random, dependencies: list[dict[str, Any]], session: str
) -> tuple[str, bytes]:
    """A path and a body."""
    event = rng.choice(dependencies)
    body: Any = {
        "data": _data(rng, len(event["inputs"])),
        "fn_index": event["id"] if rng.random() < 0.9 else _value(rng),
        "session_hash": session,
    }
    if rng.random() < 0.5:
        body["event_data"] = rng.choice([_value(rng), {"x": _value(rng)}, {"index": _value(rng)}])
    for name in ("trigger_id", "event_id", "simple_format", "batched", "oauth_token"):
        if rng.random() < 0.05:
            body[name] = _value(rng)
    if rng.random() < 0.05:
        body = _value(rng)
    text = json.dumps(body).encode()
    if rng.random() < 0.02:
        text = text[: rng.randrange(len(text) + 1)]
    name = event["api_name"] or "predict"
    path = rng.choices(
        ["/gradio_api/queue/join", f"/gradio_api/run/{name}", f"/gradio_api/call/{name}"],
        [0.8, 0.1, 0.1],
    )[0]
    return path, text


def _data(rng: random.Random, num_inputs: int) -> Any:
    """As many values as the event takes, mostly."""
    if rng.random() < 0.05:
        return _value(rng)
    change = rng.choice([-1, 1, 40]) if rng.random() < 0.2 else 0
    return [_value(rng) for _ in range(max(0, num_inputs + change))]


def _value(rng: random.Random) -> Any:
    plain = [None, True, 0, -1, 2**62, 1e308, -1e308, "", "0", "auto"]
    texts = ["../../etc/passwd", "/etc/passwd", "a/b", "\x00", "<img src=x onerror=alert(1)>"]
    texts += ["{{7*7}}", "quick", "custom", "sgd", "1e-3", "ℬ𝒾𝑔", "hf://datasets/a/b", "'\"`;$(id)"]
    kind = rng.random()
    if kind < 0.01:
        return rng.choice([float("nan"), float("inf"), 2**63])
    if kind < 0.45:
        return rng.choice(plain)
    if kind < 0.75:
        return rng.choice(texts)
    if kind < 0.78:
        return "x" * rng.choice([10_000, 1_500_000])
    if kind < 0.785:
        return "x" * 10_000_000
    if kind < 0.80:
        deep: Any = []
        for _ in range(rng.choice([50, 900])):
            deep = [deep]
        return deep
    if kind < 0.90:
        return [rng.choice(plain + texts) for _ in range(rng.randrange(4))]
    path = rng.choice([*plain, *texts, "http://127.0.0.1/x", "/proc/self/environ"])
    return rng.choice(
        [
            {"path": path, "meta": {"_type": "gradio.FileData"}},
            {"path": path},
            {"path": path, "url": "data:image/png;base64,AAAA", "meta": {"_type": path}},
            {"visitor": rng.choice(plain), "runs": texts, "shown": {"train": path, "check": path}},
            {"visitor": [1], "runs": {"a": 1}, "shown": [path], "model_name": path},
        ]
    )


def _send(
    client: httpx.Client, request: tuple[str, bytes], events: set[str], outcome: Outcome
) -> None:
    path, body = request
    outcome.sent += 1
    try:
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        if len(body) < 2_000_000:  # who sends more than the limit may be cut off
            outcome.unanswered.append(f"{path}: {error!r}")
        return
    outcome.statuses[answer.status_code] = outcome.statuses.get(answer.status_code, 0) + 1
    found = _json(answer)
    if path.endswith("/queue/join"):
        if answer.status_code == 200:
            events.add(found["event_id"])
        elif answer.status_code >= 500 and answer.status_code != 503:
            outcome.surprises.append(f"{answer.status_code} {body[:300]!r}")
    elif answer.status_code >= 500 and "error" not in found:
        outcome.surprises.append(f"{path}: {answer.status_code} {body[:300]!r}")


def _follow(client: httpx.Client, session: str, events: set[str], outcome: Outcome) -> None:
    """Read the session's stream until each of its events has ended."""
    waiting = set(events)
    deadline = time.monotonic() + PATIENCE_SECONDS
    if not waiting:
        return
    try:
        with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as s:
            for line in s.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    waiting.discard(message["event_id"])
                if not waiting or time.monotonic() > deadline:
                    break
    except httpx.HTTPError as error:
        outcome.unanswered.append(repr(error))
    outcome.ended += len(events) - len(waiting)
    outcome.unanswered += sorted(waiting)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
