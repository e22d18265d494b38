"""Example pictures for a demo page: only those that anybody may see anyway.

A run keeps some of its validation pictures. They go onto a page only where they are built in, or
come from the Hub under a licence that lets anybody show them; what a person uploaded is not shown
unasked.
"""

import re
import shutil
from pathlib import Path

from trainer.data.sheet import evenly, read_sheet
from trainer.events import Started
from trainer.publish.facts import run_folder_of
from trainer.runner.journal import read_events

MAX_EXAMPLES = 6
_FREE = re.compile(
    r"(mit|apache-2\.0|bsd(-[23]-clause)?|isc|unlicense|wtfpl|pddl|odbl|odc-by|gfdl"
    r"|cc0-1\.0|cc-by(-sa)?-\d\.\d|cdla-permissive-[12]\.0|cdla-sharing-1\.0)"
)
"""Licences, as the Hub names them, that let anybody pass the pictures on for any purpose."""


def shareable_examples(model_folder: Path, made: Path) -> list[Path]:
    """Copies of a run's examples, each in a folder named by its class; none if they are private.

    Args:
        model_folder: the exported model in its run folder.
        made: where the copies go.
    """
    run_folder = run_folder_of(model_folder)
    if run_folder is None or not _shareable(run_folder):
        return []
    copies = []
    rows = evenly(read_sheet(run_folder / "examples"), MAX_EXAMPLES)
    for number, (path, caption, _) in enumerate(rows):
        if path.is_file():
            plain = caption if caption not in (".", "..") and "/" not in caption else "example"
            target = made / plain / f"{number}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            copies.append(Path(shutil.copyfile(path, target)))
    return copies


def _shareable(run_folder: Path) -> bool:
    events, _ = read_events(run_folder)
    started = next((event for event in events if isinstance(event, Started)), None)
    if started is None:
        return False
    free = _FREE.fullmatch(started.dataset_licence.strip().lower()) is not None
    return started.dataset_kind == "builtin" or (started.dataset_kind == "hub" and free)
