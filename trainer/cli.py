"""The commands: from words on the command line to a job, carried out and printed.

Ctrl-C (or SIGTERM) asks the run to stop at its next step; a second one ends it at once.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from trainer.allocator import keep_freed_memory
from trainer.config import Config, config_for
from trainer.data.load import hub_name, pinned
from trainer.errors import ConfigError, UserError
from trainer.events import (
    Failed,
    Preflight,
    Started,
    Stopped,
)
from trainer.jobs import Job, job_from_dict
from trainer.printing import JsonPrinter, WordPrinter
from trainer.runner.folder import (
    create_run,
    holds_checkpoint,
    make_root,
    new_run_id,
    read_folder,
    record,
)
from trainer.runner.journal import read_events
from trainer.runner.owner import COMMAND_LINE

KEPT = ("sweep", "train")
"""Commands whose run folder stays; the others answer on the terminal alone."""
MENDABLE = ("MemoryError", "PictureError", *(kind.__name__ for kind in UserError.__subclasses__()))
"""Errors that end with exit code 2: the person can do something about them."""
EXIT_DONE, EXIT_UNEXPECTED, EXIT_MENDABLE, EXIT_STOPPED = 0, 1, 2, 3


def run_command(arguments: argparse.Namespace) -> int:
    """Carry out a command and print its events; returns the exit code.

    Raises:
        UserError: the command line asks for something impossible.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    keep_freed_memory()
    given = given_settings(arguments)
    job = _job(arguments, config_for(**given))
    if job.kind == "evaluate":
        job = _split_as_trained(job, given)
    if job.kind not in KEPT:
        return _passing(job, as_json=arguments.json)
    folder = _folder(arguments, job)
    if job.resume:
        job = _resumed(job, folder, given)
    if job.repo_id:
        return _train_and_push(job, folder, as_json=arguments.json)
    return _run(job, folder, as_json=arguments.json)


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings of a run that stand on the command line."""
    return {f.name: getattr(arguments, f.name) for f in fields(Config) if f.name in arguments}


def _train_and_push(job: Job, folder: Path, *, as_json: bool) -> int:
    """Ask the Hub first, so that a training of hours does not end in a refusal."""
    asked = replace(job, kind="preflight", resume=False)
    code = _passing(asked, as_json=as_json)
    if code == EXIT_DONE:
        code = _run(replace(job, repo_id=""), folder, as_json=as_json)
    if code == EXIT_DONE:
        pushed = replace(job, kind="push", dataset="", model=str(folder), resume=False)
        code = _passing(pushed, as_json=as_json)
    return code


def _passing(job: Job, *, as_json: bool) -> int:
    """Carry out a job whose run folder nobody will look at again."""
    with tempfile.TemporaryDirectory(prefix="lrlab-") as scratch:
        return _run(job, Path(scratch) / job.kind, as_json=as_json)


def _run(job: Job, folder: Path, *, as_json: bool) -> int:
    """Carry out a job in its run folder and print what happens."""
    printer = JsonPrinter() if as_json else WordPrinter()
    run = create_run(folder.parent, job, owner=COMMAND_LINE, run_id=folder.name)
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
        root = Path("runs").resolve()
        make_root(root)
        return root / new_run_id()
    folder = given.expanduser().resolve()
    if not job.resume and (folder / "run.json").exists():
        raise ConfigError(
            f"{given} holds a run already. Choose another --output-dir, or add --resume."
        )
    return folder


def _resumed(job: Job, folder: Path, given: Mapping[str, Any]) -> Job:
    """The job to go on with, under its old settings; from the start where it has no checkpoint,
    then with the new settings that were given.

    Raises:
        ConfigError: there is no such training, or a setting cannot be another in its middle.
    """
    has_checkpoint = holds_checkpoint(folder)
    run = read_folder(folder)
    if run is None and has_checkpoint:
        return job
    if run is None or run.kind != "train":
        raise ConfigError(f"{folder.name} holds no training to resume; leave out --resume.")
    old = job_from_dict(run.job)
    if not _same_dataset(old.dataset, job.dataset, _commit(folder)):
        raise ConfigError(f"That run was trained on {old.dataset}, not on {job.dataset}.")
    changed = [name for name, value in given.items() if value != getattr(old.config, name)]
    if changed and has_checkpoint:
        name = changed[0]
        raise ConfigError(
            f"A resumed training keeps its settings: {name} is {_value(getattr(old.config, name))} "
            f"there, not {_value(given[name])}. Leave the option out, or start a new training in "
            "another --output-dir."
        )
    other = given.get("preset", old.config.preset) != old.config.preset
    config = job.config if other else replace(old.config, **given)
    return replace(job, config=old.config if has_checkpoint else config, resume=has_checkpoint)


def _value(value: object) -> str:
    return "auto" if value is None else str(value)


def _split_as_trained(job: Job, given: Mapping[str, Any]) -> Job:
    """Split a run's own dataset as its training did, at the commit that it was then: otherwise the
    model would be measured on pictures that it has learned from."""
    model = _path(job.model)
    folder = model if read_folder(model) else model.parent
    run = read_folder(folder)
    if run is None or run.kind != "train":
        return job
    old, commit = job_from_dict(run.job), _commit(folder)
    if not _same_dataset(old.dataset, job.dataset, commit):
        return job
    split = {name: getattr(old.config, name) for name in ("split_seed", "valid_fraction")}
    return replace(
        job,
        dataset=pinned(job.dataset, commit or None),
        config=replace(job.config, **{**split, **given}),
    )


def _commit(folder: Path) -> str:
    """The commit of the dataset that a training was begun with; empty where it has none."""
    started = [event for event in read_events(folder)[0] if isinstance(event, Started)]
    return started[-1].dataset_revision if started else ""


def _same_dataset(old: str, new: str, commit: str = "") -> bool:
    """Whether a word means the pictures of a training, also where they are written in two ways.

    Args:
        old: what the training was asked for.
        new: a revision that it names must be the old one's, or its commit.
        commit: of the dataset on the Hub that the training had.
    """
    if old == new:
        return True
    was, now = hub_name(old), hub_name(new)
    if was and now:
        return was.repo_id == now.repo_id and now.revision in (None, was.revision, commit)
    with suppress(OSError, ValueError):  # what is no path, or a path to nothing
        return not was and not now and _path(old).samefile(_path(new))
    return False


def _path(words: str) -> Path:
    with suppress(RuntimeError):  # the home of somebody who is not there
        return Path(words).expanduser()
    return Path(words)
