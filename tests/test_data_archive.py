"""Zips: what people upload is unpacked once; what attackers upload is refused in words."""

import os
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from hostile_zips import as_zip64, beyond, commented
from pictures import fill, png
from trainer.data import Data, load_data
from trainer.data import archive as archive_module
from trainer.data.zip_plan import plan
from trainer.errors import DatasetError
from trainer.limits import Limits

NAMES = [f"{c}/{i}.png" for c in ("cats", "dogs") for i in range(4)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped(path: Path, names: list[str], extra: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, png(number))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return path


def load(path: Path, **limits: int) -> Data:
    return load_data(str(path), limits=Limits(**limits))


def all_names(data: Data) -> list[str]:
    return sorted(picture.name for split in data.splits for picture in split.pictures)


def refused(path: Path, cache: Path, **limits: int) -> str:
    """The message, after making sure that nothing was written, in the cache or beside it."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(DatasetError) as caught:
        load(path, **limits)
    new = [each for each in path.parent.rglob("*") if each not in before]
    assert [each for each in new if each not in (cache, cache / "zips")] == []
    return str(caught.value)


def test_a_zip_of_class_folders_is_read(tmp_path: Path) -> None:
    data = load(zipped(tmp_path / "pets.zip", NAMES))
    assert data.class_names == ("cats", "dogs")
    assert all_names(data) == NAMES
    assert data.provenance.kind == "zip"
    assert data.provenance.dataset_id == "pets.zip"
    (picture,) = (p for s in data.splits for p in s.pictures if p.name == "cats/3.png")
    assert picture.read() == png(3)


@pytest.mark.parametrize("prefix", ["pets/", "./pets/", "a/b/"])
def test_a_wrapping_folder_in_a_zip_is_looked_through(tmp_path: Path, prefix: str) -> None:
    splits = [f"{prefix}{split}/{name}" for split in ("train", "val") for name in NAMES]
    data = load(zipped(tmp_path / "pets.zip", splits))
    assert [len(split) for split in data.splits] == [8, 8]


def test_a_zip_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    first = load(path)
    monkeypatch.setattr(archive_module, "_unpack_into", None)  # would fail if it were called
    second = load(path.rename(tmp_path / "other.zip"))
    assert second.train == first.train


def test_an_unpacked_picture_that_was_changed_is_unpacked_again(
    tmp_path: Path, cache: Path
) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    load(path)
    (unpacked,) = cache.rglob("cats/1.png")
    unpacked.write_bytes(b"")
    data = load(path)
    assert all_names(data) == NAMES
    assert unpacked.read_bytes() == png(1)


def test_the_stamp_of_a_picture_is_the_same_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    first = load(path)
    monkeypatch.setenv("LRLAB_CACHE", str(tmp_path / "elsewhere"))
    assert load(path).train == first.train


def test_a_process_killed_while_unpacking_leaves_nothing_that_is_trusted(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)

    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(archive_module, "write_json", killed)
        patch.setattr(archive_module.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KilledError):
            load(path)
    (stale,) = (cache / "zips").iterdir()
    assert stale.name.startswith(".")
    assert all_names(load(path)) == NAMES
    os.utime(stale, (0, 0))
    load(zipped(tmp_path / "more.zip", [*NAMES, "cats/9.png"]))
    assert not stale.exists()


def test_a_full_disk_is_said_in_words_and_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive_module, "write_json", full)
    message = refused(zipped(tmp_path / "pets.zip", NAMES), cache)
    assert "could not be unpacked" in message
    assert "No space left on device" in message


def test_litter_in_a_zip_is_ignored_and_other_files_are_reported(tmp_path: Path) -> None:
    litter = {"__MACOSX/cats/._0.png": b"x", "cats/.DS_Store": b"x", "Thumbs.db": b"x"}
    extra = {"README.md": b"x", "cats/inner.zip": b"PK", "dogs/huge.png": b"x" * 3000}
    path = zipped(tmp_path / "pets.zip", NAMES, litter | extra)
    data = load(path, max_picture_bytes=2000)
    assert all_names(data) == NAMES
    assert {each.name: each.reason for each in data.skipped} == {
        "README.md": "is not a picture",
        "cats/inner.zip": "is an archive within the zip",
        "dogs/huge.png": "is too large (0.1 MB; the limit is 0.1 MB)",
    }


def test_names_that_differ_only_in_case_become_distinct(tmp_path: Path) -> None:
    data = load(zipped(tmp_path / "pets.zip", [*NAMES, "cats/A.png", "cats/a.png", "cats/a.PNG"]))
    assert all_names(data)[:3] == ["cats/0.png", "cats/1.png", "cats/2.png"]
    extra = [name for name in all_names(data) if "a" in name[5:].lower()]
    assert extra == ["cats/A.png", "cats/a~2.png", "cats/a~3.PNG"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_becomes_two_pictures(tmp_path: Path) -> None:
    data = load(zipped(tmp_path / "pets.zip", [*NAMES, "cats/0.png"]))
    assert "cats/0~2.png" in all_names(data)
    assert len(all_names(data)) == 9


@pytest.mark.timeout(60)
def test_many_entries_of_one_name_are_numbered_in_one_pass() -> None:
    """One by one from 1, 60,000 of them took hours."""
    infos = [zipfile.ZipInfo(name) for name in ("a/x~3.jpg", *["a/x.jpg"] * 59_999)]
    for number, info in enumerate(infos):
        info.header_offset = 100 * number
    files = plan(infos, archive_bytes=6_000_000, limits=Limits()).files
    names = [path for _, path in files]
    assert names[:5] == ["a/x~3.jpg", "a/x.jpg", "a/x~2.jpg", "a/x~4.jpg", "a/x~5.jpg"]
    assert len(set(names)) == 60_000


def test_overlong_names_are_shortened_and_stay_distinct(tmp_path: Path) -> None:
    long = ["cats/" + "é" * 300 + end for end in ("1.png", "2.png")]
    data = load(zipped(tmp_path / "pets.zip", [*NAMES, *long]))
    shortened = [name[5:] for name in all_names(data) if "é" in name]
    assert len(set(shortened)) == 2
    assert all(len(name.encode()) <= 200 and name.endswith(".png") for name in shortened)


def test_odd_characters_in_names_are_replaced(tmp_path: Path) -> None:
    odd = [
        "cats/a:b?.png",
        "cats/x\ny.png",
        "cats/ space .png",
        "dogs\\9.png",
        "cats/\u202egnp.png",
    ]
    names = all_names(load(zipped(tmp_path / "pets.zip", [*NAMES, *odd])))
    assert set(names) - set(NAMES) == {
        "cats/a_b_.png",
        "cats/x_y.png",
        "cats/space .png",
        "dogs/9.png",
        "cats/_gnp.png",
    }


def test_utf_8_names_without_the_flag_are_understood(tmp_path: Path) -> None:
    path = zipped(tmp_path / "pets.zip", [*NAMES, "cats/kätzchen.png"])
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = -1
        while (start := data.find(signature, start + 1)) >= 0:
            flags = struct.unpack_from("<H", data, start + offset)[0]
            struct.pack_into("<H", data, start + offset, flags & ~0x800)
    path.write_bytes(data)
    assert "cats/kätzchen.png" in all_names(load(path))


@pytest.mark.parametrize(
    "name",
    ["../evil.png", "cats/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png", "//h/x"],
)
def test_a_path_out_of_the_zip_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES, {name: png()})
    assert "a path that leads outside the zip's own folder" in refused(path, cache)


@pytest.mark.parametrize(
    ("kind", "words"),
    [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "a special file"), (stat.S_IFCHR, "a special file")],
)
def test_links_and_special_files_are_refused(
    tmp_path: Path, cache: Path, kind: int, words: str
) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    info = zipfile.ZipInfo("cats/link.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    assert f"The zip holds {words} (cats/link.png)." in refused(path, cache)


def test_an_encrypted_entry_is_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + 8] |= 1
    path.write_bytes(data)
    assert "The zip is encrypted (cats/0.png asks for a password)." in refused(path, cache)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_than_deflate_are_refused(tmp_path: Path, cache: Path, method: int) -> None:
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("cats/bomb.png", b"\0" * 1_000_000)
    assert "with another method than Deflate" in refused(path, cache)


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", NAMES, {"cats/bomb.png": b"\0" * 15_000_000})
    assert "times its size or more; the limit is 100" in refused(path, cache)


def test_too_large_an_unpacked_size_is_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES, {"cats/a.png": os.urandom(90_000)})
    message = refused(path, cache, max_unpacked_bytes=50_000)
    assert "The zip unpacks to more than 0.1 MB" in message


def test_a_size_that_lies_does_not_get_past(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", NAMES, {"cats/zz.png": b"\0" * 15_000_000})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 15_000_000), struct.pack("<I", 1000)))
    assert "is not a zip, or is damaged" in refused(path, cache)


def test_entries_that_share_their_bytes_do_not_get_past(tmp_path: Path, cache: Path) -> None:
    # Fifield's bomb: many directory entries over one and the same packed data.
    # Under the ratio of a bomb: fifty pictures of the bytes of one.
    noise = random.Random(0).randbytes(100_000) + b"\0" * 100_000
    path = zipped(tmp_path / "bomb.zip", [], {"cats/00.png": noise})
    data = path.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"00.png", b"%02d.png" % i) for i in range(50))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 50, 50, len(entries))
    path.write_bytes(data[:start] + entries + tail)
    assert "entries overlap" in refused(path, cache)


def test_too_many_entries_are_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    message = refused(path, cache, max_archive_entries=7)
    assert message == "The zip has 8 entries; the limit is 7. Use fewer pictures."


@pytest.mark.parametrize("change", [bytes, as_zip64])
def test_a_large_table_of_contents_is_refused_before_it_is_read(
    tmp_path: Path, cache: Path, change: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(change(commented(200)))
    assert all_names(load(path))[:8] == NAMES
    path.write_bytes(change(commented(300)))
    message = refused(path, cache)
    assert message.startswith("The zip has a table of contents of 19.7 MB; the limit is 16 MB.")
    assert len(load(path, max_archive_entries=80_000).skipped) == 300


@pytest.mark.parametrize("offset", [2**64 - 1, 2**63 - 1, 2**31, 100_000])
def test_an_entry_outside_the_file_is_damage(tmp_path: Path, cache: Path, offset: int) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(beyond(offset))
    assert "'pets.zip' is not a zip, or is damaged" in refused(path, cache)


def test_an_entry_before_the_file_is_damage(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, len(data) - 6)
    struct.pack_into("<I", data, len(data) - 6, start + 50)
    path.write_bytes(data)
    assert "'pets.zip' is not a zip, or is damaged" in refused(path, cache)


@pytest.mark.parametrize("places", [1, 2])
def test_a_name_that_is_no_utf_8_is_damage(tmp_path: Path, cache: Path, places: int) -> None:
    name = "cats/\u00e9.png"
    path = zipped(tmp_path / "pets.zip", [*NAMES, name])
    odd = path.read_bytes().replace(name.encode(), b"cats/\xff\xff.png", places)
    path.write_bytes(odd)
    assert "'pets.zip' is not a zip, or is damaged" in refused(path, cache)


def test_too_deep_folders_are_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES, {"a/b/c/d/e/1.png": png()})
    assert "5 folders deep; the limit is 4" in refused(path, cache)


def test_too_large_a_zip_is_refused(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    message = refused(path, cache, max_archive_bytes=100)
    assert message.startswith("The zip has 0.1 MB; the limit is 0.1 MB.")


def test_what_is_not_a_zip_is_said_in_words(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "pets.zip"
    path.write_bytes(b"hello")
    assert "'pets.zip' is not a zip, or is damaged" in refused(path, cache)
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("dev")
        info.type = tarfile.CHRTYPE
        archive.addfile(info, BytesIO())
    assert "'pets.zip' is not a zip, or is damaged" in refused(path, cache)


def test_a_cut_off_zip_is_said_in_words(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    path.write_bytes(path.read_bytes()[:-100])
    assert "is not a zip, or is damaged" in refused(path, cache)


def test_a_flipped_bit_is_found(tmp_path: Path, cache: Path) -> None:
    path = zipped(tmp_path / "pets.zip", NAMES)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert "is not a zip, or is damaged" in refused(path, cache)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_zips_are_read_or_refused_in_words(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    original = zipped(tmp_path / "pets.zip", NAMES).read_bytes()
    for number in range(50):
        data = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        try:
            load(path)
        except DatasetError:
            continue
    inside = {(tmp_path / "cache"), *(tmp_path / "cache").rglob("*")}
    assert [p for p in tmp_path.rglob("*") if p not in inside and p.suffix != ".zip"] == []


def test_an_empty_zip_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'pets.zip' holds nothing"):
        load(zipped(tmp_path / "pets.zip", []))


def test_a_folder_whose_name_ends_in_zip_is_a_folder(tmp_path: Path) -> None:
    assert load(fill(tmp_path / "pets.zip", NAMES)).provenance.kind == "folder"
