"""`Check`: what a look at every picture of a dataset found, as plain values."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, Literal

from trainer.data.dataset import Data, Skipped
from trainer.data.picture import DECODER_VERSION


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing about a dataset."""

    level: Literal["info", "warning", "error"]
    """`error`: training cannot work; `warning`: it works, but the numbers may mislead."""
    text: str
    """What was seen and what to do about it."""
    named: str = ""
    """The part of `text` that names pictures, which is not published."""


@dataclass(frozen=True, slots=True)
class Twin:
    """One of several pictures whose decoded pixels are identical."""

    split: str
    name: str
    label: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """The facts about a dataset's pictures, and the findings drawn from them."""

    fingerprint: str
    """`fingerprint` of the data that was checked."""
    class_names: tuple[str, ...]
    counts: tuple[tuple[str, tuple[int, ...]], ...]
    """(split, usable pictures of each class), in the order train, valid, test."""
    widths: tuple[int, int, int]
    """Smallest, median and largest width of the usable pictures, in pixels."""
    heights: tuple[int, int, int]
    """Smallest, median and largest height of the usable pictures, in pixels."""
    tiny_share: float
    """Share of the usable pictures whose short side is under 32 pixels, 0–1."""
    failed: tuple[Skipped, ...]
    """Pictures that cannot be decoded."""
    skipped: tuple[Skipped, ...]
    """All that is left out: what the source left out, then `failed`."""
    identical: tuple[tuple[Twin, ...], ...]
    """Groups of two or more identical pictures, within a split or across splits."""
    findings: tuple[Finding, ...] = ()

    @property
    def num_pictures(self) -> int:
        """Usable pictures in all splits."""
        return sum(sum(counts) for _, counts in self.counts)

    @property
    def failed_share(self) -> float:
        """Share of the pictures that cannot be decoded, 0–1."""
        total = self.num_pictures + len(self.failed)
        return len(self.failed) / total if total else 0.0

    @property
    def leaked(self) -> tuple[tuple[Twin, ...], ...]:
        """The groups with a picture in train and the same picture in valid or test."""
        splits = [{twin.split for twin in group} for group in self.identical]
        return tuple(
            group
            for group, names in zip(self.identical, splits, strict=True)
            if "train" in names and len(names) > 1
        )

    @property
    def contradictory(self) -> tuple[tuple[Twin, ...], ...]:
        """The groups in which the same picture has different labels."""
        return tuple(g for g in self.identical if len({twin.label for twin in g}) > 1)

    @property
    def imbalance(self) -> float:
        """Pictures of the largest class in train over those of the smallest; 0 if one is empty."""
        train = self.counts[0][1]
        return max(train) / min(train) if min(train) else 0.0

    def to_dict(self) -> dict[str, Any]:
        """All fields as values that JSON takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Check":
        """The check that `to_dict` wrote, also after a trip through JSON.

        Raises:
            KeyError, TypeError, ValueError: the values are not those of a check.
        """
        widths, heights = (
            tuple(int(side) for side in values[key]) for key in ("widths", "heights")
        )
        if len(widths) != 3 or len(heights) != 3:
            raise ValueError("widths and heights have three values each")
        return cls(
            fingerprint=values["fingerprint"],
            class_names=tuple(values["class_names"]),
            counts=tuple((name, tuple(counts)) for name, counts in values["counts"]),
            widths=widths,
            heights=heights,
            tiny_share=float(values["tiny_share"]),
            failed=tuple(Skipped(**each) for each in values["failed"]),
            skipped=tuple(Skipped(**each) for each in values["skipped"]),
            identical=tuple(tuple(Twin(**t) for t in group) for group in values["identical"]),
            findings=tuple(Finding(**each) for each in values["findings"]),
        )


def fingerprint(data: Data) -> str:
    """SHA-256 over class names, splits, names, labels and stamps, and over the decoder's version.

    It changes when a picture comes, goes, moves, changes its label or its bytes, or may decode to
    other pixels. Nothing is read for it: it trusts the stamps.
    """
    digest = hashlib.sha256()

    def add(*values: object) -> None:
        # Each value with its length, so that ("ab", "c") and ("a", "bc") differ.
        for value in values:
            encoded = str(value).encode("utf-8", "backslashreplace")
            digest.update(b"%d:%b" % (len(encoded), encoded))

    add(DECODER_VERSION, len(data.class_names), *data.class_names)
    for split in data.splits:
        add(split.name, len(split))
        for picture in split.pictures:
            add(picture.name, picture.label, picture.stamp)
    return digest.hexdigest()
