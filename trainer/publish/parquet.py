"""`write_dataset`: a folder that is a dataset of the Hub: Parquet shards by split, and a card.

`datasets.load_dataset` reads it with pictures and class names, our own `load_hub_dataset` too. The
same pictures give the same bytes, so that publishing them again changes nothing. Pictures are
written as `bare` makes them: nothing about place, time or people travels with them, file names
neither.

Not covered: sending it; and what a picture shows.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trainer.config import Config
from trainer.data import Data, Picture
from trainer.errors import DatasetError, PictureError
from trainer.events import Event, Progress
from trainer.limits import Limits
from trainer.opening import usable_data
from trainer.publish.bare import Bare, bare
from trainer.publish.dataset_card import dataset_card
from trainer.publish.shards import Shards, WrittenSplit

SHARD_BYTES = 500_000_000
"""Pictures' bytes in one file: what the Hub's own tools write at most."""

_HUB_SPLITS = {"train": "train", "valid": "validation", "test": "test"}
_SHOWN_EVERY = 25


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenDataset:
    """What was written."""

    folder: Path
    class_names: tuple[str, ...]
    splits: tuple[WrittenSplit, ...]
    how: dict[str, int]
    """Pictures by what was done to them, in the words of `Bare.how`."""

    @property
    def num_pictures(self) -> int:
        return sum(split.num_pictures for split in self.splits)


def write_checked_dataset(
    dataset: str, config: Config, folder: Path, *, title: str, repo_id: str | None = None
) -> Generator[Event, None, WrittenDataset]:
    """Open a dataset, leave out what cannot be decoded, and write the rest as `write_dataset`.

    Args:
        dataset: its name, path or Hub id.
        config: how it is split.
        folder: made here.
        title: what the card calls the dataset, in any words.
        repo_id: `owner/name` that it gets on the Hub, for the card; None: the folder itself.

    Yields:
        Progress, and a Note for what the check warns of.

    Raises:
        DatasetError, HubError: the dataset cannot be used, or the disk has no room.
    """
    data = yield from usable_data(dataset, config)
    card = partial(dataset_card, data, title=title, repo_id=repo_id)
    steps = _write(data, folder, card, Limits.from_env(), SHARD_BYTES)
    while True:
        try:
            done, total = next(steps)
        except StopIteration as end:
            return end.value
        if done % _SHOWN_EVERY == 0 or done == total:
            yield Progress(text="Writing the pictures to publish", done=done, total=total)


def write_dataset(
    data: Data,
    folder: Path,
    *,
    title: str,
    on_progress: Callable[[int, int], None] | None = None,
    limits: Limits | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> WrittenDataset:
    """Write `data/<split>-00000-of-00001.parquet` files and `README.md` into a folder.

    The folder is written beside and renamed, so a folder that exists is complete; one that was
    there is replaced.

    Args:
        data: the pictures that may be used, as `usable` leaves them.
        folder: made here.
        title: what the card calls the dataset, in any words.
        on_progress: is told (pictures done, pictures in all); an exception from it ends the
            writing, and nothing is left behind.
        limits: `max_picture_bytes`; from the environment by default.
        shard_bytes: pictures' bytes in one file at most, unless one picture alone has more.

    Raises:
        DatasetError: a picture cannot be read any more, or the disk has no room.
    """
    card = partial(dataset_card, data, title=title, repo_id=None)
    steps = _write(data, folder, card, limits or Limits.from_env(), shard_bytes)
    try:
        while True:
            step = next(steps)
            if on_progress is not None:
                on_progress(*step)
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _write(
    data: Data, folder: Path, card: Callable[..., str], limits: Limits, shard_bytes: int
) -> Generator[tuple[int, int], None, WrittenDataset]:
    making = folder.with_name(f".making-{folder.name}-{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)  # of a process that died and had the same number
    how: Counter[str] = Counter()
    try:
        splits = yield from _write_splits(data, making / "data", how, limits, shard_bytes)
        (making / "README.md").write_text(card(splits=splits, how=how), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        making.replace(folder)
    except OSError as error:
        raise DatasetError(
            f"The dataset cannot be written to {folder.name} ({error.strerror or error}). Make "
            "room on the disk, or choose another folder."
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return WrittenDataset(
        folder=folder, class_names=data.class_names, splits=splits, how=dict(sorted(how.items()))
    )


def _write_splits(
    data: Data, folder: Path, how: Counter[str], limits: Limits, shard_bytes: int
) -> Generator[tuple[int, int], None, tuple[WrittenSplit, ...]]:
    """Write every split that holds a picture, and count what was done to the pictures."""
    folder.mkdir(parents=True)
    total = sum(len(split) for split in data.splits)
    written: list[WrittenSplit] = []
    for split in data.splits:
        if not split.pictures:
            continue
        shards = Shards(folder, _HUB_SPLITS[split.name], data.class_names, shard_bytes)
        try:
            for picture in split.pictures:
                found = _bare(picture, limits)
                shards.add(found.data, found.suffix, picture.label)
                how[found.how] += 1
                yield how.total(), total
            written.append(shards.finish())
        finally:
            shards.close()
    return tuple(written)


def _bare(picture: Picture, limits: Limits) -> Bare:
    """The picture without its metadata.

    Raises:
        DatasetError: it changed since it was checked.
    """
    try:
        return bare(picture.read(), limits=limits)
    except (PictureError, OSError) as error:
        reason = str(error) if isinstance(error, PictureError) else "cannot be read any more"
        raise DatasetError(
            f"The picture {picture.name} {reason}. Check the dataset again, and publish what is "
            "left."
        ) from error
