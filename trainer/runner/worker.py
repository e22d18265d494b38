"""The worker process: warm (torch and timm imported), it carries out one run after another.

`python -m trainer.runner.worker NICENESS NAMES` reads run folders from standard input, a line
each, and answers `ready` and `ended` lines on standard output. At the end of its input it stops
the run it is in, with a checkpoint: no worker outlives the app. It is a process, because a native
crash or a lack of memory then ends one run and never the app.
"""

import json
import os
import queue
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TextIO

from trainer.allocator import give_back, keep_freed_memory
from trainer.runner.exports import Exports
from trainer.runner.folder import read_folder, record, stop_requested


def main(niceness: int, names_path: Path) -> None:
    """Serve until standard input ends."""
    os.nice(niceness)
    keep_freed_memory()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    closing = threading.Event()
    folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(folders, closing), daemon=True).start()
    exports = Exports()
    _answer(answers, f"ready {_warm_up(names_path)}")
    while (folder := folders.get()) is not None:
        run = read_folder(folder)
        if run is not None and run.status == "queued":
            for _ in record(run, partial(_should_stop, closing, folder)):
                pass
            ended = read_folder(folder)
            if run.kind == "train" and ended is not None and ended.status == "done":
                exports.add(folder / "model")
        give_back()
        if not closing.is_set():
            _answer(answers, f"ended {folder.name}")
    exports.close()


def _should_stop(closing: threading.Event, folder: Path) -> bool:
    return closing.is_set() or stop_requested(folder)


def _read(folders: "queue.SimpleQueue[Path | None]", closing: threading.Event) -> None:
    for line in sys.stdin:
        folders.put(Path(line.rstrip("\n")))
    closing.set()
    folders.put(None)


def _warm_up(names_path: Path) -> str:
    """Import what a first run would wait for, and write down timm's model names for the app.

    Returns:
        What runs compute on, in words.
    """
    import sklearn.model_selection  # noqa: F401 five seconds that a first split would wait for
    import timm

    import trainer.evaluate
    import trainer.fit
    import trainer.predict  # noqa: F401
    from trainer.config import Config
    from trainer.runtime import choose_runtime

    if not names_path.exists():
        names_path.parent.mkdir(parents=True, exist_ok=True)
        making = names_path.with_name(f".{names_path.name}-{os.getpid()}")
        making.write_text(json.dumps(timm.list_models(pretrained=True)))
        making.replace(names_path)
    return choose_runtime(Config()).reason


def _answer(answers: TextIO, text: str) -> None:
    answers.write(text + "\n")
    answers.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
