"""`Repo`: one repository of the Hub emulator, and how the Hub describes it in JSON.

Not covered: discussions, and the fields of the answers that no client uses.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

_VALUES = json.loads((Path(__file__).parent / "data" / "hub_values.json").read_text())
LFS_SUFFIXES = tuple(_VALUES["lfs_suffixes"])
"""Files that the emulator keeps in LFS, as the real Hub's .gitattributes has it."""
MAX_REGULAR_BYTES = 10 * 2**20
"""Larger files go to LFS, whatever their name."""
_DATE = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a commit's author wrote about it, and what it stands on."""

    parent: str | None = None
    title: str = "a commit"
    message: str = ""
    author: str = "system"


@dataclass(kw_only=True)
class Repo:
    """One repository: its commits (oldest first) and what `refs` point to."""

    kind: str
    """`models`, `datasets` or `spaces`."""
    repo_id: str
    sdk: str | None = None
    """Of a Space."""
    creator: str = ""
    """The user who made it; empty: its owner."""
    app: str = ""
    """The OAuth app that it was made through; empty: none."""
    private: bool = False
    gated: bool = False
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    log: dict[str, Said] = field(default_factory=dict)
    """Commit to what was said of it."""
    lfs: dict[str, bytes] = field(default_factory=dict)
    """SHA-256 to content that was uploaded, whether a commit names it or not."""
    tampered: dict[str, bytes] = field(default_factory=dict)
    """What is sent in place of an LFS file: its SHA-256 to other bytes."""

    @property
    def owner(self) -> str:
        """The user or organization that it belongs to."""
        return self.repo_id.split("/")[0]

    def commit(self, files: Mapping[str, bytes | str | None], ref: str = "main") -> str:
        """Add or replace files (None deletes) on `ref`; returns the new commit's sha."""
        tree = dict(self.commits.get(self.refs.get(ref, ""), {}))
        for path, content in files.items():
            if content is None:
                tree.pop(path, None)
            else:
                tree[path] = content.encode() if isinstance(content, str) else content
        seed = f"{self.kind}/{self.repo_id}/{ref}/{len(self.commits)}"
        sha = hashlib.sha1(seed.encode()).hexdigest()
        self.log[sha] = Said(parent=self.refs.get(ref))
        self.commits[sha] = tree
        self.refs[ref] = sha
        return sha

    def history(self, sha: str) -> list[str]:
        """The commit and those before it, newest first."""
        found, above = [sha], self.log[sha].parent
        while above:
            found.append(above)
            above = self.log[above].parent
        return found

    def resolve(self, revision: str) -> str | None:
        """The sha of a branch, tag or sha; None where there is none."""
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    def card(self, sha: str) -> dict:
        """The YAML block of README.md, as the Hub shows it in `cardData`."""
        parts = self.commits[sha].get("README.md", b"").decode().split("---\n")
        return (yaml.safe_load(parts[1]) or {}) if len(parts) >= 3 and not parts[0] else {}


def is_lfs(path: str, content: bytes) -> bool:
    """Whether the Hub keeps this file in LFS: by its name, its size, or as not being text."""
    large = path.endswith(LFS_SUFFIXES) or len(content) > MAX_REGULAR_BYTES
    return bool(content) and (large or b"\0" in content[:8000])


def matches(repo: Repo, query: Mapping[str, list[str]]) -> bool:
    """Whether a search finds this repository: name, author, every filter, pipeline tag."""
    tags = {*repo.tags, repo.pipeline_tag}
    wanted = [tag for name in ("filter", "pipeline_tag") for tag in query.get(name, [])]
    author = query.get("author", [repo.owner])[0]
    return (
        not repo.private
        and all(word.lower() in repo.repo_id.lower() for word in query.get("search", []))
        and repo.repo_id.startswith(f"{author}/")
        and all(part in tags for tag in wanted for part in tag.split(","))
    )


def info(repo: Repo, sha: str, *, files: bool = True, blobs: bool = False) -> dict:
    """The description of a repository at a commit."""
    described = {
        "_id": hashlib.sha1(repo.repo_id.encode()).hexdigest()[:24],
        "id": repo.repo_id,
        "author": repo.owner,
        "sha": sha,
        "lastModified": _DATE,
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "downloads": repo.downloads,
        "likes": repo.likes,
        "tags": list(repo.tags),
        "cardData": repo.card(sha),
    }
    if repo.kind == "models":
        described |= {"modelId": repo.repo_id, "pipeline_tag": repo.pipeline_tag}
    if repo.kind == "spaces":
        stage = "RUNNING" if repo.sdk == "static" else "BUILDING"
        subdomain = repo.repo_id.replace("/", "-").lower()
        described |= {"sdk": repo.sdk, "subdomain": subdomain, "runtime": {"stage": stage}}
    if files:
        described["siblings"] = [
            {"rfilename": path} | (blob(path, content) if blobs else {})
            for path, content in sorted(repo.commits[sha].items())
        ]
    return described


def history(repo: Repo, sha: str) -> list[dict]:
    """The commits up to this one, newest first."""
    return [
        {
            "id": one,
            "title": repo.log[one].title,
            "message": repo.log[one].message,
            "authors": [{"user": repo.log[one].author, "avatar": ""}],
            "date": _DATE,
        }
        for one in repo.history(sha)
    ]


def blob(path: str, content: bytes) -> dict:
    """Size and names of a file's content, as the description of a repository has them."""
    facts = {"size": len(content), "blobId": blob_id(content)}
    if path.endswith(LFS_SUFFIXES):
        oid = hashlib.sha256(content).hexdigest()
        facts["lfs"] = {"sha256": oid, "size": len(content), "pointerSize": 130}
    return facts


def listing(repo: Repo, sha: str, folder: str, recursive: bool) -> list[dict]:
    """The tree's entries under a folder, folders included, sorted by path."""
    prefix = f"{folder}/" if folder else ""
    entries: dict[str, dict] = {}
    for path, content in repo.commits[sha].items():
        if not path.startswith(prefix):
            continue
        parts = path.removeprefix(prefix).split("/")
        for depth in range(1, len(parts)):
            above = prefix + "/".join(parts[:depth])
            if recursive or depth == 1:
                entries[above] = {"type": "directory", "path": above, "oid": sha, "size": 0}
        if recursive or len(parts) == 1:
            entries[path] = file_entry(path, content)
    return [entries[path] for path in sorted(entries)]


def file_entry(path: str, content: bytes) -> dict:
    """One file of the tree, with its LFS pointer where it has one."""
    entry = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
    if is_lfs(path, content):
        oid = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return entry


def blob_id(content: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
