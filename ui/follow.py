"""Following: what changed in the visitor's runs since the last look, as updates of the page.

`poll` reads each shown run's journal from where it was, adds it to the run's fold, and returns
updates for what changed; a reload starts with empty folds and so draws everything anew.
"""

import time
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from trainer.figures import rate
from trainer.jobs import PUBLISHING
from trainer.menu import MENU
from trainer.runner import Run
from trainer.runner.folder import ENDED, holds_checkpoint, stop_requested
from ui.charts import loss_chart, rate_chart
from ui.context import Context
from ui.data_panel import empty_check
from ui.data_view import check_html, summary_line
from ui.fold import Fold
from ui.page import Page
from ui.publish_follow import (
    asked_about,
    offered_model,
    open_question,
    publish_changes,
    unasked,
)
from ui.result_view import end_card, reading_help, run_bar, sweep_verdict, train_card
from ui.runs_menu import predict_choices, run_choices
from ui.sweep_charts import measured_chart, race_chart, sweep_chart
from ui.visit import PLACES, Visit
from ui.words import count, shorten, text

FRESH_SECONDS, BUSY_SECONDS, IDLE_SECONDS = 0.5, 1.0, 4.0
"""Between two looks: at what was begun a moment ago, at what runs, and while nothing does. A look
costs some 50 ms here and as much in the browser, which a training on the same machine could use."""
FRESH_FOR_SECONDS = 20.0
Updates = dict[Component | Any, Any]


def poll(
    page: Page, context: Context, visit: Visit, folds: dict[str, Fold], *, loading: bool = False
) -> Updates:
    """Updates for what changed, and when to look again; all of it where the page loads.

    The timer never stops: an answer that was under way while the visitor pressed a button would
    stop it for good.
    """
    updates: Updates = {}
    current: list[tuple[Run, Fold]] = []
    menus_changed, model = loading, ""
    for kind in PLACES:
        run = context.run(visit, kind)
        if run is None:
            continue
        known = folds.get(run.run_id)
        fold = known or folds.setdefault(run.run_id, Fold())
        events, fold.offset = context.runner.events(run.run_id, fold.offset)
        fold.add(events)
        changed = known is None or bool(events) or fold.status != run.status
        menus_changed |= fold.status != run.status
        if kind == "train" and run.status == "done" != fold.status:
            model = run.run_id
        fold.status = run.status
        if run.status not in ENDED:
            current.append((run, fold))
        if changed:
            updates |= _changes(page, context, visit, run, fold)
    updates |= _bar(page, context, current)
    updates[page.frame.timer] = gr.Timer(_pause(context, [run for run, _ in current]))
    if menus_changed:
        updates |= _menus(page, context, visit, model, loading=loading)
    return updates


def _pause(context: Context, current: list[Run]) -> float:
    """Seconds until the next look."""
    if any(time.time() - run.created < FRESH_FOR_SECONDS for run in current):
        return FRESH_SECONDS
    warming_up = not context.runner.device()  # the badge says so, and is to be corrected
    return BUSY_SECONDS if current or warming_up else IDLE_SECONDS


def _menus(page: Page, context: Context, visit: Visit, model: str, *, loading: bool) -> Updates:
    """The runs menu, and the models that Predict and Publish offer.

    A training that is newly shown is chosen there; otherwise a visitor's choice stays, and so does
    the model that they are about to publish.
    """
    runs = run_choices(context, visit)
    models = predict_choices(context, visit)
    info = f"{count(len(runs), 'run')}, open one again" if runs else "none yet"
    updates: Updates = {page.frame.runs: gr.Dropdown(choices=runs, value=None, info=info)}
    chosen = model or (models[0][1] if models and loading else "")
    if models:
        offered = gr.Dropdown(models, value=chosen) if chosen else gr.Dropdown(models)
        updates |= {page.predict.model: offered, page.publish.model: gr.Dropdown(models)}
    asked = asked_about(context, visit)
    if asked and asked.run_id in [run_id for _, run_id in models]:
        if loading:
            updates |= offered_model(page.publish, context, visit, asked, models)
    elif run := context.runner.get(chosen):
        updates |= offered_model(page.publish, context, visit, run, models)
        if not loading and open_question(context, visit):
            updates |= unasked(page.publish)
    return updates


def _changes(page: Page, context: Context, visit: Visit, run: Run, fold: Fold) -> Updates:
    if run.kind == "check":
        return _check_changes(page, visit, run, fold)
    if run.kind == "sweep":
        return _sweep_changes(page, run, fold)
    if run.kind in PUBLISHING:
        return publish_changes(page.publish, context, visit, run, fold)
    return _train_changes(page, context, run, fold)


def _check_changes(page: Page, visit: Visit, run: Run, fold: Fold) -> Updates:
    data = page.data
    if run.status == "failed" and fold.failed:
        title = "These pictures cannot be used"
        return {
            data.check: end_card("failed", title, fold.failed.message),
            data.panel: gr.Accordion(label=f"Data and model: {title.lower()}", open=True),
        }
    if run.status == "stopped":
        return {data.check: empty_check()}
    if fold.checked is None:
        words = fold.waiting.text if fold.waiting else "Waiting"
        title = f"{text(words)} …"
        return {data.check: f'<div class="lab-card empty"><h3>{title}</h3></div>'}
    summary = dict(fold.checked.summary)
    line = summary_line(summary, run.title, visit.model_name or MENU[0].model_name)
    return {
        data.check: check_html(summary, Path(run.folder)),
        data.panel: gr.Accordion(label=line),
        page.sweep.words: sweep_sentence(shorten(run.title)),
    }


def sweep_sentence(title: str) -> str:
    """What a sweep will try, in a sentence."""
    return (
        f"On **{text(title)}**: one training step at each rate from tiny to huge, several times "
        "with other orders of the pictures; then trainings at some of the rates check it on "
        "pictures that they have not seen. The weights are put back afterwards."
    )


def _sweep_changes(page: Page, run: Run, fold: Fold) -> Updates:
    tab = page.sweep
    chosen = fold.picked or (fold.swept.suggested_lr if fold.swept else None)
    use = gr.Button(
        value=f"Use {rate(chosen)} → Train" if chosen else "Use this rate → Train",
        visible=fold.swept is not None and chosen is not None,
    )
    primary = "secondary" if fold.swept else "primary"
    return {
        tab.chart: sweep_chart(fold, fold.picked),
        tab.measured: measured_chart(fold),
        tab.race: race_chart(fold),
        tab.checked: gr.Row(visible=fold.tried is not None or fold.raced is not None),
        tab.verdict: sweep_verdict(run, fold),
        tab.reading: reading_help(fold),
        tab.use_rate: use,
        tab.start: gr.Button(variant=primary),
    }


def _train_changes(page: Page, context: Context, run: Run, fold: Fold) -> Updates:
    tab = page.train
    done = run.status == "done" and fold.done is not None
    # What its settings led to, a loss that is not finite, the same steps would lead to again.
    in_vain = fold.failed is not None and fold.failed.error == "ConfigError"
    ended = run.status == "stopped" or (run.status == "failed" and not in_vain)
    can_resume = ended and holds_checkpoint(Path(run.folder))
    updates: Updates = {
        tab.loss_chart: loss_chart(fold),
        tab.rate_chart: rate_chart(fold),
        tab.card: train_card(run, fold),
        tab.try_it: gr.Button(visible=done),
        tab.resume: gr.Button(visible=can_resume),
        tab.download: gr.DownloadButton(visible=done),
        tab.publish: gr.Button(visible=done),
        tab.start: gr.Button(variant="secondary" if done or can_resume else "primary"),
    }
    return updates


def _bar(page: Page, context: Context, current: list[tuple[Run, Fold]]) -> Updates:
    """The bar shows the run that matters most: training, else sweep, else check."""
    frame = page.frame
    if not current:
        return {frame.bar_row: gr.Row(visible=False), frame.bar: ""}
    run, fold = current[-1]
    position = context.runner.position(run.run_id)
    warm = context.runner.ready(run.kind)
    wait = context.runner.wait_seconds(run.run_id)
    stopping = stop_requested(Path(run.folder))
    return {
        frame.bar_row: gr.Row(visible=True),
        frame.bar: run_bar(run, fold, position, warm=warm, wait_seconds=wait),
        frame.stop: gr.Button(value="Stop at once" if stopping else "Stop"),
    }
