"""Every event of the page: a handler parses, calls an action, and returns what changed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

from trainer.errors import ModelError
from trainer.figures import rate
from trainer.runner import Run
from ui import actions
from ui.chart import picked_x
from ui.context import Context, is_online
from ui.data_panel import OTHER
from ui.data_view import model_line
from ui.download import archive
from ui.follow import poll
from ui.frame import badges_html
from ui.handling import HIDDEN, QUICK, told
from ui.page import Page
from ui.plan_wiring import wire_plan
from ui.predict_wiring import wire_predict
from ui.publish_follow import asked_about, offered_model, unasked
from ui.publish_wiring import wire_publish
from ui.recipes import recipe_script
from ui.runs_menu import predict_choices
from ui.tabs_wiring import wire_tabs
from ui.visit import Visit, visit_from


def wire(demo: gr.Blocks, page: Page, context: Context) -> None:
    """Attach every handler."""
    _wire_following(demo, page, context)
    wire_tabs(demo, page.frame)
    _wire_data(page, context)
    _wire_sweep(page, context)
    _wire_train(page, context)
    wire_plan(page, context)
    wire_predict(page, context)
    wire_publish(page, context, _action, _followed(page))


def _followed(page: Page) -> list[Any]:
    """What following may write to."""
    frame, data, sweep, train = page.frame, page.data, page.sweep, page.train
    return [
        *(frame.browser, frame.folds, frame.timer, frame.runs, frame.bar, frame.bar_row),
        *(frame.stop, frame.badges, data.check, data.panel, data.model_line, data.other_model),
        *(sweep.words, sweep.chart, sweep.verdict, sweep.reading, sweep.use_rate, sweep.start),
        *(sweep.checked, sweep.measured, sweep.race),
        *(train.loss_chart, train.rate_chart, train.card, train.try_it, train.resume),
        *(train.download, train.start, train.plan, train.command, page.predict.model, page.tabs),
        *(train.publish, *page.publish.followed),
    ]


def _after(page: Page, context: Context, visit: Visit, folds: dict[str, Any]) -> dict[Any, Any]:
    """The updates after an action: the visit, and everything it changed."""
    updates = poll(page, context, visit, folds)
    return {**updates, page.frame.browser: visit.to_value(), page.frame.folds: folds}


def _action(
    page: Page, context: Context, act: Callable[..., Visit | None], *, fold_panel: bool = False
) -> Callable[..., dict[Any, Any]]:
    """A handler that changes the visit by `act(visit, *values, **settings)` and follows."""

    @told
    def handler(value: Any, folds: Any, *values: Any, **settings: Any) -> dict[Any, Any]:
        visit = visit_from(value)
        visit = act(visit, *values, **settings) or visit
        updates = _after(page, context, visit, folds)
        if fold_panel:
            updates[page.data.panel] = gr.Accordion(open=False)
        return updates

    return handler


def _wire_following(demo: gr.Blocks, page: Page, context: Context) -> None:
    frame = page.frame
    base, outputs = [frame.browser, frame.folds], _followed(page)

    @told
    def load(value: Any) -> dict[Any, Any]:
        visit = visit_from(value)
        folds: dict[str, Any] = {}
        device, online = context.device_words(), is_online()
        # The visit is not written back: whoever presses a button before this answer would lose it.
        updates = poll(page, context, visit, folds, loading=True)
        updates[frame.folds] = folds
        updates[frame.badges] = badges_html(device, online=online)
        updates[page.data.model_line] = model_line(
            visit.model_name or "tf_efficientnet_lite0", online=online
        )
        return updates

    @told
    def tick(value: Any, folds: Any) -> dict[Any, Any]:
        updates = poll(page, context, visit_from(value), folds)
        updates[frame.badges] = badges_html(context.device_words(), online=is_online())
        return {**updates, frame.folds: folds}

    def show(visit: Visit, run_id: str | None) -> Visit | None:
        run = context.runner.get(run_id) if isinstance(run_id, str) else None
        if run is None or run.kind not in ("sweep", "train"):
            return None
        return visit.showing(run.kind, run.run_id)

    def stop(visit: Visit) -> None:
        actions.stop_current(context, visit)

    demo.load(load, [frame.browser], outputs, **HIDDEN)
    frame.timer.tick(tick, base, outputs, **QUICK)
    frame.stop.click(_action(page, context, stop), base, outputs, **QUICK)
    frame.runs.input(_action(page, context, show), [*base, frame.runs], outputs, **QUICK)


def _wire_data(page: Page, context: Context) -> None:
    data, frame = page.data, page.frame
    base, outputs = [frame.browser, frame.folds], _followed(page)

    def source(kind: str) -> list[Any]:
        return [gr.Group(visible=kind == name) for name in ("examples", "hub", "upload")]

    def choose(visit: Visit, typed: str) -> Visit:
        return actions.submit_check(context, visit, context.hub_dataset(typed))

    def upload(visit: Visit, path: str | None) -> Visit | None:
        if path is None:
            return None
        with context.kept_upload(path) as kept:
            return actions.submit_check(context, visit, kept)

    @told
    def search(typed: str) -> Any:
        choices, words = actions.search(typed)
        return gr.Radio(choices=choices, value=None, visible=True, info=words)

    groups = [data.example_group, data.hub_group, data.upload_group]
    data.source.input(source, [data.source], groups, **QUICK)
    data.example.input(_action(page, context, choose), [*base, data.example], outputs, **HIDDEN)
    gr.on(
        [data.hub_text.submit, data.hub_search.click],
        search,
        [data.hub_text],
        [data.hub_found],
        **HIDDEN,
    )
    data.hub_found.input(_action(page, context, choose), [*base, data.hub_found], outputs, **HIDDEN)
    data.upload.upload(_action(page, context, upload), [*base, data.upload], outputs, **HIDDEN)
    _wire_model(page, context)


def _wire_model(page: Page, context: Context) -> None:
    data, frame = page.data, page.frame
    base, outputs = [frame.browser, frame.folds], _followed(page)

    @told
    def choose(value: Any, folds: Any, model: str, other: str | None) -> dict[Any, Any]:
        visit = visit_from(value)
        is_other = model == OTHER
        names = context.runner.model_names() if is_other and not other else None
        updates: dict[Any, Any] = {data.other_model: gr.Dropdown(visible=is_other)}
        if names:
            updates[data.other_model] = gr.Dropdown(visible=is_other, choices=[*names])
        try:
            name = actions.chosen_model({"model": model, "other_model": other})
        except ModelError:
            return {**updates, data.model_line: ""}
        visit = replace(visit, model_name=name)
        folds.pop(visit.shown.get("check", ""), None)  # drawn anew: its line names the model
        updates[data.model_line] = model_line(name, online=is_online())
        return {**_after(page, context, visit, folds), **updates}

    inputs = [*base, data.model, data.other_model]
    gr.on([data.model.input, data.other_model.input], choose, inputs, outputs, **HIDDEN)


def _wire_sweep(page: Page, context: Context) -> None:
    tab, frame = page.sweep, page.frame
    base, outputs = [frame.browser, frame.folds], _followed(page)

    def start(visit: Visit, **settings: Any) -> Visit:
        return actions.submit(context, visit, "sweep", settings)

    @told
    def pick(value: Any, folds: Any, event: gr.EventData) -> dict[Any, Any]:
        fold = folds.get(visit_from(value).shown.get("sweep", ""))
        if fold is None:
            return {frame.folds: folds}
        fold.picked = actions.checked_rate(picked_x(event))
        label = f"Use {rate(fold.picked)} → Train"
        return {frame.folds: folds, tab.use_rate: gr.Button(value=label, visible=True)}

    @told
    def use(value: Any, folds: Any) -> dict[Any, Any]:
        fold = folds.get(visit_from(value).shown.get("sweep", ""))
        suggested = fold.swept.suggested_lr if fold and fold.swept else None
        chosen = (fold.picked if fold else None) or suggested
        actions.checked_rate(chosen)
        where = "picked on the sweep's curve" if fold and fold.picked else "suggested by the sweep"
        return {
            page.train.lr: gr.Textbox(value=rate(chosen, 2), info=where),
            page.tabs: gr.Tabs(selected="train"),
        }

    tab.start.click(
        _action(page, context, start, fold_panel=True),
        base,
        outputs,
        inputs_kwargs=page.settings,
        **HIDDEN,
    )
    tab.chart.select(pick, base, [frame.folds, tab.use_rate], **QUICK)
    tab.use_rate.click(use, base, [page.train.lr, page.tabs], **QUICK)


def _wire_train(page: Page, context: Context) -> None:
    tab, frame = page.train, page.frame
    base, outputs = [frame.browser, frame.folds], _followed(page)

    def start(visit: Visit, **settings: Any) -> Visit:
        return actions.submit(context, visit, "train", settings)

    def resume(visit: Visit) -> None:
        actions.resume(context, visit)

    @told
    def download(value: Any) -> Any:
        return archive(context, visit_from(value))

    tab.start.click(
        _action(page, context, start, fold_panel=True),
        base,
        outputs,
        inputs_kwargs=page.settings,
        **HIDDEN,
    )
    tab.resume.click(_action(page, context, resume), base, outputs, **HIDDEN)
    tab.preset.input(
        None,
        [tab.preset],
        [tab.preset_words, tab.fold, *tab.settings.values()],
        js=recipe_script(tab.settings),
        **QUICK,
    )
    tab.lr.input(lambda: gr.Textbox(info="typed"), None, [tab.lr], **QUICK)
    _wire_next(page, context)
    tab.download.click(download, [frame.browser], [tab.download], **HIDDEN)


def _wire_next(page: Page, context: Context) -> None:
    """From a training's card to the tabs that use its model, and no other one."""
    tabs, publish = page.tabs, page.publish

    def shown(value: Any) -> tuple[Visit, Run | None]:
        visit = visit_from(value)
        run = context.run(visit, "train")
        return visit, run if run is not None and run.status == "done" else None

    @told
    def to_predict(value: Any) -> dict[Any, Any]:
        visit, run = shown(value)
        models = predict_choices(context, visit)
        chosen = {page.predict.model: gr.Dropdown(models, value=run.run_id)} if run else {}
        return {tabs: gr.Tabs(selected="predict"), **chosen}

    @told
    def to_publish(value: Any) -> dict[Any, Any]:
        visit, run = shown(value)
        updates: dict[Any, Any] = {tabs: gr.Tabs(selected="publish")}
        if run is not None:
            models = predict_choices(context, visit)
            updates |= offered_model(publish, context, visit, run, models)
            asked = asked_about(context, visit)
            if asked is None or asked.run_id != run.run_id:
                updates |= unasked(publish)
        return updates

    browser = [page.frame.browser]
    page.train.try_it.click(to_predict, browser, [tabs, page.predict.model], **QUICK)
    page.train.publish.click(to_publish, browser, [tabs, *publish.followed], **QUICK)
