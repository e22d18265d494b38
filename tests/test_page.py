"""The page as it is built, without a browser."""

import asyncio
from dataclasses import fields, replace
from pathlib import Path

import gradio as gr
import pytest

from trainer.config import config_for
from trainer.jobs import Job
from trainer.limits import Limits
from trainer.runner import Runner
from trainer.runner.folder import create_run
from ui.context import Context
from ui.limits_fold import limits_words
from ui.page import build_page
from ui.publish_follow import name_for


def test_every_button_has_words_of_ours(tmp_path: Path) -> None:
    """A component that is made for an update while the page is built would stand on the page."""

    async def build() -> gr.Blocks:
        return build_page(Context(Runner(tmp_path)))

    page = asyncio.run(build())  # gradio leaves an event loop open where none runs
    named = [block for block in page.blocks.values() if isinstance(block, gr.Button)]
    assert len(named) > 10
    assert {gr.Button().value, None, ""}.isdisjoint(button.value for button in named)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "digits-tf_efficientnet_lite0"),
        ("ada/beans", "beans-tf_efficientnet_lite0"),
        ("my pets.zip", "my-pets-tf_efficientnet_lite0"),
    ],
)
def test_a_model_is_called_after_its_pictures(tmp_path: Path, dataset: str, name: str) -> None:
    run = create_run(tmp_path, Job(kind="train", config=config_for(), dataset=dataset), owner="a")
    assert name_for(run) == name


UNSEEN = {
    *("max_cache_bytes", "max_file_bytes", "max_memory_percent", "max_restarts"),
    *("max_publish_wait_seconds", "max_quick_run_hours", "max_silent_seconds"),
    *("max_request_bytes", "min_free_bytes", "min_upload_free_bytes"),
}
"""Limits of the machine, which no visitor sets off by what they ask for."""


@pytest.mark.parametrize("field", [each.name for each in fields(Limits) if each.name not in UNSEEN])
def test_the_limits_that_a_visitor_may_meet_stand_on_the_page(field: str) -> None:
    usual = getattr(Limits(), field)
    other = replace(Limits(), **{field: 7 * usual})
    assert limits_words(other, local=True) != limits_words(Limits(), local=True)
