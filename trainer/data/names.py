"""File names: which are pictures, which are litter, how they sort, and how they are shown.

Not covered: what is inside a file; `picture` decides that from its bytes.
"""

import re
from pathlib import PurePath

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
)
ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})

# What file managers leave behind. It is never anybody's data, so it is not even reported.
_LITTER = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"}
)


def is_litter(name: str) -> bool:
    """Tell whether a file or folder of that name is hidden or left by a file manager."""
    return name.startswith(".") or name.casefold() in _LITTER


def is_picture_name(name: str) -> bool:
    """Tell whether the suffix is one of the pictures that are read here, in any case."""
    return PurePath(name).suffix.lower() in PICTURE_SUFFIXES


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key under which `2` comes before `10` and case does not matter."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple(_part_key(part) for part in parts if part), name


def _part_key(part: str) -> tuple[int, int, str]:
    """A number by how many digits it has and then by these: `int` takes 4,300 of them at most."""
    if not part.isdecimal():
        return 1, 0, part
    digits = part.lstrip("0")
    return 0, len(digits), digits


def printable(name: str) -> str:
    """The name with undecodable bytes and control characters escaped, so that it can be shown.

    A Linux file name may hold any byte; Python keeps bad ones as lone surrogates, which neither
    JSON in UTF-8 nor a browser takes.
    """
    if name.isprintable():  # as nearly all are; a lone surrogate is not
        return name
    whole = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in whole
    )


def megabytes(num_bytes: int) -> str:
    """A size for people, rounded up so that a limit that was passed never reads as kept."""
    return f"{-(-num_bytes // 100_000) / 10:,.1f}".removesuffix(".0") + " MB"


_COMMIT = re.compile(r"@[0-9a-f]{40}$")


def title_of(dataset: str) -> str:
    """What people call a dataset: its id without a commit, or the last name of its path and nothing
    before it."""
    name = _COMMIT.sub("", dataset.removeprefix("hf://datasets/"))
    return PurePath(name).name if name.startswith(("/", ".", "~")) else name
