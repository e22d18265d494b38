"""The visitor's runs as menu entries: what, how it went, when."""

import time

from trainer.runner import Run
from ui.context import Context
from ui.visit import Visit
from ui.words import shorten

_KINDS = {"sweep": "Sweep", "train": "Training"}


def run_choices(context: Context, visit: Visit) -> list[tuple[str, str]]:
    """Every run of the visitor, newest first, as (label, run id)."""
    return [(_label(run), run.run_id) for run in _runs(context, visit)]


def predict_choices(context: Context, visit: Visit) -> list[tuple[str, str]]:
    """The finished trainings, newest first."""
    return [
        (_label(run), run.run_id)
        for run in _runs(context, visit)
        if run.kind == "train" and run.status == "done"
    ]


def _runs(context: Context, visit: Visit) -> list[Run]:
    found = (context.runner.get(run_id) for run_id in visit.runs)
    return [run for run in found if run is not None and run.kind in _KINDS]


def _label(run: Run) -> str:
    model = shorten(str(run.job["config"]["model_name"]), 24)
    when = time.strftime("%H:%M", time.localtime(run.created))
    status = "" if run.status == "done" else f" · {run.status}"
    return f"{_KINDS[run.kind]} · {shorten(run.title, 24)} · {model} · {when}{status}"
