"""After a publication: whether the Hub holds every file as it was sent, by the hashes it states."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.publish.commit import NOT_YET, file_sha256
from trainer.publish.patience import once_more
from trainer.publish.target import Target

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def altered_files(
    api: "HfApi", target: Target, commit: str, files: Mapping[str, Path], token: str
) -> str:
    """Compare the hashes that the Hub states with our own; says which differ, empty if none."""
    tree = once_more(
        lambda: list(
            api.list_repo_tree(
                target.repo_id,
                recursive=True,
                revision=commit,
                repo_type=target.kind,
                token=token,
            )
        ),
        after=NOT_YET,
    )
    there = {entry.path: entry for entry in tree}
    differing = [name for name, path in files.items() if not _same_file(there.get(name), path)]
    return f"these files are not as they were sent: {', '.join(differing[:5])}" if differing else ""


def _same_file(entry: object, path: Path) -> bool:
    """By SHA-256 for a large file, by git's own hash for a small one."""
    from huggingface_hub.utils.sha import git_hash

    lfs = getattr(entry, "lfs", None)
    if lfs is not None:
        return lfs.sha256 == file_sha256(path)
    return getattr(entry, "blob_id", None) == git_hash(path.read_bytes())
