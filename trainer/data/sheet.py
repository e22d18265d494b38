"""Thumbnails of some pictures with their labels, for people to look at: small JPEGs in a folder."""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import ImageOps

from trainer.data.dataset import Picture
from trainer.data.picture import decode
from trainer.errors import PictureError

SIDE = 144
"""Pixels of a thumbnail's side."""

WHOLE = 640
"""Longest side of a picture that is kept whole, as an example to predict."""

Row = tuple[Path, str, str]
"""A picture's file, its caption (the class) and the name that it had."""


def write_sheet(
    pictures: Iterable[tuple[str, Picture]], folder: Path, *, whole: bool = False
) -> None:
    """Write square `0.jpg`, `1.jpg`, … and `sheet.json`: a list of [file, caption, picture's name].

    Pictures that cannot be read are left out; the check reports them elsewhere. With `whole` they
    are PNGs of the whole picture instead, unchanged up to WHOLE pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for caption, picture in pictures:
        with suppress(PictureError, OSError):
            image = decode(picture.read())
            name = f"{len(rows)}.{'png' if whole else 'jpg'}"
            if whole:
                image.thumbnail((WHOLE, WHOLE))
                image.save(folder / name)
            else:
                ImageOps.fit(image, (SIDE, SIDE)).save(folder / name, quality=85)
            rows.append([name, caption, picture.name])
    (folder / "sheet.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def evenly(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many rows from the whole length of a sheet, which goes class by class."""
    num = min(most, len(rows))
    return [rows[index * len(rows) // num] for index in range(num)]


def read_sheet(folder: Path) -> list[Row]:
    """The sheet's (file, caption, picture's name); empty where there is none."""
    try:
        rows = json.loads((folder / "sheet.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [(folder / name, caption, original) for name, caption, original in rows]
