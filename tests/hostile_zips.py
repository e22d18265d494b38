"""Forty hostile or odd archives, and what reading them costs: run as a child process.

`LRLAB_CACHE=… python tests/hostile_zips.py FOLDER` prints JSON: for each archive how it ended, how
long it took, and by how much a process that reads it alone grew at its peak.
"""

import io
import json
import stat
import struct
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from memory import peak_bytes
from pictures import png
from trainer.data import load_data
from trainer.errors import DatasetError
from trainer.limits import Limits

NAMES = [f"{c}/{i}.png" for c in ("cats", "dogs") for i in range(4)]
Extra = dict[str, bytes]


def zipped(extra: Extra | None = None, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of eight good pictures with something added."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, name in enumerate(NAMES):
            archive.writestr(name, png(number))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


def _special(kind: int, target: str = "/etc", name: str = "cats/link") -> bytes:
    out = io.BytesIO(zipped())
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(info, target)
        archive.writestr(f"{name}/through.png", png())
    return out.getvalue()


def _overlapping() -> bytes:
    data = zipped({"cats/00.png": b"\0" * 9_000_000})
    start, end = data.rindex(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[start:end].replace(b"00.png", b"%02d.png" % i) for i in range(90))
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, 90, 90, len(entries), start)
    return data[:start] + entries + tail


def _lying() -> bytes:
    data = zipped({"cats/zz.png": b"\0" * 15_000_000})
    return data.replace(struct.pack("<I", 15_000_000), struct.pack("<I", 1000))


def _encrypted() -> bytes:
    data = bytearray(zipped())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def _crowded(num_entries: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number in range(num_entries):
            archive.writestr(f"cats/{number}.png", b"")
    return out.getvalue()


def _near_the_limit() -> bytes:
    """As many entries as are taken, the last of which is seen to lead outside after all others."""
    data = _crowded(Limits().max_archive_entries)
    last = data.rindex(b"cats/")
    return data[:last] + b"../s/" + data[last + 5 :]


def _declared(num_entries: int, num_bytes: int) -> bytes:
    """Empty entries, each of which is said to unpack to so many bytes."""
    data = bytearray(_crowded(num_entries))
    at = data.index(b"PK\1\2")
    for _ in range(num_entries):
        struct.pack_into("<I", data, at + 24, num_bytes)
        at += 46 + sum(struct.unpack_from("<3H", data, at + 28))
    return bytes(data)


def commented(num_entries: int) -> bytes:
    """A good zip with a table of contents of 64 kB an entry."""
    out = io.BytesIO(zipped())
    with zipfile.ZipFile(out, "a") as archive:
        for number in range(num_entries):
            info = zipfile.ZipInfo(f"cats/{number}.txt")
            info.comment = b"c" * 65_535
            archive.writestr(info, b"")
    return out.getvalue()


def as_zip64(data: bytes) -> bytes:
    """The same zip with the size and place of its table of contents written in 64 bits."""
    at = len(data) - 22
    count, size, start = struct.unpack_from("<8xHHII", data, at)[1:]
    end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
    old = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return data[:at] + end + locator + old


def beyond(offset: int) -> bytes:
    """A zip whose last entry says, in 64 bits, that it begins at that place."""
    data = bytearray(zipped())
    at, end = data.rindex(b"PK\1\2"), len(data) - 22
    struct.pack_into("<H", data, at + 30, 12)  # of extra fields
    struct.pack_into("<I", data, at + 42, 2**32 - 1)
    (size,) = struct.unpack_from("<I", data, end + 12)
    struct.pack_into("<I", data, end + 12, size + 12)
    return bytes(data[:end]) + struct.pack("<HHQ", 1, 8, offset) + bytes(data[end:])


def _twice() -> bytes:
    out = io.BytesIO(zipped())
    with zipfile.ZipFile(out, "a") as archive:
        archive.filename = None
        archive.NameToInfo.clear()  # otherwise zipfile warns of what is wanted here
        archive.writestr("cats/0.png", png(99))
    return out.getvalue()


def _tar(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name in ("cats/0.png", "../evil.png", "dev"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.CHRTYPE if name == "dev" else tarfile.REGTYPE
            archive.addfile(info, io.BytesIO())
    return out.getvalue()


UNPACKED = ("folders that differ in case", "no pictures")
"""Refused for what is in them, not for how they are packed: these are unpacked first."""

READ: dict[str, Callable[[], bytes]] = {
    "one name twice": _twice,
    "names of 255 bytes": lambda: zipped({f"cats/{'n' * 251}.png": png(50)}),
    "names that differ in case": lambda: zipped({"cats/0.PNG": png(50), "cats/0.Png": png(51)}),
    "litter of macOS": lambda: zipped({"__MACOSX/cats/._0.png": b"x", ".DS_Store": b"x"}),
    "control and bidi letters": lambda: zipped({"cats/\u202egnp.exe\x07.png": png(50)}),
    "names of Windows devices": lambda: zipped({"cats/CON.png": png(50), "cats/nul": png(51)}),
    "a zip in the zip": lambda: zipped({"cats/inner.zip": zipped()}),
    "something before the zip": lambda: b"#!/bin/sh\nexit\n" + zipped(),
    "markup in names": lambda: zipped(
        {f"<img src=x onerror=alert(1)>/{{{{7*{i}}}}}.png": png(50 + i) for i in range(4)}
    ),
}
REFUSED: dict[str, Callable[[], bytes]] = {
    "folders that differ in case": lambda: zipped({"Cats/0.png": png(50)}),
    "a path to the parent": lambda: zipped({"../evil.png": png()}),
    "a path through the parent": lambda: zipped({"cats/../../evil.png": png()}),
    "an absolute path": lambda: zipped({"/tmp/evil.png": png()}),
    "a drive": lambda: zipped({"C:/evil.png": png()}),
    "backslashes": lambda: zipped({"..\\..\\evil.png": png()}),
    "a server's path": lambda: zipped({"\\\\host\\share\\evil.png": png()}),
    "a link, and a file through it": lambda: _special(stat.S_IFLNK),
    "a pipe": lambda: _special(stat.S_IFIFO),
    "a character device": lambda: _special(stat.S_IFCHR),
    "a block device": lambda: _special(stat.S_IFBLK),
    "a socket": lambda: _special(stat.S_IFSOCK),
    "a bomb by ratio": lambda: zipped({"cats/bomb.png": b"\0" * 15_000_000}),
    "a bomb that overlaps itself": _overlapping,
    "a size that lies": _lying,
    "a password": _encrypted,
    "100,000 entries": lambda: _crowded(100_000),
    "60,000 entries, the last leads outside": _near_the_limit,
    "60,000 entries that declare 19 MB each": lambda: _declared(60_000, 19_000_000),
    "comments of 64 MB": lambda: commented(1_000),
    "comments of 64 MB, zip64": lambda: as_zip64(commented(1_000)),
    "a name that is no UTF-8": lambda: zipped({"cats/\u00e9\u00e9.png": png(50)}).replace(
        "\u00e9\u00e9".encode(), b"\xff\xff\xff\xff"
    ),
    "an entry beyond all files": lambda: beyond(2**64 - 1),
    "thirty folders deep": lambda: zipped({"d/" * 30 + "1.png": png()}),
    "bzip2": lambda: zipped({"cats/b.png": b"\0" * 100_000}, zipfile.ZIP_BZIP2),
    "cut off": lambda: zipped()[:-100],
    "a flipped bit": lambda: (data := zipped())[:60] + bytes([data[60] ^ 255]) + data[61:],
    "tar": lambda: _tar("w"),
    "tar.gz": lambda: _tar("w:gz"),
    "nothing": lambda: b"",
    "no pictures": lambda: zipped()[:0] + _crowded(0),
}


def main(folder: Path) -> None:
    """Write the archives, and one that is good."""
    made = {**READ, **REFUSED}
    for number, make in enumerate(made.values()):
        (folder / f"{number}.zip").write_bytes(make())
    (folder / "good.zip").write_bytes(zipped({"cats/good.png": png(60)}))
    json.dump(list(made), sys.stdout)


def measure(folder: Path, names: list[str]) -> None:
    """Read what `main` wrote, each archive in a process of its own: a peak never falls, so in one
    process whatever comes after a large archive would seem to cost nothing."""
    load_data(str(folder / "good.zip"), limits=Limits())  # imports what it needs
    ended = [_read_alone(folder / f"{number}.zip") for number in range(len(names))]
    json.dump([(name, *each) for name, each in zip(names, ended, strict=True)], sys.stdout)


def _read_alone(path: Path) -> tuple[str, float, int]:
    # Forked, for importing everything anew would take seconds; Linux counts its peak from there.
    with get_context("fork").Pool(1) as pool:
        return pool.apply(_read, (path,))


def _read(path: Path) -> tuple[str, float, int]:
    """How it ended, the seconds it took, and the bytes by which this process grew at its peak."""
    before, began = peak_bytes(), time.process_time()
    try:
        data = load_data(str(path), limits=Limits())
        ended = f"read {sum(len(split.pictures) for split in data.splits)}"
    except DatasetError as error:
        ended = f"refused: {error}"
    return ended, time.process_time() - began, peak_bytes() - before


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
    else:
        main(Path(sys.argv[1]))
