"""Opening a dataset as a generator of events: read it, look at every picture, leave out the bad."""

from collections.abc import Callable, Generator

from trainer.config import Config
from trainer.data import Data, load_data
from trainer.data.check import check, usable
from trainer.data.decoded import View
from trainer.data.names import title_of
from trainer.data.report import Check
from trainer.events import Event, Note, Progress
from trainer.following import with_progress

ViewOf = Callable[[Data], View]
"""Chooses a preprocessing for pictures that have just been opened."""


def open_data(dataset: str, config: Config) -> Generator[Event, None, Data]:
    """The dataset as it is, split by the config's rule where it brings no split; yields Progress
    while it comes from the Hub."""
    text = f"Opening {title_of(dataset)}"
    yield Progress(text=text, done=0, total=1)
    fraction, seed = config.valid_fraction, config.split_seed
    return (
        yield from with_progress(
            text,
            lambda tell: load_data(
                dataset, valid_fraction=fraction, split_seed=seed, on_progress=tell
            ),
        )
    )


def usable_data(
    dataset: str, config: Config, view_of: ViewOf | None = None
) -> Generator[Event, None, Data]:
    """The dataset without the pictures that cannot be decoded; yields what `check` warns of."""
    data, checked = yield from checked_data(dataset, config, view_of)
    for finding in checked.findings:
        if finding.level != "info":
            yield Note(text=finding.text, about="data", named=finding.named)
    return usable(data, checked)


def checked_data(
    dataset: str, config: Config, view_of: ViewOf | None = None
) -> Generator[Event, None, tuple[Data, Check]]:
    """The dataset and what `check` found; yields Progress while pictures are looked at.

    Args:
        dataset: a name, a path or a Hub id.
        config: how it is split where it brings no split.
        view_of: how a model will see these pictures: they are decoded for it in the same pass.
    """
    data = yield from open_data(dataset, config)
    view = view_of(data) if view_of else None
    found = yield from with_progress(
        "Reading the pictures", lambda tell: check(data, on_progress=tell, view=view)
    )
    return data, found
