"""The Publish tab's events: ask the Hub, confirm, and what a changed control undoes."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from trainer.config import config_for
from trainer.errors import HubError
from trainer.jobs import Job, job_from_dict
from trainer.runner import Run
from ui.context import Context
from ui.handling import HIDDEN, QUICK, told
from ui.page import Page
from ui.publish_follow import name_for, unasked
from ui.publish_tab import DATA, DEMO, PUBLIC
from ui.visit import Visit

Action = Callable[..., Callable[..., dict[Any, Any]]]


def wire_publish(page: Page, context: Context, action: Action, followed: list[Any]) -> None:
    """Attach the tab's handlers.

    Args:
        page: where they are attached.
        context: what they need.
        action: makes a handler of a function that changes the visit.
        followed: what such a handler may write to.
    """
    tab = page.publish
    base = [page.frame.browser, page.frame.folds]

    def check(visit: Visit, token: str, *wanted: Any) -> Visit:
        job = wanted_job(context, *wanted)
        run = context.runner.publish(job, owner=visit.visitor, token=token)
        return visit.with_run("preflight", run.run_id)

    def publish(visit: Visit, token: str, nonce: Any) -> Visit:
        with context.confirmations.redeemed(visit.visitor, nonce) as job:
            run = context.runner.publish(job, owner=visit.visitor, token=token)
        return visit.with_run("publish", run.run_id)

    def signed(act: Callable[..., Visit]) -> Callable[..., dict[Any, Any]]:
        """The handler of an action that needs a login; the token goes no further."""
        handle = action(page, context, act)

        @told
        def handler(
            value: Any,
            folds: Any,
            oauth: gr.OAuthToken | None,
            request: gr.Request,
            *values: Any,
        ) -> dict[Any, Any]:
            return handle(value, folds, context.login.token(oauth, request), *values)

        return handler

    controls = [tab.model, tab.name, tab.visibility, tab.extras]
    tab.check.click(signed(check), [*base, *controls], followed, **HIDDEN)
    tab.publish.click(signed(publish), [*base, tab.nonce], followed, **HIDDEN)
    _wire_controls(page, context)


def _wire_controls(page: Page, context: Context) -> None:
    tab = page.publish

    @told
    def chosen(model: Any) -> dict[Any, Any]:
        run = _finished(context, model)
        return {**unasked(tab), **({tab.name: name_for(run)} if run else {})}

    # The keys of `unasked`, which would put its components onto the page if it were called here.
    asked = [tab.publish, tab.check, tab.nonce, tab.findings]
    tab.model.input(chosen, [tab.model], [tab.name, *asked], **QUICK)
    gr.on(
        [tab.name.input, tab.visibility.input, tab.extras.input],
        lambda: unasked(tab),
        None,
        asked,
        **QUICK,
    )


def wanted_job(context: Context, model: Any, name: Any, visibility: Any, extras: Any) -> Job:
    """What the controls ask for; the model may still be missing, to ask before a training.

    Raises:
        HubError: something that cannot be published, or no name.
    """
    run = _finished(context, model)
    typed = name.strip() if isinstance(name, str) else ""
    if not typed:
        raise HubError("Give it a name, for example my-classifier.")
    wanted = [part for part in (DEMO, DATA) if isinstance(extras, list) and part in extras]
    if DATA in wanted and run is not None and not _is_upload(context, run):
        raise HubError(
            "Only pictures that you uploaded here can be published; this model learned from "
            f"{run.title}. Untick the dataset."
        )
    return Job(
        kind="preflight",
        config=job_from_dict(run.job).config if run else config_for(),
        dataset=str(run.job["dataset"]) if run and DATA in wanted else "",
        model=run.folder if run else "",
        repo_id=typed,
        public=visibility == PUBLIC,
        own_namespace=context.login.by_sign_in or "/" not in typed,
        parts=("push", *wanted),
    )


def _finished(context: Context, model: Any) -> Run | None:
    run = context.runner.get(model) if isinstance(model, str) else None
    return run if run is not None and run.kind == "train" and run.status == "done" else None


def _is_upload(context: Context, run: Run) -> bool:
    return str(run.job["dataset"]).startswith(f"{context.runner.uploads}/")
