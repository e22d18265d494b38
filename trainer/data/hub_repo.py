"""`HubRepo`: one public dataset repository, pinned to a commit: its files, card and downloads."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from trainer.data.cache import cache_root
from trainer.data.names import megabytes
from trainer.data.room import ensure_room, touch
from trainer.errors import DatasetError
from trainer.hub_client import (
    HubName,
    OnProgress,
    card_errors,
    connect,
    hub_errors,
    quiet_progress,
    refuse_closed,
    summed,
    untold,
)
from trainer.limits import Limits

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_DOWNLOADS_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class HubRepo:
    """What is known of the repository before anything large is downloaded."""

    api: "HfApi" = field(repr=False, compare=False)
    title: str
    """What messages call it: the id in quotes."""
    repo_id: str
    sha: str
    """The commit that everything is read from, even if the branch moves on."""
    sizes: Mapping[str, int]
    """Path -> bytes, of every file."""
    card: Mapping[str, Any]
    """The card's YAML block, as the Hub parsed it."""
    on_progress: OnProgress = field(default=untold, repr=False, compare=False)
    """Is told (bytes so far, bytes in all) of each download; an exception from it ends that."""

    @property
    def licence(self) -> str | None:
        """What the card states, if it does so in words; a card may hold anything there."""
        stated = self.card.get("license")
        entries = stated if isinstance(stated, list) else [stated]
        return ", ".join(entry for entry in entries if isinstance(entry, str)) or None

    @property
    def folder(self) -> Path:
        """Where this commit's copies are kept, in our own cache."""
        return cache_root() / "hub" / self.repo_id.replace("/", "--") / self.sha

    def too_many(self, number: int, limits: Limits) -> DatasetError:
        """The error for more pictures than are allowed."""
        return DatasetError(
            f"The dataset {self.title} holds {number:,} pictures; the limit is "
            f"{limits.max_pictures:,}. Choose a smaller one, or raise LRLAB_MAX_PICTURES on your "
            "own machine."
        )

    def download(self, paths: Sequence[str]) -> dict[str, Path]:
        """Fetch files into this commit's folder, by path; a kept one costs no request.

        Raises:
            HubError: the Hub refused, or the connection broke.
            DiskFullError: there is no room for them.
        """
        folder = self.folder / "files"
        self.download_into(folder, paths)
        return {path: folder / path for path in paths}

    def download_into(self, folder: Path, paths: Sequence[str]) -> None:
        """Fetch these files and no others below a folder; one that is there costs no request.

        Real files and not links into the Hub's cache: a folder's links outwards are not followed.
        `snapshot_download` chooses by pattern, and so also what nobody has counted.

        Raises:
            HubError, DiskFullError: as `download`.
        """
        what = f"files of dataset {self.title}"
        with hub_errors(what):  # the Hub has names that are too long for a disk
            missing = [path for path in paths if not (folder / path).is_file()]
        num_bytes = sum(self.sizes[path] for path in missing)
        ensure_room(num_bytes, f"the dataset {self.title}")
        fetch = partial(
            self.api.hf_hub_download,
            self.repo_id,
            repo_type="dataset",
            revision=self.sha,
            local_dir=folder,
            tqdm_class=quiet_progress(summed(num_bytes, self.on_progress)),
        )
        with hub_errors(what):
            pool = ThreadPoolExecutor(_DOWNLOADS_AT_ONCE)
            try:
                for done in as_completed([pool.submit(fetch, path) for path in paths]):
                    done.result()
                    touch(self.folder)
            finally:
                pool.shutdown(cancel_futures=True)

    def refuse_too_large(self, paths: Sequence[str], limits: Limits) -> None:
        """Keep `max_unpacked_bytes`, from the listing alone.

        Raises:
            DatasetError: the files are larger together.
        """
        total = sum(self.sizes[path] for path in paths)
        if total > limits.max_unpacked_bytes:
            raise DatasetError(
                f"The dataset {self.title} is {megabytes(total)}; the limit is "
                f"{megabytes(limits.max_unpacked_bytes)}. Choose a smaller one, or raise "
                "LRLAB_MAX_UNPACKED_BYTES on your own machine."
            )


def open_repo(name: HubName, limits: Limits, on_progress: OnProgress = untold) -> HubRepo:
    """Resolve a dataset id to a commit and list its files; nothing is downloaded.

    Args:
        name: of the dataset.
        limits: on the number of files.
        on_progress: is told of the downloads to come.

    Raises:
        HubError: unreachable, or the dataset is missing, private, gated or disabled.
        DatasetError: it has far more files than pictures are allowed.
    """
    title = repr("@".join(filter(None, name)))
    what = f"dataset {title}"
    api = connect()
    with hub_errors(what):
        with card_errors(what):
            info = api.dataset_info(name.repo_id, revision=name.revision, timeout=10)
            card = info.card_data.to_dict() if info.card_data else {}
        refuse_closed(info, what)
        sizes: dict[str, int] = {}
        tree = api.list_repo_tree(
            name.repo_id, recursive=True, revision=info.sha, repo_type="dataset"
        )
        for entry in tree:
            size = getattr(entry, "size", None)  # folders have none
            if size is not None and _is_plain(entry.path):
                sizes[entry.path] = size
            if len(sizes) > 4 * limits.max_pictures:
                raise DatasetError(
                    f"The {what} holds more than {4 * limits.max_pictures:,} files. Choose one "
                    "that is stored as parquet."
                )
    return HubRepo(
        api=api,
        title=title,
        repo_id=name.repo_id,
        sha=info.sha or "",
        sizes=sizes,
        card=card,
        on_progress=on_progress,
    )


def _is_plain(path: str) -> bool:
    """Whether a path stays below the folder that it is written to."""
    parts = PurePosixPath(path).parts
    return not path.startswith("/") and ".." not in parts and "\\" not in path
