"""A zip of class folders, unpacked once into the cache under the hash of its bytes.

The unpacked folder appears whole or not at all: it is filled under another name and then moved,
so what a killed process leaves is never taken for a dataset.
"""

import hashlib
import io
import shutil
import time
import zipfile
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from trainer.data.cache import cache_root, read_json, temporary_sibling, write_json
from trainer.data.dataset import Data, Picture, Skipped, Split
from trainer.data.folder import load_folder
from trainer.data.names import megabytes, printable
from trainer.data.room import ensure_room, touch
from trainer.data.zip_plan import ZipPlan, plan, refuse_size, too_many_entries
from trainer.errors import DatasetError
from trainer.limits import Limits

_UNPACK_VERSION = "1"
"""Raise it when the same zip would be unpacked under other names."""

_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # a packing or a version of the format that nobody knows
    UnicodeDecodeError,  # a name that says it is UTF-8
)
_CHUNK = 1 << 20
_STALE_SECONDS = 3600
_ENTRY_SIGNATURE = b"PK\x01\x02"
_MAX_LINE_BYTES = 266
"""Of a zip's table of contents, for each of the entries that are allowed: a name of 200 letters."""


class _BoundedFile(io.BufferedReader):
    """A zip's file that hands out no piece larger than a table of contents may be.

    `ZipFile` reads that table in one piece, as large as the zip says, and then takes it apart. All
    its other pieces are small. Asked here, what it reads is what is limited; a reader of our own
    might find another table than it does.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(io.FileIO(path))
        self._limit = max(_CHUNK, _MAX_LINE_BYTES * limits.max_archive_entries)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._limit:
            raise DatasetError(
                f"The zip has a table of contents of {megabytes(size)}; the limit is "
                f"{megabytes(self._limit)}. Make a new zip of the pictures, without comments."
            )
        return super().read(size)


def load_archive(path: Path, *, valid_fraction: float, split_seed: int, limits: Limits) -> Data:
    """Read a zip of class folders, with or without train, valid and test folders.

    Raises:
        DatasetError: the zip is damaged, hostile or too large, or its folders cannot be used.
        ConfigError: `valid_fraction` is not between 0 and 1.
    """
    digest = _check_and_hash(path, limits)
    folder, skipped = _unpacked(path, digest, limits)
    title = printable(path.name)
    data = load_folder(
        folder, valid_fraction=valid_fraction, split_seed=split_seed, limits=limits, title=title
    )
    return replace(
        data,
        train=_stamped(data.train, digest),
        valid=_stamped(data.valid, digest),
        test=_stamped(data.test, digest) if data.test else None,
        provenance=replace(data.provenance, kind="zip"),
        kept=folder.parent,
        skipped=tuple(sorted(skipped + data.skipped, key=lambda each: each.name)),
    )


def _stamped(split: Split, digest: str) -> Split:
    # The unpacked files' times differ from machine to machine; the zip's hash does not.
    return Split(
        split.name, tuple(Picture(p.name, p.label, p.read, digest[:32]) for p in split.pictures)
    )


def _check_and_hash(path: Path, limits: Limits) -> str:
    """Hash the zip, counting its entries on the way.

    `ZipFile` builds an object for every entry before it can be asked how many there are. Each
    entry has its signature somewhere in the file, so their number is a safe upper bound.
    """
    size = path.stat().st_size
    if size > limits.max_archive_bytes:
        raise DatasetError(
            f"The zip has {megabytes(size)}; the limit is {megabytes(limits.max_archive_bytes)}. "
            "Use fewer or smaller pictures."
        )
    digest = hashlib.sha256(_UNPACK_VERSION.encode())
    num_entries = 0
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            num_entries += (tail + chunk).count(_ENTRY_SIGNATURE)
            tail = chunk[-3:]
    if num_entries > limits.max_archive_entries:
        raise too_many_entries(num_entries, limits)
    return digest.hexdigest()


def _unpacked(path: Path, digest: str, limits: Limits) -> tuple[Path, tuple[Skipped, ...]]:
    """The folder with the zip's pictures, from the cache where it is there and complete."""
    home = cache_root() / "zips" / digest[:32]
    touch(home)
    skipped = _trusted(home)
    if skipped is None:
        try:
            _unpack_into(home, path, limits)
        except _DAMAGES as error:
            raise DatasetError(
                f"{printable(path.name)!r} is not a zip, or is damaged ({error}). Make the zip "
                "again, or upload it again."
            ) from error
        except OSError as error:
            raise DatasetError(
                f"{printable(path.name)!r} could not be unpacked ({error.strerror or error}). "
                "Make room, or set LRLAB_CACHE to another folder."
            ) from error
        skipped = _trusted(home)
    if skipped is None:
        raise DatasetError(f"The unpacked pictures of {path.name!r} changed while they were read.")
    return home / "pictures", skipped


def _trusted(home: Path) -> tuple[Skipped, ...] | None:
    """What was left out of a complete unpacked folder; None where it is missing or was changed."""
    manifest = read_json(home / "manifest.json")
    if manifest is None:
        return None
    for name, size in manifest["files"].items():
        try:
            if (home / "pictures" / name).stat().st_size != size:
                return None
        except OSError:
            return None
    return tuple(Skipped(name, reason) for name, reason in manifest["skipped"])


def _unpack_into(home: Path, path: Path, limits: Limits) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    _sweep(home.parent)
    temporary = temporary_sibling(home)
    try:
        with _BoundedFile(path, limits) as file, zipfile.ZipFile(file) as archive:
            size = path.stat().st_size
            chosen = plan(archive.infolist(), archive_bytes=size, limits=limits)
            unpacked = sum(info.file_size for info, _ in chosen.files)
            ensure_room(unpacked, f"the pictures of {printable(path.name)!r}", limits)
            (temporary / "pictures").mkdir(parents=True)
            sizes = _write(archive, chosen, temporary / "pictures", size, limits)
        skipped = [[each.name, each.reason] for each in chosen.skipped]
        write_json(temporary / "manifest.json", {"files": sizes, "skipped": skipped})
        if home.exists() and _trusted(home) is None:
            shutil.rmtree(home)
        try:
            temporary.replace(home)
        except OSError:
            if not home.exists():  # otherwise another process was first, with the same pictures
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(
    archive: zipfile.ZipFile, chosen: ZipPlan, folder: Path, archive_bytes: int, limits: Limits
) -> dict[str, int]:
    """Stream the chosen entries out, counting what really comes; return each file's size."""
    sizes: dict[str, int] = {}
    total = 0
    for parent in {PurePosixPath(target).parent for _, target in chosen.files}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for info, target in chosen.files:
        before = total
        # "x": never write through something that is there already, a link least of all.
        with archive.open(info) as source, (folder / target).open("xb") as file:
            while chunk := source.read(_CHUNK):
                total += len(chunk)
                refuse_size(total, archive_bytes=archive_bytes, limits=limits)
                file.write(chunk)
        sizes[target] = total - before
    return sizes


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half unpacked more than an hour ago."""
    for path in folder.glob(".*"):
        with suppress(OSError):  # its process may be moving it into place just now
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
