"""`Visit`: what the browser remembers of one visitor: their runs, and what each tab shows.

It lives in the browser and comes back as anybody's JSON: everything is checked here, and a run
id in it is only a key that the runner may or may not know.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MAX_RUNS = 40
PLACES = ("check", "sweep", "train", "preflight", "publish")
"""Kinds of runs that have a place on the page, the one that matters most last."""
LISTED = ("sweep", "train")
"""Kinds of runs that the visitor's menu lists."""
_MAX_TEXT = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    visitor: str
    """Names the visitor in the queue; no proof of anything."""
    runs: tuple[str, ...] = ()
    """Ids of sweeps and trainings, newest first."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """By kind (one of PLACES): the id of the run that its place on the page shows."""
    model_name: str = ""

    def with_run(self, kind: str, run_id: str) -> "Visit":
        """The visit with a new run, shown in its place."""
        runs = (run_id, *self.runs)[:MAX_RUNS] if kind in LISTED else self.runs
        return replace(self, runs=runs, shown={**self.shown, kind: run_id})

    def showing(self, kind: str, run_id: str) -> "Visit":
        """The visit with an earlier run in its place."""
        return replace(self, shown={**self.shown, kind: run_id})

    def to_value(self) -> dict[str, Any]:
        """What the browser keeps."""
        return asdict(self)


def visit_from(value: object) -> Visit:
    """The visit that the browser sent; a new one where that is none."""
    values = value if isinstance(value, dict) else {}
    visitor = _text(values.get("visitor")) or secrets.token_urlsafe(12)
    runs = values.get("runs")
    shown = values.get("shown")
    return Visit(
        visitor=visitor,
        runs=tuple(filter(None, map(_text, runs)))[:MAX_RUNS] if isinstance(runs, list) else (),
        shown={
            kind: _text(shown.get(kind))
            for kind in PLACES
            if isinstance(shown, dict) and _text(shown.get(kind))
        },
        model_name=_text(values.get("model_name")),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not value.isprintable():
        return ""
    return value
