"""`Data`: class names, the train, valid and test pictures, and where they came from.

A picture is its bytes, read when needed, and a label; nothing here decodes. The sources are
`digits`, `folder`, `archive` and `hub_dataset`; each yields the same `Data`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name for people, its label, and how to read its encoded bytes."""

    name: str
    """Where it is in its dataset, for people: `train/cats/cat.1.jpg` or `train[17]`."""
    label: int
    """Index into `Data.class_names`."""
    read: Callable[[], bytes] = field(repr=False, compare=False)
    """Returns the encoded bytes (PNG, JPEG, …); may raise OSError."""
    stamp: str = ""
    """Changes when the bytes change (size and mtime of a file, row and commit of a Hub row)."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or row that is not used, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Split:
    """The pictures of one split, in a fixed order."""

    name: str
    """`train`, `valid` or `test`."""
    pictures: tuple[Picture, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """One label a picture."""
        return tuple(picture.label for picture in self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where the pictures came from, enough to get the same ones again."""

    dataset_id: str
    """As the person gave it: `digits`, a path's last name, `owner/name`."""
    kind: str
    """`builtin`, `folder`, `zip` or `hub`."""
    revision: str | None = None
    """Commit of a Hub dataset."""
    split_rule: str = ""
    """How train and valid were told apart, in words."""
    licence: str | None = None
    """The dataset's licence where it states one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """A labelled picture dataset, split and ready to be decoded."""

    class_names: tuple[str, ...]
    train: Split
    valid: Split
    test: Split | None = None
    provenance: Provenance
    skipped: tuple[Skipped, ...] = ()
    """What the source left out before any picture was decoded (not a picture, too large, …)."""
    kept: Path | None = None
    """The folder in our cache that the pictures lie in, if they do; whoever uses them for long
    touches it."""

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that exist, in the order train, valid, test."""
        return (self.train, self.valid) + ((self.test,) if self.test else ())

    @property
    def digest(self) -> str:
        """SHA-256 of the class names, and of the training and validation pictures in their order,
        each by its name and its label: a training in its middle can go on with these alone."""
        splits = [[(p.name, p.label) for p in part.pictures] for part in (self.train, self.valid)]
        return hashlib.sha256(json.dumps([self.class_names, splits]).encode()).hexdigest()

    @property
    def stamps_digest(self) -> str:
        """SHA-256 of the same pictures' stamps: it may change although no picture has, as when a
        folder is copied."""
        stamps = [[p.stamp for p in part.pictures] for part in (self.train, self.valid)]
        return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
