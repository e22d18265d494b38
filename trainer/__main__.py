"""The command line: `python -m trainer COMMAND`. What it prints is a contract (see README).

Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

from trainer.config import CHOICES, Config, config_for
from trainer.errors import ConfigError, UserError

AUTO = ("lr", "unfrozen_lr")
"""Settings for which `auto` is a value."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 unexpected, 2 mendable, 3 stopped."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = parser().parse_args(words)
    except ConfigError as error:
        from trainer.cli import failed

        return failed(error, as_json="--json" in words)
    from trainer.cli import failed, run_command  # after --help had its chance to answer

    try:
        return run_command(arguments)
    except UserError as error:
        return failed(error, as_json=arguments.json)


class Parser(argparse.ArgumentParser):
    """Raises what is wrong with the words, so that `--json` can answer in JSON too."""

    def error(self, message: str) -> NoReturn:
        """Raise a ConfigError in place of ending the process."""
        raise ConfigError(f"{message[:1].upper()}{message[1:]}. See {self.prog} --help.")


def parser() -> argparse.ArgumentParser:
    """The whole command line; the options of a run are the fields of `Config`."""
    top = Parser(
        prog="python -m trainer",
        description="Sweep a learning rate, fine-tune a timm CNN, evaluate, predict, publish.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    text = "DATASET: digits, a folder or zip of class folders, or a Hub id owner/name[@revision]"
    for name, what in (
        ("check", "look at every picture of a dataset and report what is wrong"),
        ("sweep", "sweep the learning rate and suggest one"),
        ("train", "fine-tune a model"),
    ):
        command = _command(commands, name, what)
        command.add_argument("dataset", metavar="DATASET", help=text)
        _config_options(command)
        command.add_argument("--output-dir", type=Path, help="run folder; a new one under runs/")
        if name == "train":
            command.add_argument(
                "--resume", action="store_true", help="go on from the checkpoint in --output-dir"
            )
            command.add_argument(
                "--push-to", metavar="REPO_ID", help="publish the model: asked first, done last"
            )
            command.add_argument("--public", action="store_true", help="with --push-to: for all")
            command.add_argument(
                "--dry-run", action="store_true", help="say what would be done, and do nothing"
            )
    _model_commands(commands, text)
    return top


def _model_commands(commands: "argparse._SubParsersAction", dataset: str) -> None:
    model = "MODEL: a run folder, a model folder or a Hub id owner/name[@revision]"
    evaluate = _command(commands, "evaluate", "measure a model on one split of a dataset")
    evaluate.description = (
        "Measure a model on one split of a dataset; a run's own dataset is split as it was for its "
        "training."
    )
    evaluate.add_argument("model", metavar="MODEL", help=model)
    evaluate.add_argument("dataset", metavar="DATASET", help=dataset)
    evaluate.add_argument("--split", choices=("train", "valid", "test"), default="valid")
    _config_options(evaluate, only=("split_seed", "valid_fraction", "device"))
    predict = _command(commands, "predict", "classify pictures")
    predict.add_argument("model", metavar="MODEL", help=model)
    predict.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    predict.add_argument("--top", type=int, default=5, help="classes a picture (5)")
    _config_options(predict, only=("device",))
    export = _command(commands, "export", "write a model in another format")
    export.add_argument("model", metavar="MODEL", help=model)
    export.add_argument("--format", choices=("onnx",), default="onnx")
    _publishing_commands(commands, model, dataset)


def _publishing_commands(commands: "argparse._SubParsersAction", model: str, dataset: str) -> None:
    for name, what in (
        ("push", "publish a model on the Hugging Face Hub"),
        ("push-demo", "publish a page on the Hub that classifies pictures in the browser"),
        ("push-data", "publish a dataset's usable pictures on the Hub, as Parquet"),
        ("preflight", "ask the Hub whether it would take a publication"),
    ):
        command = _command(commands, name, what)
        if name == "push-data":
            command.add_argument("dataset", metavar="DATASET", help=dataset)
            _config_options(command, only=("split_seed", "valid_fraction"))
        elif name != "preflight":
            command.add_argument("model", metavar="MODEL", help=model)
        command.add_argument("repo_id", metavar="REPO_ID", help="owner/name on the Hub")
        command.add_argument("--public", action="store_true", help="for everybody; else private")


def _command(
    commands: "argparse._SubParsersAction", name: str, what: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
    command.add_argument("--json", action="store_true", help="print one JSON object a line")
    return command


def _config_options(command: argparse.ArgumentParser, only: Sequence[str] = ()) -> None:
    """An option for each field; one that is not given stays out of the namespace."""
    for field in fields(Config):
        if only and field.name not in only:
            continue
        option = f"--{field.name.replace('_', '-')}"
        if field.type is bool or field.type == "bool":
            action = argparse.BooleanOptionalAction
            command.add_argument(option, action=action, default=argparse.SUPPRESS)
        elif field.name in CHOICES:
            choices = CHOICES[field.name]
            command.add_argument(option, choices=choices, default=argparse.SUPPRESS)
        else:
            command.add_argument(
                option,
                type=_parser_of(field.name),
                default=argparse.SUPPRESS,
                metavar=_name(field.name),
            )


def _parser_of(name: str):
    default = getattr(config_for(), name)
    if name in AUTO:
        return lambda text: None if text == "auto" else float(text)
    if isinstance(default, str):
        return str
    return float if isinstance(default, float) else int


def _name(field: str) -> str:
    if field in AUTO:
        return "FLOAT|auto"
    default = getattr(config_for(), field)
    if isinstance(default, str):
        return "NAME"
    return "FLOAT" if isinstance(default, float) else "INT"


if __name__ == "__main__":
    for kind in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(kind) is not signal.SIG_IGN:  # nohup
            signal.signal(kind, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(main())
