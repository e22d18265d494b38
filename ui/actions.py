"""What the page's buttons do, as functions of the visit: submit, stop, resume, show, choose."""

from pathlib import Path
from typing import Any

from trainer.config import Config, command_line, config_for
from trainer.errors import ConfigError, HubError, ModelError
from trainer.hub import search_datasets
from trainer.hub_client import HUB_PREFIX, parse_hub_name
from trainer.jobs import Job
from trainer.plan_words import plan_words
from trainer.runner.folder import stop_requested
from ui.context import Context
from ui.controls import config_from
from ui.data_panel import OTHER
from ui.visit import PLACES, Visit
from ui.words import count, shorten

_MAX_SEARCH = 200
"""Letters of a search that are read; an id on the Hub has at most 96 on either side."""


def chosen_model(settings: dict[str, Any]) -> str:
    """The timm name, or `hf-hub:owner/name`, that the two model controls hold.

    Raises:
        ModelError: “another” without a name, or what is no id on the Hub.
    """
    model = settings.get("model")
    name = settings.get("other_model") if model == OTHER else model
    if not isinstance(name, str) or not name:
        raise ModelError("Choose a model: type in “All timm models” to search.")
    name = name.strip().removeprefix(HUB_PREFIX)
    if "/" not in name:
        return name
    if parse_hub_name(name) is None:
        raise ModelError(
            f"{name[:60]!r} is not a model on the Hugging Face Hub; ids look like owner/name or "
            "owner/name@revision."
        )
    return f"{HUB_PREFIX}{name}"


def config_of(settings: dict[str, Any]) -> Config:
    """The config that the page's controls hold.

    Raises:
        ConfigError, ModelError: what a control holds cannot be used.
    """
    values = dict(settings)
    model_name = chosen_model(values)
    preset = str(values.pop("preset", "quick"))
    for name in ("model", "other_model"):
        values.pop(name, None)
    return config_from(preset, model_name, values)


def submit_check(context: Context, visit: Visit, dataset: str) -> Visit:
    """Look at a dataset's pictures; shown in the panel as it goes.

    Raises:
        BusyError: the queue is full.
    """
    old = context.run(visit, "check")
    if old is not None:
        context.runner.stop(old.run_id)
    # The pictures are decoded on the way for the model that the visitor has chosen.
    config = config_for(model_name=visit.model_name or config_for().model_name)
    job = Job(kind="check", config=config, dataset=dataset)
    run = context.submit(job, owner=visit.visitor)
    return visit.with_run("check", run.run_id)


def submit(context: Context, visit: Visit, kind: str, settings: dict[str, Any]) -> Visit:
    """Start a sweep or a training on the chosen pictures with what the controls hold.

    Raises:
        UserError: no pictures, a setting out of range, or the queue is full.
    """
    config = config_of(settings)
    job = Job(kind=kind, config=config, dataset=context.dataset(visit))
    run = context.submit(job, owner=visit.visitor)
    return visit.with_run(kind, run.run_id)


def stop_current(context: Context, visit: Visit) -> None:
    """Stop what the bar shows; a second press ends it at once."""
    for kind in reversed(PLACES):
        run = context.run(visit, kind)
        if run is not None and run.status in ("queued", "running"):
            context.runner.stop(run.run_id, at_once=stop_requested(Path(run.folder)))
            return


def resume(context: Context, visit: Visit) -> None:
    """Go on with the training that Train shows.

    Raises:
        ConfigError: there is nothing to go on with.
        BusyError: the queue is full.
    """
    run = context.run(visit, "train")
    if run is None or not context.resume(run.run_id, owner=visit.visitor):
        raise ConfigError("There is no stopped training here to resume.")


def planned(context: Context, visit: Visit, settings: dict[str, Any]) -> tuple[str, str]:
    """The line under the rate ("308 steps: …") and the shell command that does the same."""
    config = config_of(settings)
    run = context.run(visit, "check")
    if run is None or run.status != "done":
        return "", command_line(config, "DATASET")
    num_train = _num_train(context, run.run_id)
    dataset = str(run.job["dataset"]).removeprefix("hf://datasets/")
    named = Path(dataset).name if dataset.startswith("/") else dataset
    return plan_words(config, num_train), command_line(config, named)


def search(text: str) -> tuple[list[tuple[str, str]], str]:
    """Datasets of the Hub for what was typed, as (label, id), and a sentence if there are none."""
    typed = text.strip()[:_MAX_SEARCH] if isinstance(text, str) else ""
    if not typed:
        return [], "Type some words, for example “flowers”, or an id: owner/name."
    exact = [(f"Use {shorten(typed, 50)}", typed)] if "/" in typed else []
    try:
        found = search_datasets(typed.split("@")[0])
    except HubError as error:
        return exact, str(error)
    hits = [(f"{hit.id} · {hit.downloads:,} downloads", hit.id) for hit in found]
    choices = exact + [hit for hit in hits if hit[1] != typed]
    words = f"{count(len(choices), 'dataset')} found." if choices else "Nothing found."
    return choices, words


def checked_rate(x: float | None) -> float:
    """A rate that was picked on the chart.

    Raises:
        ConfigError: it is no usable rate.
    """
    if x is None:
        raise ConfigError("No rate was chosen. Click a point of the curve.")
    config_for(lr=x)  # raises for one out of range
    return x


def _num_train(context: Context, run_id: str) -> int:
    from trainer.events import Checked

    events, _ = context.runner.events(run_id)
    checked = [event for event in events if isinstance(event, Checked)]
    if not checked:
        return 0
    counts: Any = checked[-1].summary["counts"]
    return sum(counts[0][1])
