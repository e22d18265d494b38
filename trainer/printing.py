"""What a command prints of an event: a JSON line, or words with a progress bar in a terminal."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from trainer.data.report import Check
from trainer.events import (
    Checked,
    Done,
    EpochDone,
    Evaluated,
    Event,
    Exported,
    Failed,
    Note,
    PhaseStarted,
    Planned,
    Predicted,
    Preflight,
    Progress,
    Pushed,
    Started,
    Step,
    Stopped,
    SweepStep,
    Swept,
    Tried,
    to_json,
)
from trainer.figures import duration, percent, rate
from trainer.plan_words import duration_words


class JsonPrinter:
    """One JSON object a line."""

    def show(self, event: Event, folder: Path) -> None:
        del folder
        sys.stdout.write(to_json(event) + "\n")
        sys.stdout.flush()

    def close(self) -> None: ...


class WordPrinter:
    """Sentences on standard output; a progress bar on standard error when it is a terminal."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._text = ""
        self._reason = ""

    def show(self, event: Event, folder: Path) -> None:
        if isinstance(event, (Progress, Step, SweepStep)):
            self._advance(*_progress(event))
            return
        if isinstance(event, Note) and self._reason:
            # The note of the rate begins with what the sweep has just said.
            event = replace(event, text=event.text.removeprefix(self._reason).strip())
            if not event.text:
                return
        if isinstance(event, Swept):
            self._reason = event.reason
        self.close()
        for line in words(event, folder):
            stream = sys.stderr if isinstance(event, Failed) else sys.stdout
            stream.write(line + "\n")
            stream.flush()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _advance(self, text: str, done: int, total: int, detail: str) -> None:
        if self._bar is None or self._text != text or self._bar.total != total:
            self.close()
            self._text = text
            quiet = not sys.stderr.isatty()
            self._bar = tqdm(desc=text, total=total, leave=False, disable=quiet, dynamic_ncols=True)
        self._bar.set_postfix_str(detail, refresh=False)
        self._bar.update(done - self._bar.n)


def words(event: Event, folder: Path) -> Iterator[str]:
    """What a person reads of an event."""
    match event:
        case Started():
            yield (
                f"{event.model_name} at {event.image_size} px, {event.num_train} + "
                f"{event.num_valid} pictures, {len(event.class_names)} classes; {event.reason}"
            )
        case Note():
            yield f"  {event.text}"
        case PhaseStarted():
            yield f"{event.title}: {event.epochs} epochs at {rate(event.lr)} ({event.why})"
        case EpochDone():
            mark = " *" if event.best else ""
            yield (
                f"  epoch {event.epoch + 1} of {event.epochs}: loss {event.train_loss:.4f}, "
                f"validation loss {event.valid_loss:.4f}, "
                f"accuracy {percent(event.valid_accuracy)}{mark}"
            )
        case Tried():
            yield f"Tried {event.what}, judged on {event.num_held_out} held-out pictures:"
            rows = zip(event.lrs, event.accuracies, event.errors, event.losses, strict=True)
            yield from (
                f"  {rate(lr):>6}  accuracy {percent(right):>7} ± {percent(error)}  loss {loss:.3f}"
                for lr, right, error, loss in rows
            )
        case Swept():
            yield from (f"  {name:16} {rate(lr, 2)}" for name, lr in event.suggestions.items())
            chosen = "none" if event.suggested_lr is None else rate(event.suggested_lr, 2)
            usable = " to ".join(rate(each, 2) for each in event.usable or ())
            range_ = f" (usable: {usable})" if usable else ""
            yield f"Suggested learning rate: {chosen}{range_}. {event.reason}"
        case Done():
            yield (
                f"Done in {duration(event.seconds)}: validation accuracy "
                f"{percent(event.valid_accuracy)} ({event.num_correct} of {event.num_valid}). "
                f"The model is in {event.model_dir}"
            )
        case Stopped():
            yield event.message or "Stopped."
            if event.checkpoint:
                yield f"Go on with: --output-dir {folder} --resume"
        case _:
            yield from _more_words(event)


def _more_words(event: Event) -> Iterator[str]:
    match event:
        case Evaluated():
            yield (
                f"{event.split}: accuracy {percent(event.accuracy, 2)} of {event.num_images} "
                f"pictures, loss {event.loss:.4f}"
            )
            for row, name in enumerate(event.class_names):
                precision, recall = percent(event.precision[row]), percent(event.recall[row])
                yield f"  {name:20.20} precision {precision:>7} recall {recall:>7}"
        case Predicted():
            best = ", ".join(f"{name} {percent(prob)}" for name, prob in event.probs)
            yield f"{event.image}: {event.error or best}"
        case Checked():
            yield from (finding.text for finding in Check.from_dict(dict(event.summary)).findings)
        case Planned():
            yield f"{event.total_steps} steps: {'; '.join(event.phases)}"
            yield duration_words(event)
            yield event.command
        case Exported():
            yield f"Written: {event.path}"
        case Pushed():
            how = "verified" if event.verified else f"not verified: {event.differs}"
            yield f"Published: {event.url} ({how})"
        case Preflight():
            yield from (f"  {level:7} {words}" for level, words in event.findings)
        case Failed():
            yield f"{event.error}: {event.message}"
        case _:
            return


def _progress(event: Progress | Step | SweepStep) -> tuple[str, int, int, str]:
    """Text, done, total and detail of a progress bar."""
    match event:
        case Progress():
            return event.text, event.done, event.total, ""
        case SweepStep():
            detail = f"lr {rate(event.lr)} loss {event.loss:.3f}"
            return "Sweeping", event.step, event.total_steps, detail
        case Step():
            detail = f"loss {event.loss:.3f}, {event.images_per_second:.0f} images/s"
            return "Training", event.step, event.total_steps, detail
