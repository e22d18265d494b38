"""What a click would do and how long it would take: beside the buttons, before the click."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from trainer.errors import BusyError
from trainer.events import Planned
from trainer.jobs import Job
from trainer.plan_words import approximately, duration_words
from trainer.runner import Run
from trainer.runner.folder import ENDED
from ui import actions
from ui.context import Context
from ui.handling import HIDDEN, as_shown
from ui.page import Page
from ui.visit import Visit, visit_from

SETTLE_SECONDS = 0.4
"""Wait for the next change of a control before anything is measured."""

PATIENCE_SECONDS = 60.0
"""Longest wait for an estimate; a model that was never measured here takes some seconds."""

AGAIN_SECONDS = 1.0
"""Before an estimate is tried again that gave way to another run."""


def wire_plan(page: Page, context: Context) -> None:
    """Attach the handler to everything that changes the plan."""
    train, sweep = page.train, page.sweep

    async def plan(value: Any, **settings: Any) -> AsyncIterator[dict[Any, Any]]:
        try:
            visit = visit_from(value)
            words, command = actions.planned(context, visit, settings)
            yield {train.plan: words, train.command: command, sweep.plan: ""}
            found = await _estimated(context, visit, settings) if words else None
            if found is not None:
                yield {
                    train.plan: f"{words} **{duration_words(found)}**",
                    train.command: command,
                    sweep.plan: f"**About {approximately(found.sweep_seconds)} on this machine.**",
                }
        except Exception as error:  # noqa: BLE001 shown beside the control, not as a toast
            yield {train.plan: f"⚠ {as_shown(error).message}", train.command: "", sweep.plan: ""}

    watched = [train.preset, train.lr, *train.settings.values(), *sweep.settings.values()]
    gr.on(
        [component.change for component in (*watched, page.data.check, page.data.model)],
        plan,
        [page.frame.browser],
        [train.plan, train.command, sweep.plan],
        inputs_kwargs=page.settings,
        trigger_mode="always_last",
        concurrency_limit=None,
        **HIDDEN,
    )


async def _estimated(context: Context, visit: Visit, settings: dict[str, Any]) -> Planned | None:
    """The estimate of the worker that looks at data; none where it is busy, or cannot say."""
    await asyncio.sleep(SETTLE_SECONDS)
    config, dataset = actions.config_of(settings), context.dataset(visit)
    job = Job(kind="estimate", config=config, dataset=dataset)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            run = context.submit(job, owner=f"{visit.visitor}:estimate")
        except BusyError:
            return None
        ended = await _ended(context, run, deadline)
        events, _ = context.runner.events(run.run_id)
        context.runner.forget(run.run_id)
        if ended != "stopped":
            return next((event for event in events if isinstance(event, Planned)), None)
        await asyncio.sleep(AGAIN_SECONDS)  # it gave way to somebody's prediction or check
    return None


async def _ended(context: Context, run: Run, deadline: float) -> str:
    """How the run ended; it is stopped at the deadline, and not waited for."""
    while time.monotonic() < deadline:
        now = context.runner.get(run.run_id)
        if now is None or now.status in ENDED:
            return now.status if now else "failed"
        await asyncio.sleep(0.1)
    context.runner.stop(run.run_id)
    return "stopped"
