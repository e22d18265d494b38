"""A dataset on the Hugging Face Hub as `Data`: parquet tables, or folders of pictures.

It is read with huggingface_hub and pyarrow, not with `datasets.load_dataset`: that one opens
whatever path or URL a row or a card names, unpacks before any limit is asked, prefers a local
folder of the dataset's name, and costs 3.5 s of import. What must hold here: the repository is
pinned to a commit, no token is sent, and nothing but its own files is opened.

Not covered: scripts, zips, webdataset tars, csv and json (the message names the way out), several
labels a picture, and any configuration but the default or the first.
"""

from collections.abc import Sequence
from dataclasses import replace

from trainer.data.dataset import Data, Provenance, Split
from trainer.data.folder import load_folder
from trainer.data.hub_files import choose_parquet, picture_paths, refuse_format
from trainer.data.hub_repo import HubRepo, open_repo
from trainer.data.hub_tables import load_tables
from trainer.data.names import printable
from trainer.data.room import touch
from trainer.errors import DatasetError
from trainer.hub_client import OnProgress, parse_hub_name, untold
from trainer.limits import Limits


def load_hub_dataset(
    dataset: str,
    *,
    valid_fraction: float,
    split_seed: int,
    limits: Limits | None = None,
    on_progress: OnProgress = untold,
) -> Data:
    """Read `owner/name` or `owner/name@revision`, pinned to the commit that it is now.

    Args:
        dataset: the id; a revision is a branch, a tag or a commit.
        valid_fraction: share of the training pictures that becomes `valid` where there is none.
        split_seed: seed of that split.
        limits: sizes and counts that are kept; those of the environment by default.
        on_progress: is told (bytes so far, bytes in all) of each download; an exception from it
            ends that.

    Raises:
        DatasetError: the dataset cannot be used; the message says what was seen.
        HubError: the Hub is unreachable, or the dataset is missing, private or gated.
    """
    limits = limits or Limits.from_env()
    name = parse_hub_name(dataset)
    if name is None:
        raise DatasetError(
            f"{printable(dataset[:100])!r} is not a dataset's id on the Hub. It looks like "
            "owner/name or owner/name@revision, in ASCII letters, digits and . _ -"
        )
    repo = open_repo(name, limits, on_progress)
    touch(repo.folder)
    choice = choose_parquet(repo.sizes, repo.card)
    if choice:
        data = load_tables(repo, choice, valid_fraction, split_seed, limits)
    elif pictures := picture_paths(repo.sizes):
        data = _from_pictures(repo, pictures, valid_fraction, split_seed, limits)
    else:
        raise refuse_format(repo.title, tuple(repo.sizes))
    provenance = Provenance(
        dataset_id=name.repo_id,
        kind="hub",
        revision=repo.sha,
        split_rule=data.provenance.split_rule,
        licence=repo.licence,
    )
    return replace(data, provenance=provenance, kept=repo.folder)


def _from_pictures(
    repo: HubRepo, paths: Sequence[str], valid_fraction: float, split_seed: int, limits: Limits
) -> Data:
    """Download a repository of class folders and read it as any other folder."""
    if len(paths) > limits.max_pictures:
        raise repo.too_many(len(paths), limits)
    repo.refuse_too_large(paths, limits)
    folder = repo.folder / "pictures"
    repo.download_into(folder, paths)
    data = load_folder(
        folder,
        valid_fraction=valid_fraction,
        split_seed=split_seed,
        limits=limits,
        title=repo.repo_id,
    )
    return replace(
        data,
        train=_stamped(data.train, repo.sha),
        valid=_stamped(data.valid, repo.sha),
        test=_stamped(data.test, repo.sha) if data.test else None,
    )


def _stamped(split: Split, sha: str) -> Split:
    # By commit and path, not by the time of the download, so that caches outlive it.
    return Split(split.name, tuple(replace(p, stamp=f"{sha}:{p.name}") for p in split.pictures))
