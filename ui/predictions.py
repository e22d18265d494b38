"""Predicting from the page: submit to their own lane, wait without holding a thread, show bars."""

import asyncio
import base64
import csv
import io
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from trainer.config import config_for
from trainer.data.picture import decode
from trainer.data.sheet import read_sheet
from trainer.errors import PictureError
from trainer.events import Failed, Predicted
from trainer.figures import duration, percent
from trainer.jobs import THUMBNAILS, Job
from trainer.limits import Limits
from trainer.runner import Run
from trainer.runner.folder import ENDED
from ui.context import Context
from ui.result_view import end_card
from ui.temp import new_folder, received
from ui.visit import Visit
from ui.words import shorten, text

PATIENCE_SECONDS = 120.0
"""Longest wait for an answer; a first one may load the worker and download a model."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks: where many wait, each of them looks less often."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a run has predicted so far."""

    folder: Path
    """The run's."""
    given: list[Predicted]
    failed: Failed | None = None
    """Why there will be no more."""


async def predict(
    context: Context, visit: Visit, model: str | None, images: list[str]
) -> AsyncIterator[Answers]:
    """The answers so far, until all are there.

    Raises:
        UserError: no such model, too many pictures, one that was not uploaded, or the queue is
            full.
    """
    run = context.submit(_job(context, model, images), owner=f"{visit.visitor}:predict")
    answers = Answers(Path(run.folder), [])
    offset, waited = 0, 0.0
    try:
        while waited < PATIENCE_SECONDS:
            status = (context.runner.get(run.run_id) or run).status
            events, offset = context.runner.events(run.run_id, offset)
            answers.given.extend(event for event in events if isinstance(event, Predicted))
            failed = next((event for event in events if isinstance(event, Failed)), None)
            if status in ENDED or events:
                yield replace(answers, failed=failed)
            if status in ENDED:
                return
            pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, waited / 10))
            await asyncio.sleep(pause)
            waited += pause
    finally:  # also where the visitor has left
        context.runner.stop(run.run_id)
        shutil.rmtree(answers.folder / THUMBNAILS, ignore_errors=True)
    message = f"No answer within {duration(PATIENCE_SECONDS)}; somebody's runs may be before yours."
    yield replace(answers, failed=Failed(error="Timeout", message=message))


def _job(context: Context, model: str | None, images: list[str]) -> Job:
    limit = Limits.from_env().max_predict_images
    if len(images) > limit:
        raise PictureError(f"These are {len(images):,} pictures; choose at most {limit} at once.")
    paths = [received(image) for image in images]
    if not all(paths):
        raise PictureError("That picture is not here any more. Choose it again.")
    return Job(
        kind="predict",
        config=config_for(),
        model=context.model(model),
        images=tuple(map(str, paths)),
        thumbnails=len(paths) > 1,
    )


def label_value(answer: Predicted) -> dict[str, float]:
    """The bars of `gr.Label`."""
    return dict(answer.probs)


def small_print(answer: Predicted) -> str:
    """How sure it is, and how long it took."""
    if answer.error:
        return end_card("failed", "This picture cannot be used", f"It {answer.error}.")
    name, prob = answer.probs[0]
    return (
        f'<p class="lab-quiet">{text(shorten(name, 40))}: {percent(prob)}, in '
        f"{answer.seconds * 1000:.0f} ms. It only knows the classes it was shown.</p>"
    )


class Table:
    """The answers as rows with thumbnails; each row is made once, however often it is shown."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._rows: list[str] = []

    def html(self, answers: list[Predicted], folder: Path) -> str:
        """Thumbnail, name, class and probability of each picture.

        Args:
            answers: those so far.
            folder: of the run that gives them; its worker has made the thumbnails.
        """
        for number in range(len(self._rows), len(answers)):
            self._rows.append(self._row(answers[number], number, folder))
        head = "<tr><th></th><th>Picture</th><th>Class</th><th>Probability</th></tr>"
        return f'<table class="lab-table">{head}{"".join(self._rows)}</table>'

    def _row(self, answer: Predicted, number: int, folder: Path) -> str:
        name, prob = answer.probs[0] if answer.probs else (answer.error, None)
        return (
            f"<tr><td>{_thumbnail(folder / THUMBNAILS / f'{number}.jpg')}</td>"
            f"<td>{text(shorten(self._names[number], 40))}</td>"
            f"<td>{text(name)}</td><td>{'' if prob is None else percent(prob)}</td></tr>"
        )


def csv_file(answers: list[Predicted], names: list[str]) -> str:
    """The same as a CSV file; a cell that a spreadsheet would run as a formula gets a quote."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["picture", "class", "probability", "error"])
    for answer, name in zip(answers, names, strict=False):
        best, prob = answer.probs[0] if answer.probs else ("", "")
        writer.writerow([_cell(name), _cell(best), prob, answer.error])
    path = new_folder() / "predictions.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    return str(path)


def example_images(run: Run | None) -> list[tuple[Image.Image, str]]:
    """A run's validation pictures, as (picture, class) for a gallery."""
    rows = read_sheet(Path(run.folder) / "examples") if run is not None else []
    return [(decode(path.read_bytes()), caption) for path, caption, _ in rows if path.is_file()]


def _cell(value: str) -> str:
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value


def _thumbnail(path: Path) -> str:
    try:
        uri = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""
    return f'<img src="{uri}" alt="">'
