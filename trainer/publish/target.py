"""`Target`: the repository that something is published in, how it stands now, and its marker.

A repository that was published from here carries `lrlab.json`: its own name, and the names and
hashes of the files of that publication. One without it that anybody has changed since the Hub made
it is somebody's work, and is left alone.
"""

import json
import re
import tempfile
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import HubError
from trainer.hub_client import parse_hub_name, quiet_progress

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MARKER = "lrlab.json"
KINDS = ("model", "dataset", "space")
_MAX_MARKER_BYTES = 1_000_000
_GITS_OWN = ".gitattributes"
_SEEDED = {_GITS_OWN, "README.md", "index.html", "style.css"}
"""What the Hub itself puts into a new repository; the last two into a static Space. Somebody's own
small site has the same names, but further commits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    repo_id: str
    """`owner/name`."""
    kind: str = "model"
    """One of KINDS."""
    public: bool = False

    @property
    def path(self) -> str:
        """The repository's address below the Hub's."""
        return self.repo_id if self.kind == "model" else f"{self.kind}s/{self.repo_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A repository that exists, as it was found."""

    sha: str
    """Its newest commit."""
    public: bool
    files: frozenset[str]
    untouched: bool
    """Whether it holds nothing but what the Hub put there when it was made."""
    marker_bytes: int = 0
    """Size of its marker; 0: it has none."""

    @property
    def ours(self) -> bool:
        """Whether it was published from here, or holds nothing yet."""
        return MARKER in self.files or self.untouched


def check_id(repo_id: str) -> None:
    """Refuse what is not `owner/name`.

    Raises:
        HubError: it is not.
    """
    name = parse_hub_name(repo_id)
    if name is None or name.revision or repo_id.endswith((".git", ".ipynb")):
        raise HubError(
            f"{repo_id[:100]!r} is not an id on the Hub. It looks like owner/name, with your user "
            "name or your organization as owner, in ASCII letters, digits and . _ -"
        )


def suggested_name(*words: str) -> str:
    """A repository's name made of some words: `digits-tf_efficientnet_lite0`."""
    joined = "-".join(re.sub(r"[^A-Za-z0-9_.]+", "-", word) for word in words)
    return re.sub(r"-{2,}|\.{2,}", "-", joined)[:80].strip("-.") or "model"


def look(api: "HfApi", target: Target, token: str) -> Standing | None:
    """The repository as it stands; none where there is none that this login may see."""
    from huggingface_hub.errors import RepositoryNotFoundError

    about = {"model": api.model_info, "dataset": api.dataset_info, "space": api.space_info}
    try:
        info = about[target.kind](target.repo_id, token=token, timeout=10, files_metadata=True)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:
            api.whoami(token)  # an expired login is told the same as a missing repository
        return None
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
    return Standing(
        sha=info.sha or "",
        public=not info.private,
        files=frozenset(sizes),
        untouched=_is_untouched(api, target, sizes.keys(), sha=info.sha, token=token),
        marker_bytes=sizes.get(MARKER, 0),
    )


def _is_untouched(
    api: "HfApi", target: Target, files: Set[str], *, sha: str | None, token: str
) -> bool:
    """Whether nobody has put anything into a repository; its commits are asked for only where its
    files do not tell."""
    if files <= {_GITS_OWN}:
        return True
    if not files <= _SEEDED:
        return False
    commits = api.list_repo_commits(
        target.repo_id, repo_type=target.kind, token=token, revision=sha
    )
    return len(commits) == 1


def refuse(target: Target, standing: Standing) -> None:
    """Refuse to publish into a repository that is somebody's work, or visible to others than asked.

    Raises:
        HubError: it is.
    """
    if standing.public != target.public:
        state, option = ("public", "with") if standing.public else ("private", "without")
        raise HubError(
            f"{target.repo_id} exists already and is {state}. Push {option} --public, choose "
            "another name, or change it in the settings of its page."
        )
    if not standing.ours:
        told = sorted(standing.files - {_GITS_OWN}, key=lambda name: (name in _SEEDED, name))[:3]
        raise HubError(
            f"{target.repo_id} exists already and was not published from here: it holds "
            f"{', '.join(told)}. Choose another name, so that nothing of it is lost."
        )


def marker_text(target: Target, hashes: Mapping[str, str]) -> str:
    """The marker of a publication: where it went, and the SHA-256 of each of its files."""
    made = {"made_with": "LR Lab", "repo": target.path, "sha256": dict(sorted(hashes.items()))}
    return json.dumps(made, indent=1)


def earlier_files(api: "HfApi", target: Target, standing: Standing, token: str) -> frozenset[str]:
    """The files of the publication before this one that are still there.

    None where the marker is no marker, or another repository's: then nothing is known to be ours.
    """
    if not 0 < standing.marker_bytes <= _MAX_MARKER_BYTES:
        return frozenset()
    with tempfile.TemporaryDirectory(prefix="lrlab-marker-") as folder:
        path = api.hf_hub_download(
            target.repo_id,
            MARKER,
            repo_type=target.kind,
            revision=standing.sha,
            local_dir=folder,
            token=token,
            tqdm_class=quiet_progress(),
        )
        return _named_files(Path(path).read_bytes(), target) & (standing.files - {_GITS_OWN})


def _named_files(marker: bytes, target: Target) -> frozenset[str]:
    """The files that a marker of this repository names; a file of that name may hold anything."""
    try:
        made = json.loads(marker)
        return frozenset(map(str, made["sha256"])) if made["repo"] == target.path else frozenset()
    except (ValueError, KeyError, TypeError, RecursionError):
        return frozenset()
