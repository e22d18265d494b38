"""What following shows in the Publish tab: what the Hub was asked, and how the publication goes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.jobs import Job, job_from_dict
from trainer.publish.target import suggested_name
from trainer.runner import Run
from trainer.runner.folder import ENDED
from ui.context import Context
from ui.fold import Fold
from ui.publish_tab import PublishTab, empty_findings
from ui.publish_view import findings_html, result_html
from ui.visit import Visit
from ui.words import shorten


def publish_changes(
    tab: PublishTab, context: Context, visit: Visit, run: Run, fold: Fold
) -> dict[Any, Any]:
    """Updates for the run that asks, or for the one that publishes."""
    if run.kind == "preflight":
        return _asked(tab, context, visit, run, fold)
    ended = run.status in ENDED
    return {
        tab.findings: "",
        tab.result: result_html(run, fold),
        tab.publish: gr.Button(visible=False),
        tab.check: gr.Button(
            value="Check again" if ended else "Check the name and the login",
            variant="primary" if ended and run.status != "done" else "secondary",
        ),
    }


def offered_model(
    tab: PublishTab, context: Context, visit: Visit, run: Run, models: list[tuple[str, str]]
) -> dict[Any, Any]:
    """Updates that choose a training in the tab's menu, with a name for it.

    Args:
        tab: where.
        context: what the handlers know.
        visit: whose.
        run: the training.
        models: the menu's entries.
    """
    return {
        tab.model: gr.Dropdown(models, value=run.run_id),
        tab.name: gr.Textbox(value=_suggestion(context, visit, run)),
    }


def asked_about(context: Context, visit: Visit) -> Run | None:
    """The training that the visitor is about to publish: the Hub is being asked about it, or would
    take it, and they have not published since."""
    asked = open_question(context, visit)
    if asked is None or not asked.job["model"]:
        return None
    if asked.status in ENDED and not context.confirmations.waits(visit.visitor, asked.run_id):
        return None
    return context.runner.get(Path(asked.job["model"]).name)


def open_question(context: Context, visit: Visit) -> Run | None:
    """What the visitor last asked the Hub, if they have not published since."""
    asked = context.run(visit, "preflight")
    return None if asked is None or _is_used(context, visit, asked) else asked


def unasked(tab: PublishTab) -> dict[Any, Any]:
    """Updates that take back what the Hub was asked, for it was about something else."""
    return {
        tab.publish: gr.Button(visible=False),
        tab.check: gr.Button(variant="primary"),
        tab.nonce: "",
        tab.findings: empty_findings(),
    }


def _suggestion(context: Context, visit: Visit, run: Run) -> str:
    """The name that the visitor asked for, for this training or before it, where nothing is
    published under it yet; else one for this training."""
    asked = open_question(context, visit)
    if asked is not None and asked.job["model"] in ("", run.folder):
        return str(asked.job["repo_id"])
    return name_for(run)


def _is_used(context: Context, visit: Visit, asked: Run) -> bool:
    """Whether something was published after the Hub was asked."""
    published = context.run(visit, "publish")
    return published is not None and published.created > asked.created


def name_for(run: Run) -> str:
    """What a run's model might be called: `digits-tf_efficientnet_lite0`."""
    pictures = run.title.rpartition("/")[2].removesuffix(".zip")
    return suggested_name(pictures, str(run.job["config"]["model_name"]))


def _asked(tab: PublishTab, context: Context, visit: Visit, run: Run, fold: Fold) -> dict[Any, Any]:
    if _is_used(context, visit, run):
        return {}
    updates: dict[Any, Any] = {tab.findings: findings_html(run, fold)}
    job = job_from_dict(run.job)
    fine = run.status == "done" and bool(fold.preflights) and all(p.ok for p in fold.preflights)
    if not fine or not job.model:
        return {**updates, tab.publish: gr.Button(visible=False)}
    wanted = _confirmed(job, fold)
    who = "public" if job.public else "private"
    return {
        **updates,
        tab.result: "",
        tab.nonce: context.confirmations.issue(visit.visitor, run.run_id, wanted),
        tab.publish: gr.Button(value=f"Publish {shorten(wanted.repo_id, 48)}, {who}", visible=True),
        tab.check: gr.Button(variant="secondary"),
    }


def _confirmed(job: Job, fold: Fold) -> Job:
    """The job that was shown: in the namespace that the Hub named, and in no other."""
    return replace(job, kind="publish", repo_id=fold.preflights[0].repo_id)
