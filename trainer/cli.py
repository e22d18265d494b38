"""What a command prints: JSON lines, or words with a progress bar in a terminal.

Ctrl-C (or SIGTERM) asks the run to stop at its next step; a second one ends it at once.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from trainer.allocator import keep_freed_memory
from trainer.config import Config
from trainer.data.report import Check
from trainer.errors import ConfigError, UserError
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
from trainer.jobs import Job, job_from_dict
from trainer.plan_words import duration_words
from trainer.runner.folder import create_run, new_run_id, read_folder, record

KEPT = ("sweep", "train")
"""Commands whose run folder stays; the others answer on the terminal alone."""
MENDABLE = ("MemoryError", "PictureError", *(kind.__name__ for kind in UserError.__subclasses__()))
"""Errors that end with exit code 2: the person can do something about them."""
EXIT_DONE, EXIT_UNEXPECTED, EXIT_MENDABLE, EXIT_STOPPED = 0, 1, 2, 3


def run_command(arguments: argparse.Namespace, config: Config) -> int:
    """Carry out a command and print its events; returns the exit code.

    Raises:
        UserError: the command line asks for something impossible.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    keep_freed_memory()
    job = _job(arguments, config)
    if job.kind == "train" and job.repo_id:
        return _train_and_push(job, _folder(arguments, job), as_json=arguments.json)
    if job.kind in KEPT:
        return _run(job, _folder(arguments, job), as_json=arguments.json)
    return _passing(job, as_json=arguments.json)


def _train_and_push(job: Job, folder: Path, *, as_json: bool) -> int:
    """Ask the Hub first, so that a training of hours does not end in a refusal."""
    asked = replace(job, kind="preflight", dataset="")
    code = _passing(asked, as_json=as_json)
    if code == EXIT_DONE:
        code = _run(replace(job, repo_id=""), folder, as_json=as_json)
    if code == EXIT_DONE:
        pushed = replace(job, kind="push", dataset="", model=str(folder))
        code = _passing(pushed, as_json=as_json)
    return code


def _passing(job: Job, *, as_json: bool) -> int:
    """Carry out a job whose run folder nobody will look at again."""
    with tempfile.TemporaryDirectory(prefix="lrlab-") as scratch:
        return _run(job, Path(scratch) / job.kind, as_json=as_json)


def _run(job: Job, folder: Path, *, as_json: bool) -> int:
    """Carry out a job in its run folder and print what happens."""
    printer = JsonPrinter() if as_json else WordPrinter()
    if job.resume:
        job = _resumed(job, folder)
    run = create_run(folder.parent, job, owner="cli", run_id=folder.name)
    code = EXIT_DONE
    with _Interrupts() as interrupts:
        for event in record(run, should_stop=interrupts.asked):
            printer.show(event, folder)
            if isinstance(event, Failed):
                code = EXIT_MENDABLE if event.error in MENDABLE else EXIT_UNEXPECTED
            elif isinstance(event, Stopped):
                code = EXIT_STOPPED
            elif isinstance(event, Preflight) and not event.ok:
                code = EXIT_MENDABLE
    printer.close()
    if code == EXIT_UNEXPECTED:
        sys.stderr.write((folder / "error.log").read_text(encoding="utf-8"))
    return code


def failed(error: UserError, *, as_json: bool) -> int:
    """Report an error that came before any run began."""
    printer = JsonPrinter() if as_json else WordPrinter()
    printer.show(Failed(error=type(error).__name__, message=str(error)), Path())
    return EXIT_MENDABLE


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

    def show(self, event: Event, folder: Path) -> None:
        if isinstance(event, (Progress, Step, SweepStep)):
            self._advance(*_progress(event))
            return
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
            yield f"{event.title}: {event.epochs} epochs at {event.lr:.2g} ({event.why})"
        case EpochDone():
            mark = " *" if event.best else ""
            yield (
                f"  epoch {event.epoch + 1} of {event.epochs}: loss {event.train_loss:.4f}, "
                f"validation loss {event.valid_loss:.4f}, accuracy {event.valid_accuracy:.1%}{mark}"
            )
        case Tried():
            yield f"Tried {event.what}, judged on {event.num_held_out} held-out pictures:"
            rows = zip(event.lrs, event.accuracies, event.errors, event.losses, strict=True)
            yield from (
                f"  {lr:.2e}  accuracy {accuracy:6.1%} ± {error:.1%}  loss {loss:.3f}"
                for lr, accuracy, error, loss in rows
            )
        case Swept():
            yield from (
                f"  {name:16} {'-' if rate is None else f'{rate:.2e}'}"
                for name, rate in event.suggestions.items()
            )
            chosen = "none" if event.suggested_lr is None else f"{event.suggested_lr:.2e}"
            range_ = " (usable: {:.2e} to {:.2e})".format(*event.usable) if event.usable else ""
            yield f"Suggested learning rate: {chosen}{range_}. {event.reason}"
        case Done():
            yield (
                f"Done in {event.seconds:.0f} s: validation accuracy {event.valid_accuracy:.1%} "
                f"({event.num_correct} of {event.num_valid}). The model is in {event.model_dir}"
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
                f"{event.split}: accuracy {event.accuracy:.2%} of {event.num_images} pictures, "
                f"loss {event.loss:.4f}"
            )
            for row, name in enumerate(event.class_names):
                precision, recall = event.precision[row], event.recall[row]
                yield f"  {name:20.20} precision {_percent(precision)} recall {_percent(recall)}"
        case Predicted():
            best = ", ".join(f"{name} {prob:.1%}" for name, prob in event.probs)
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


def _percent(value: float | None) -> str:
    return "     -" if value is None else f"{value:6.1%}"


def _progress(event: Progress | Step | SweepStep) -> tuple[str, int, int, str]:
    """Text, done, total and detail of a progress bar."""
    match event:
        case Progress():
            return event.text, event.done, event.total, ""
        case SweepStep():
            detail = f"lr {event.lr:.1e} loss {event.loss:.3f}"
            return "Sweeping", event.step, event.total_steps, detail
        case Step():
            detail = f"loss {event.loss:.3f}, {event.images_per_second:.0f} images/s"
            return "Training", event.step, event.total_steps, detail


class _Interrupts:
    """Turns the first Ctrl-C into a wish to stop; restores the old handler at the end."""

    def __init__(self) -> None:
        self._asked = False
        self._old = signal.getsignal(signal.SIGINT)

    def asked(self) -> bool:
        return self._asked

    def __enter__(self) -> "_Interrupts":
        signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._old)

    def _handle(self, *_: object) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, self._old)
        sys.stderr.write("\nStopping at the next step; press Ctrl-C again to end at once.\n")


def _job(arguments: argparse.Namespace, config: Config) -> Job:
    values = vars(arguments)
    if values.get("top", 5) < 1:
        raise ConfigError("--top must be at least 1.")
    return Job(
        kind="estimate" if values.get("dry_run") else arguments.command,
        config=config,
        dataset=values.get("dataset", ""),
        model=values.get("model", ""),
        images=tuple(values.get("images", ())),
        split=values.get("split", "valid"),
        top=values.get("top", 5),
        resume=values.get("resume", False) and not values.get("dry_run"),
        repo_id=values.get("repo_id") or values.get("push_to") or "",
        public=values.get("public", False),
    )


def _folder(arguments: argparse.Namespace, job: Job) -> Path:
    """The run folder: the one asked for, or a new one under runs/."""
    given: Path | None = vars(arguments).get("output_dir")
    if given is None:
        if job.resume:
            raise ConfigError("--resume needs --output-dir: the run folder to go on in.")
        return Path("runs").resolve() / new_run_id()
    folder = given.expanduser().resolve()
    if not job.resume and (folder / "run.json").exists():
        raise ConfigError(
            f"{given} holds a run already. Choose another --output-dir, or add --resume."
        )
    return folder


def _resumed(job: Job, folder: Path) -> Job:
    """The job to go on with, under its old settings; from the start where it has no checkpoint."""
    has_checkpoint = any(folder.glob("ckpt-*"))
    run = read_folder(folder)
    if run is None and has_checkpoint:
        return job
    if run is None or run.kind != "train":
        raise ConfigError(f"{folder.name} holds no training to go on with; leave out --resume.")
    old = job_from_dict(run.job)
    if old.dataset != job.dataset:
        raise ConfigError(f"That run was trained on {old.dataset}, not on {job.dataset}.")
    return replace(job, config=old.config, resume=has_checkpoint)
