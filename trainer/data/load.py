"""`load_data`: from what a person typed to a dataset.

In this order: `digits`; a path, which is whatever starts with `/`, `./`, `../` or `~`, ends in
`.zip`, or names a folder that exists; an id on the Hugging Face Hub. A folder `a/b` in the working
directory thus hides the Hub's `a/b`.
"""

import re
from pathlib import Path

from trainer.data.archive import load_archive
from trainer.data.dataset import Data
from trainer.data.digits import load_digits
from trainer.data.folder import load_folder
from trainer.data.names import printable
from trainer.errors import DatasetError
from trainer.hub_client import HubName, OnProgress, parse_hub_name, untold
from trainer.limits import Limits

_HUB_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*(@[\w./-]+)?", re.ASCII)
HUB_PREFIX = "hf://datasets/"
"""Before an id: the Hub is meant, whatever folders there are."""
_PATH_STARTS = ("/", "./", "../", "~")


def load_data(
    dataset: str,
    *,
    valid_fraction: float = 0.2,
    split_seed: int = 42,
    limits: Limits | None = None,
    on_progress: OnProgress = untold,
) -> Data:
    """Open a dataset by name, path or Hub id, and split it where it is not split already.

    Args:
        dataset: `digits`, a folder or zip of class folders, or `owner/name[@revision]`.
        valid_fraction: share of the training pictures that becomes `valid` where there is none.
        split_seed: seed of that stratified split; the same on every machine.
        limits: how much is read; from the environment by default.
        on_progress: is told (bytes so far, bytes in all) of a download; an exception from it ends
            that.

    Raises:
        DatasetError: nothing usable was found; the message says what was seen and what to do.
        ConfigError: `valid_fraction` is not between 0 and 1.
        HubError: the Hub is unreachable or refused.
    """
    dataset = dataset.strip()
    if dataset == "digits":
        return load_digits(valid_fraction=valid_fraction, split_seed=split_seed)
    limits = limits or Limits.from_env()
    hub_only = dataset.startswith(HUB_PREFIX)
    dataset = dataset.removeprefix(HUB_PREFIX)
    path = None if hub_only else _local_path(dataset)
    if path is not None:
        read = load_archive if path.is_file() else load_folder
        return read(
            path,
            valid_fraction=valid_fraction,
            split_seed=split_seed,
            limits=limits,
        )
    if _HUB_ID.fullmatch(dataset):
        # pyarrow takes a while to import: only for whoever asks for the Hub.
        from trainer.data.hub_dataset import load_hub_dataset

        return load_hub_dataset(
            dataset,
            valid_fraction=valid_fraction,
            split_seed=split_seed,
            limits=limits,
            on_progress=on_progress,
        )
    raise DatasetError(
        f"{printable(dataset[:200])!r} is not a dataset. Give 'digits', the path of a folder or "
        "zip of class folders, or the id of a dataset on the Hugging Face Hub ('owner/name')."
    )


def hub_name(dataset: str) -> HubName | None:
    """The dataset on the Hub that is meant; none where it is `digits` or a path."""
    bare = dataset.strip().removeprefix(HUB_PREFIX)
    if bare == dataset.strip() and _local_path(bare) is not None:
        return None
    return parse_hub_name(bare)


def pinned(dataset: str, revision: str | None) -> str:
    """The same dataset as it was at a commit, where it is on the Hub: `revision` is none where it
    is not."""
    if revision is None:
        return dataset
    return f"{HUB_PREFIX}{dataset.strip().removeprefix(HUB_PREFIX).partition('@')[0]}@{revision}"


def _local_path(dataset: str) -> Path | None:
    """The path that is meant, or None where it is not one."""
    if not dataset or not dataset.isprintable():
        return None
    try:
        path = Path(dataset).expanduser()
        meant = dataset.startswith(_PATH_STARTS) or dataset in (".", "..")
        if meant or path.suffix.lower() == ".zip" or path.is_dir():
            path.exists()  # raises where the name is too long to be one
            return path
    except (OSError, RuntimeError):  # too long, or the home of somebody who is not there
        return None
    return None
