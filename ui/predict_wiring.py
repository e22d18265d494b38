"""The Predict tab's events: one picture, many pictures, the choice of a model, its examples."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr

from trainer.errors import ModelError
from trainer.runner import Run
from ui.context import Context
from ui.handling import HIDDEN, as_shown, told
from ui.page import Page
from ui.predict_tab import PredictTab, empty_words
from ui.predictions import Table, csv_file, example_images, label_value, predict, small_print
from ui.visit import visit_from

_LOOKING = '<p class="lab-quiet">Looking …</p>'


def wire_predict(page: Page, context: Context) -> None:
    """Attach the tab's handlers."""
    _wire_one(page, context)
    _wire_many(page, context)
    _wire_choice(page.predict, context)


def _wire_one(page: Page, context: Context) -> None:
    tab = page.predict

    async def one(value: Any, model: str | None, image: str | None) -> AsyncIterator[Any]:
        if not image:
            yield {tab.answer: None, tab.small_print: empty_words(has_model=bool(model))}
            return
        yield {tab.small_print: _LOOKING}
        try:
            async for answers in predict(context, visit_from(value), model, [image]):
                if answers.failed is not None:
                    raise ModelError(answers.failed.message)
                for answer in answers.given:
                    shown = label_value(answer) if answer.probs else None
                    yield {tab.answer: shown, tab.small_print: small_print(answer)}
        except Exception as error:
            raise as_shown(error) from error

    inputs = [page.frame.browser, tab.model, tab.image]
    tab.image.change(one, inputs, [tab.answer, tab.small_print], **HIDDEN)


def _wire_many(page: Page, context: Context) -> None:
    tab = page.predict

    async def many(value: Any, model: str | None, files: list[str] | None) -> AsyncIterator[Any]:
        paths = [str(path) for path in files or []]
        names = [Path(path).name for path in paths]
        try:
            if not paths:
                raise ModelError("Choose some pictures first.")
            table = Table(names)
            async for answers in predict(context, visit_from(value), model, paths):
                if answers.failed is not None:
                    raise ModelError(answers.failed.message)
                done = len(answers.given) == len(paths)
                file = csv_file(answers.given, names) if done else None
                button = gr.DownloadButton(value=file, visible=done)
                yield {tab.table: table.html(answers.given, answers.folder), tab.csv: button}
        except Exception as error:
            raise as_shown(error) from error

    inputs = [page.frame.browser, tab.model, tab.files]
    tab.start_many.click(many, inputs, [tab.table, tab.csv], **HIDDEN)


def _wire_choice(tab: PredictTab, context: Context) -> None:
    @told
    def chosen(model: str | None) -> dict[Any, Any]:
        images = example_images(_run(context, model))
        return {
            tab.examples: gr.Gallery(value=images, visible=bool(images)),
            tab.small_print: empty_words(has_model=bool(model)),
        }

    @told
    def example(model: str | None, event: gr.SelectData) -> Any:
        images = example_images(_run(context, model))
        index = event.index if isinstance(event.index, int) else -1
        if not 0 <= index < len(images):
            raise ModelError("That example is not there any more.")
        return images[index][0]

    tab.model.change(chosen, [tab.model], [tab.examples, tab.small_print], **HIDDEN)
    tab.examples.select(example, [tab.model], [tab.image], **HIDDEN)


def _run(context: Context, model: str | None) -> Run | None:
    return context.runner.get(model) if isinstance(model, str) else None
