"""What to unpack from a zip, and under which names: decided before a byte is unpacked.

Not covered: tar, 7z and rar; folders that a zip names without putting a file into them.
"""

import hashlib
import re
import stat
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from pathlib import PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipInfo

from trainer.data.dataset import Skipped
from trainer.data.names import (
    ARCHIVE_SUFFIXES,
    is_litter,
    is_picture_name,
    megabytes,
    printable,
)
from trainer.errors import DatasetError
from trainer.limits import Limits

MAX_NAME_BYTES = 200
"""Longest name of one file or folder; file systems stop at 255, some encrypted ones earlier."""

_HEADER_BYTES = 30
"""Before an entry's name and its packed bytes."""

RATIO_FREE_BYTES = 1_000_000
"""Below this unpacked size the ratio does not matter: plain BMP pictures pack 1:1000."""


@dataclass(frozen=True, slots=True)
class ZipPlan:
    """The entries to unpack with their safe relative paths, and what is left out."""

    files: tuple[tuple[ZipInfo, str], ...]
    skipped: tuple[Skipped, ...]


def plan(infos: list[ZipInfo], *, archive_bytes: int, limits: Limits) -> ZipPlan:
    """Choose the pictures of a zip and give each a safe path of its own.

    Raises:
        DatasetError: the zip is encrypted, hostile or too large; nothing of it is to be unpacked.
        BadZipFile: an entry lies outside the zip.
    """
    if len(infos) > limits.max_archive_entries:
        raise too_many_entries(len(infos), limits)
    _refuse_places(infos, archive_bytes)
    chosen: list[ZipInfo] = []
    left_out: list[tuple[ZipInfo, str]] = []
    for info in infos:
        parts = _safe_parts(info)
        if not parts or info.is_dir() or any(is_litter(part) for part in parts):
            continue
        _refuse_entry(info, parts, limits)
        reason = _reason_to_skip(info, parts[-1], limits)
        if reason:
            left_out.append((info, reason))
        else:
            chosen.append(info)
    unpacked = sum(info.file_size for info in chosen)
    refuse_size(unpacked, archive_bytes=archive_bytes, limits=limits)
    # Named only now: to refuse a hostile zip is not to cost what a good one may.
    taken: dict[str, int] = {}
    return ZipPlan(
        files=tuple(
            (info, _distinct([_clean(part) for part in _safe_parts(info)], taken))
            for info in chosen
        ),
        skipped=tuple(
            Skipped(printable("/".join(_safe_parts(info))), reason) for info, reason in left_out
        ),
    )


def refuse_size(unpacked: int, *, archive_bytes: int, limits: Limits) -> None:
    """Refuse a zip whose pictures are, or turn out while unpacking, too large.

    Raises:
        DatasetError: over `max_unpacked_bytes` or `max_archive_ratio`.
    """
    if unpacked > limits.max_unpacked_bytes:
        raise DatasetError(
            f"The zip unpacks to more than {megabytes(limits.max_unpacked_bytes)}, which is the "
            "limit. Use fewer or smaller pictures."
        )
    ratio = unpacked / max(archive_bytes, 1)
    if unpacked > RATIO_FREE_BYTES and ratio > limits.max_archive_ratio:
        raise DatasetError(
            f"The zip unpacks to {ratio:,.0f} times its size or more; the limit is "
            f"{limits.max_archive_ratio}, for photos do not pack that well. Make a new zip of the "
            "pictures."
        )


def too_many_entries(num_entries: int, limits: Limits) -> DatasetError:
    """The error for a zip with more entries than the limits allow."""
    return DatasetError(
        f"The zip has {num_entries:,} entries; the limit is {limits.max_archive_entries:,}. "
        "Use fewer pictures."
    )


def _safe_parts(info: ZipInfo) -> list[str]:
    """The folders and the name of an entry, refusing those that lead out of the zip's folder."""
    name = _decoded(info).replace("\\", "/")  # some Windows programs write backslashes
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in parts:
        raise DatasetError(
            f"The zip holds {printable(name)!r}, a path that leads outside the zip's own folder. "
            "Such a zip is not unpacked; make a new one from the folder of pictures."
        )
    return parts


def _decoded(info: ZipInfo) -> str:
    """The entry's name, in UTF-8 also where the zip forgot to say so, as macOS does."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except ValueError:
        return info.filename


def _refuse_places(infos: list[ZipInfo], archive_bytes: int) -> None:
    """Entries that overlap, many names for the same bytes (Python's older releases read them all),
    or that lie where no file can be read."""
    placed = sorted(infos, key=attrgetter("header_offset"))
    if any(_end(info) > following.header_offset for info, following in pairwise(placed)):
        raise DatasetError(
            "The zip's entries overlap: several stand for the same bytes. Such a zip is not "
            "unpacked; make a new one from the folder of pictures."
        )
    if placed and (placed[0].header_offset < 0 or _end(placed[-1]) > archive_bytes):
        raise BadZipFile("an entry lies outside the file")


def _end(info: ZipInfo) -> int:
    return info.header_offset + _HEADER_BYTES + info.compress_size


def _refuse_entry(info: ZipInfo, parts: list[str], limits: Limits) -> None:
    shown = printable("/".join(parts))
    if info.flag_bits & 0x1:
        raise DatasetError(
            f"The zip is encrypted ({shown} asks for a password). Make one without a password."
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "a special file"
        raise DatasetError(
            f"The zip holds {what} ({shown}). Make a new zip that holds the pictures themselves."
        )
    if len(parts) - 1 > limits.max_depth:
        raise DatasetError(
            f"The zip holds {shown}, {len(parts) - 1} folders deep; the limit is "
            f"{limits.max_depth}. Zip the folder that holds the class folders."
        )
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        # Python unpacks the others in one piece, however large, so that a limit comes too late.
        raise DatasetError(
            f"The zip packs {shown} with another method than Deflate. Make the zip with the "
            "usual settings."
        )


def _reason_to_skip(info: ZipInfo, name: str, limits: Limits) -> str:
    if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES:
        return "is an archive within the zip"
    if not is_picture_name(name):
        return "is not a picture"
    if info.file_size > limits.max_picture_bytes:
        limit = megabytes(limits.max_picture_bytes)
        return f"is too large ({megabytes(info.file_size)}; the limit is {limit})"
    return ""


def _clean(part: str) -> str:
    """One file or folder name that every file system takes."""
    part = unicodedata.normalize("NFC", part)
    part = part.encode("utf-8", "replace").decode("utf-8")
    part = "".join(char if char.isprintable() and char not in '<>:"|?*' else "_" for char in part)
    part = part.strip().rstrip(".") or "_"
    if len(part.encode()) <= MAX_NAME_BYTES:
        return part
    suffix = PurePosixPath(part).suffix if is_picture_name(part) else ""
    mark = "~" + hashlib.sha256(part.encode()).hexdigest()[:8] + suffix
    head = part.encode()[: MAX_NAME_BYTES - len(mark)].decode("utf-8", "ignore")
    return head + mark


def _distinct(parts: list[str], taken: dict[str, int]) -> str:
    """The path, numbered where another entry has it already when case does not count.

    Args:
        parts: folders and name.
        taken: the paths in use, each with the last number that was put to it; so many entries of
            one name are numbered in one pass.
    """
    whole = candidate = "/".join(parts)
    key = whole.casefold()
    while candidate.casefold() in taken:
        taken[key] += 1
        path = PurePosixPath(whole)
        candidate = str(path.with_name(f"{path.stem}~{taken[key]}{path.suffix}"))
    taken[candidate.casefold()] = 1
    return candidate
