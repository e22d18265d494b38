"""`publish_files`: a folder's files on the Hub in one commit, whole or not at all, safe to repeat.

Every try looks at the repository anew: files that are there already are not sent again, so a push
whose answer was lost makes no second commit.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.publish.patience import once_more
from trainer.publish.target import (
    MARKER,
    Standing,
    Target,
    earlier_files,
    look,
    marker_text,
    refuse,
)

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_CHANGED = (409, 412)
"""Status codes of a commit that came at the same moment as another one."""
NOT_YET = (404,)
"""Status codes for a commit that the Hub has only just taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """What is on the Hub now."""

    sha: str
    """The commit that holds the files."""
    new: bool
    """Whether it was made now; False where the same files were there."""


def publish_files(
    api: "HfApi", target: Target, files: Mapping[str, Path], token: str, *, message: str
) -> Committed:
    """Put files into a repository, which is made where there is none.

    Files of an earlier publication that are not among these are removed in the same commit; what
    else is in the repository stays.

    Args:
        api: a client for this Hub.
        target: where to, and for whom to see.
        files: path in the repository to file.
        token: whose repository it is.
        message: the commit's summary.

    Raises:
        HubError: the repository is somebody else's work, or the Hub did not answer long enough.
        HfHubHTTPError: what the Hub refuses for good.
    """
    hashes = {name: file_sha256(path) for name, path in files.items()}
    before: list[str] = []

    def attempt() -> Committed:
        standing = look(api, target, token) or _made(api, target, token)
        refuse(target, standing)
        before.append(standing.sha)
        sha = _commit(api, target, standing, files, hashes, token=token, message=message)
        # The answer to an earlier attempt may have been lost: its commit is of now, too.
        return Committed(sha=sha, new=sha != before[0])

    return once_more(attempt, after=_CHANGED)


def _commit(
    api: "HfApi",
    target: Target,
    standing: Standing,
    files: Mapping[str, Path],
    hashes: Mapping[str, str],
    *,
    token: str,
    message: str,
) -> str:
    """The commit that holds the files; the one that stands where it holds them already."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    marker = CommitOperationAdd(MARKER, marker_text(target, hashes).encode())
    additions = [CommitOperationAdd(name, path) for name, path in files.items()]
    gone = earlier_files(api, target, standing, token) - files.keys()
    done = api.create_commit(
        target.repo_id,
        [*additions, marker, *(CommitOperationDelete(name) for name in sorted(gone))],
        commit_message=message,
        token=token,
        repo_type=target.kind,
        parent_commit=standing.sha,
    )
    return done.oid


def _made(api: "HfApi", target: Target, token: str) -> Standing:
    """The repository, made now and still empty."""
    api.create_repo(
        target.repo_id,
        token=token,
        repo_type=target.kind,
        private=not target.public,
        exist_ok=True,
        space_sdk="static" if target.kind == "space" else None,
    )
    standing = look(api, target, token)
    assert standing is not None  # it has just been made
    return standing


def file_sha256(path: Path) -> str:
    """The hash by which the Hub knows a large file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
