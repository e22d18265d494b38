"""Opening a dataset as a generator of events: read it, look at every picture, leave out the bad."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from trainer.config import Config
from trainer.data import Data, load_data
from trainer.data.check import check, usable
from trainer.data.names import title_of
from trainer.data.report import Check
from trainer.events import Event, Note, Progress


def usable_data(dataset: str, config: Config) -> Generator[Event, None, Data]:
    """The dataset without the pictures that cannot be decoded; yields what `check` warns of."""

    data, checked = yield from checked_data(dataset, config)
    for finding in checked.findings:
        if finding.level != "info":
            yield Note(text=finding.text)
    return usable(data, checked)


def checked_data(dataset: str, config: Config) -> Generator[Event, None, tuple[Data, Check]]:
    """The dataset and what `check` found; yields Progress while pictures are looked at."""

    yield Progress(text=f"Opening {title_of(dataset)}", done=0, total=1)
    data = load_data(dataset, valid_fraction=config.valid_fraction, split_seed=config.split_seed)
    told: SimpleQueue[tuple[int, int]] = SimpleQueue()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(check, data, on_progress=lambda done, total: told.put((done, total)))
        while not found.done():
            latest = _latest(told)
            if latest:
                yield Progress(text="Checking the pictures", done=latest[0], total=latest[1])
    return data, found.result()


def _latest(told: "SimpleQueue[tuple[int, int]]") -> tuple[int, int] | None:
    """The newest of what was told within a fifth of a second."""
    latest = None
    try:
        latest = told.get(timeout=0.2)
        while True:
            latest = told.get_nowait()
    except Empty:
        return latest
