"""The worker process: warm (torch and timm imported), it carries out one run after another.

`python -m trainer.runner.worker NICENESS NAMES` reads run folders from standard input, a line
each, and answers `ready`, `beat` and `ended` lines on standard output. At the end of its input, or
at a signal, it stops the run it is in, with a checkpoint: no worker outlives the app. It is a
process, because a native crash or a lack of memory then ends one run and never the app.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from trainer.allocator import give_back, keep_freed_memory
from trainer.errors import BusyError
from trainer.events import Failed
from trainer.runner.child import ABANDONED, confine, leave
from trainer.runner.exports import Exports
from trainer.runner.folder import (
    DEVICE_LOST,
    Run,
    read_folder,
    record,
    refuse,
    stop_requested,
)
from trainer.runner.vitals import BEAT_SECONDS

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

CLOSE_SECONDS = 6.0
"""For the run to leave a checkpoint; then the process ends, whatever it does."""


class Answers:
    """The worker's side of its standard output; a line at a time, from any thread."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.events = 0
        """That the run has yielded: the sign of progress that each beat carries."""

    def say(self, text: str) -> None:
        """Write a line; nobody listens any more once the app has gone."""
        with self._lock, suppress(OSError, ValueError):
            self._file.write(text + "\n")
            self._file.flush()

    def beat(self) -> None:
        """Say every two seconds that this process lives."""
        while True:
            self.say(f"beat {self.events}")
            time.sleep(BEAT_SECONDS)


def main(niceness: int, names_path: Path) -> None:
    """Serve until standard input ends, or a signal comes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # one thread waits for them
    confine(niceness)
    keep_freed_memory()
    answers = Answers(os.fdopen(os.dup(sys.stdout.fileno()), "w"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    closing = threading.Event()
    folders: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
    exports = Exports()
    for target, values in (
        (_read, (folders, closing)),
        (_wait_for_signal, (folders, closing)),
        (_end_in_time, (closing, exports)),
        (answers.beat, ()),
    ):
        threading.Thread(target=target, args=values, daemon=True).start()
    answers.say(f"ready {_warm_up(names_path)}")
    import torch  # by now it has been

    threads = torch.get_num_threads()
    while not closing.is_set() and (folder := folders.get()) is not None:
        run, broken = read_folder(folder), False
        if run is not None and run.status == "queued":
            torch.set_num_threads(threads)  # whatever the run before has found best for itself
            broken = _carry_out(run, folder, closing, answers)
            ended = read_folder(folder)
            if run.kind == "train" and ended is not None and ended.status == "done":
                exports.add(folder / "model")
        give_back()
        if broken:
            break
        if not closing.is_set():
            answers.say(f"ended {folder.name}")
    exports.close()


def _carry_out(run: Run, folder: Path, closing: threading.Event, answers: Answers) -> bool:
    """Carry out a run; whether this process can carry out no other."""
    broken = False
    try:
        for event in record(run, partial(_should_stop, closing, folder)):
            answers.events += 1
            broken = isinstance(event, Failed) and event.error == DEVICE_LOST
    except BusyError as error:
        refuse(run, error)
    return broken


def _should_stop(closing: threading.Event, folder: Path) -> bool:
    return closing.is_set() or stop_requested(folder)


def _read(folders: "queue.SimpleQueue[Path | None]", closing: threading.Event) -> None:
    for line in sys.stdin:
        folders.put(Path(line.rstrip("\n")))
    closing.set()
    folders.put(None)


def _wait_for_signal(folders: "queue.SimpleQueue[Path | None]", closing: threading.Event) -> None:
    """In a thread of its own: a handler would wait for the native code that the run is in."""
    signal.sigwait(SIGNALS)
    closing.set()
    folders.put(None)


def _end_in_time(closing: threading.Event, exports: Exports) -> None:
    closing.wait()
    time.sleep(CLOSE_SECONDS)
    exports.kill()
    os._exit(ABANDONED)


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
        with suppress(OSError):  # a full disk: the page has no search then
            names_path.parent.mkdir(parents=True, exist_ok=True)
            making = names_path.with_name(f".{names_path.name}-{os.getpid()}")
            making.write_text(json.dumps(timm.list_models(pretrained=True)))
            making.replace(names_path)
    return choose_runtime(Config()).reason


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
    leave()
