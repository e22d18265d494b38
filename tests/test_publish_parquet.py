"""A dataset folder for the Hub: what it holds, what it keeps to itself, and who can read it."""

import gc
import hashlib
import io
import json
import struct
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image, PngImagePlugin

from hub_cards import card_errors
from hub_client_side import HubClient
from hub_emulator import HubEmulator
from hub_tokens import TOKEN
from pictures import encode, fill, quadrants
from tiny import collect
from trainer.config import config_for
from trainer.data import Data, Picture, Provenance, Split
from trainer.data.picture import decode
from trainer.errors import DatasetError
from trainer.events import Note
from trainer.limits import Limits
from trainer.publish.bare import bare
from trainer.publish.dataset_card import escape
from trainer.publish.parquet import write_checked_dataset, write_dataset

PAGE, UNNAMED = "https://huggingface.co/datasets/a/b", "as-its-source-states"
SECRET = b"Ada Lovelace, 51.5072 N"
NAMES = ("cats, big", "Füchse/🦊", "no")
HOSTILE = (
    "<script>alert(1)</script>",
    "![x](https://evil.example/?q)",
    "a | b\\|c",
    "---",
    "{{ 7*7 }}",
    "null",
    "[click](javascript:alert(1)) `code` @everyone",
)


def secret_exif(orientation: int = 1) -> Image.Exif:
    """EXIF with a place, a name and an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = SECRET.decode()
    exif[0x013B] = SECRET.decode()
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 26.0)
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    return exif


def with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    return encode(quadrants(), "PNG", pnginfo=info, exif=secret_exif(), icc_profile=SECRET)


def jpeg_with_more() -> bytes:
    """A JPEG with a comment, a profile, a thumbnail in JFIF, and a second picture behind it."""
    plain = encode(quadrants((64, 48)), "JPEG", comment=SECRET, icc_profile=SECRET)
    at = plain.index(b"JFIF\0")
    jfif = plain[at : at + 12] + b"\x03\x03" + (SECRET * 2)[:27]
    segment = b"\xff\xe0" + struct.pack(">H", len(jfif) + 2) + jfif
    return plain[: at - 4] + segment + plain[at + 14 :] + SECRET


PRIVATE = {
    "gps.jpg": encode(quadrants(), "JPEG", exif=secret_exif()),
    **{f"turned{n}.jpg": encode(quadrants(), "JPEG", exif=secret_exif(n)) for n in range(2, 9)},
    "turned.png": encode(quadrants(), "PNG", exif=secret_exif(6)),
    "turned.webp": encode(quadrants(), "WEBP", lossless=True, exif=secret_exif(8)),
    "text.png": with_text(),
    "xmp.webp": encode(quadrants(), "WEBP", exif=secret_exif(), xmp=SECRET, icc_profile=SECRET),
    "more.jpg": jpeg_with_more(),
    "progressive.jpg": encode(quadrants((64, 48)), "JPEG", progressive=True, comment=SECRET),
    "cmyk.jpg": encode(quadrants().convert("CMYK"), "JPEG", exif=secret_exif()),
    "comment.gif": encode(quadrants(), "GIF", comment=SECRET),
    "tagged.tif": encode(quadrants(), "TIFF", description=SECRET.decode()),
}
PLAIN = {
    "plain.jpg": encode(quadrants(), "JPEG"),
    "grey.jpg": encode(quadrants().convert("L"), "JPEG"),
    "plain.png": encode(quadrants()),
    "grey.png": encode(quadrants().convert("L")),
    "deep.png": encode(Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24) * 150)),
    "alpha.png": encode(Image.new("RGBA", (8, 8), (9, 99, 200, 60))),
    "palette.png": encode(quadrants().convert("P"), "PNG", transparency=0),
    "plain.webp": encode(quadrants(), "WEBP"),
    "alpha.webp": encode(Image.new("RGBA", (8, 8), (9, 99, 200, 60)), "WEBP", lossless=True),
}


def picture(name: str, label: int, data: bytes) -> Picture:
    return Picture(name, label, partial(bytes, data), hashlib.sha256(data).hexdigest())


def odd_data(names: tuple[str, ...] = NAMES) -> Data:
    """Pictures of every odd kind; the last class has none in valid and test."""
    every = {**PRIVATE, **PLAIN}
    train = tuple(
        picture(f"/home/ada/{name}", number % len(names), data)
        for number, (name, data) in enumerate(every.items())
    )
    few = [picture(f"v{n}.png", n % 2, encode(quadrants((20 + n, 12)))) for n in range(5)]
    return Data(
        class_names=names,
        train=Split("train", train),
        valid=Split("valid", tuple(few[:3])),
        test=Split("test", tuple(few[3:])),
        provenance=Provenance(dataset_id="holiday", kind="folder", split_rule="a fifth, seed 1"),
    )


def pixels(data: Data) -> dict[str, list[list[object]]]:
    """Labels and pixels as training sees them, by the Hub's split names."""
    hub = {"train": "train", "valid": "validation", "test": "test"}
    return {
        hub[split.name]: [
            [each.label, hashlib.sha1(decode(each.read()).tobytes()).hexdigest()]
            for each in split.pictures
        ]
        for split in data.splits
    }


def rows(folder: Path) -> list[dict]:
    return [
        row for path in sorted(folder.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def client(hub: HubEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubClient]:
    folder = tmp_path_factory.mktemp("hub")
    env = hub.client_env(folder / "home", HF_HUB_DISABLE_PROGRESS_BARS="1")
    with HubClient(env, folder) as client:
        yield client


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_beside_the_pixels_goes_and_the_pixels_stay_to_the_bit(name: str) -> None:
    original = PRIVATE[name]
    assert SECRET in original or b"51.5072" in original
    found = bare(original)
    assert found.how == (
        "repacked" if name.startswith("turned.") or name[-3:] in ("gif", "tif") else "cleaned"
    )
    for part in (SECRET, b"Lovelace", b"51.5072"):
        assert part not in found.data
    with Image.open(io.BytesIO(found.data)) as image:
        assert set(image.getexif()) <= {0x0112}
        assert not {"comment", "icc_profile", "xmp", "Author"} & set(image.info)
    assert decode(found.data).tobytes() == decode(original).tobytes()
    again = bare(found.data)
    assert again.data == found.data


@pytest.mark.parametrize("name", PLAIN)
def test_a_picture_that_is_nothing_but_pixels_is_published_as_it_came(name: str) -> None:
    found = bare(PLAIN[name])
    assert found.data == PLAIN[name]
    assert (found.how, found.suffix) == ("unchanged", name.partition(".")[2])


def test_a_png_that_would_be_too_large_becomes_a_jpeg() -> None:
    smooth = Image.radial_gradient("L").convert("RGB")
    turned = encode(smooth, "WEBP", lossless=True, exif=secret_exif(3))
    png = bare(turned)
    assert png.how == "repacked"
    assert len(turned) < len(png.data)
    small = bare(turned, limits=Limits(max_picture_bytes=len(png.data) - 1))
    assert (small.how, small.suffix) == ("lossy", "jpg")
    assert SECRET not in small.data
    seen = np.asarray(decode(small.data), dtype=int) - np.asarray(smooth.rotate(180), dtype=int)
    assert abs(seen).max() <= 8


def test_datasets_reads_the_folder_with_class_names_splits_and_pixels(
    client: HubClient, tmp_path: Path
) -> None:
    data = odd_data()
    written = write_dataset(data, tmp_path / "set", title="Holiday")
    assert written.num_pictures == len(data.train) + 5
    loaded = client.ask("load_with_datasets", str(tmp_path / "set"))
    assert loaded.get("names") == list(NAMES), loaded
    assert loaded["features"] == {"image": "Image", "label": "ClassLabel"}
    expected = pixels(data)
    assert [row[0] for row in loaded["splits"]["train"]] == [row[0] for row in expected["train"]]
    for split in ("validation", "test"):
        assert loaded["splits"][split] == expected[split]
    # Where `datasets` leaves colours as they are (16 bits, transparency) it shows other pixels.
    plain = [mode in ("RGB", "L", "CMYK") for mode in loaded["modes"]]
    assert plain.count(False) <= 4
    for same, ours, theirs in zip(plain, expected["train"], loaded["splits"]["train"], strict=True):
        assert not same or ours == theirs


def test_the_pushed_folder_comes_back_from_the_hub_to_datasets_and_to_us(
    hub: HubEmulator, client: HubClient, tmp_path: Path
) -> None:
    data = odd_data()
    write_dataset(data, tmp_path / "set", title="Holiday", shard_bytes=3000)
    sent = client.ask("upload", str(tmp_path / "set"), "ada/holiday", TOKEN)
    assert "oid" in sent, sent
    theirs = client.ask("load_with_datasets", "ada/holiday")
    assert theirs.get("names") == list(NAMES), theirs
    assert [len(theirs["splits"][name]) for name in ("train", "validation", "test")] == [
        len(data.train),
        3,
        2,
    ]
    ours = client.ask("dataset", "ada/holiday")
    assert ours.get("classes") == list(NAMES), ours
    assert ours["skipped"] == []
    assert ours["rule"] == "the dataset's own train and valid"
    for split in data.splits:
        expected = [
            [NAMES[each.label], hashlib.sha1(bare(each.read()).data).hexdigest()]
            for each in split.pictures
        ]
        assert [row[1:3] for row in ours["splits"][split.name]] == expected
    assert hub.unknown == []


def test_the_same_pictures_pushed_again_make_no_commit(
    hub: HubEmulator, client: HubClient, tmp_path: Path
) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        write_dataset(odd_data(), folder, title="Holiday", shard_bytes=3000)
    assert contents(first) == contents(second)
    sent = client.ask("upload", str(first), "ada/twice", TOKEN)
    before = len(hub.repos["datasets", "ada/twice"].commits)
    assert client.ask("upload", str(second), "ada/twice", TOKEN).get("oid") == sent["oid"]
    assert len(hub.repos["datasets", "ada/twice"].commits) == before


def test_nothing_private_is_in_the_folder(tmp_path: Path) -> None:
    write_dataset(odd_data(), tmp_path / "set", title="Holiday")
    for name, content in contents(tmp_path / "set").items():
        for part in (b"/home/ada", b"Lovelace", b"51.5072", b"gps.jpg"):
            assert part not in content, name
    names = [row["image"]["path"] for row in rows(tmp_path / "set")]
    assert names[:2] == ["test-000000.png", "test-000001.png"]
    assert "train-000000.jpg" in names


def test_shards_and_row_groups_are_small(tmp_path: Path) -> None:
    data = Data(
        class_names=("a", "b"),
        train=Split(
            "train", tuple(picture(f"{n}", n % 2, encode(quadrants((8, 8)))) for n in range(250))
        ),
        valid=Split("valid", (picture("v", 0, encode(quadrants((8, 8)))),)),
        provenance=Provenance(dataset_id="many", kind="folder"),
    )
    size = len(encode(quadrants((8, 8))))
    written = write_dataset(data, tmp_path / "set", title="x", shard_bytes=120 * size)
    paths = sorted((tmp_path / "set" / "data").iterdir())
    assert [path.name for path in paths] == [
        *(f"train-{n:05d}-of-00003.parquet" for n in range(3)),
        "validation-00000-of-00001.parquet",
    ]
    groups = [pq.ParquetFile(path).metadata for path in paths[:3]]
    assert [[g.row_group(n).num_rows for n in range(g.num_row_groups)] for g in groups] == [
        [100, 20],
        [100, 20],
        [10],
    ]
    assert [split.num_shards for split in written.splits] == [3, 1]
    note = json.loads(pq.read_schema(paths[0]).metadata[b"huggingface"])
    assert note["info"]["features"]["label"] == {"names": ["a", "b"], "_type": "ClassLabel"}


def test_memory_holds_one_group_of_three_thousand_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)

    def read(number: int) -> bytes:
        return encode(Image.fromarray(np.roll(noise, number)), compress_level=0)

    pictures = tuple(Picture(f"{n}", n % 2, partial(read, n), f"{n}") for n in range(3000))
    data = Data(
        class_names=("a", "b"),
        train=Split("train", pictures[:2900]),
        valid=Split("valid", pictures[2900:]),
        provenance=Provenance(dataset_id="many", kind="folder"),
    )
    total = 3000 * len(read(0))
    assert total > 20_000_000
    gc.collect()
    pool, tracemalloc_began = pa.default_memory_pool(), tracemalloc.start()
    assert tracemalloc_began is None
    peak_before = pool.max_memory() or 0
    highest: list[int] = []
    try:
        written = write_dataset(
            data,
            tmp_path / "set",
            title="x",
            on_progress=lambda done, _: (
                highest.append(pa.total_allocated_bytes()) if done % 50 == 0 else None
            ),
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert written.num_pictures == 3000
    assert peak < 5_000_000
    assert max(highest) < 5_000_000
    assert (pool.max_memory() or 0) <= max(peak_before, 8_000_000)


def test_a_stop_leaves_nothing_behind_and_an_old_folder_as_it_was(tmp_path: Path) -> None:
    fill(tmp_path / "set", {"README.md": b"old"})

    def stop(done: int, total: int) -> None:
        assert total == len(odd_data().train) + 5
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(odd_data(), tmp_path / "set", title="x", on_progress=stop)
    assert contents(tmp_path) == {"set/README.md": b"old"}


def test_a_picture_that_changed_since_the_check_is_named(tmp_path: Path) -> None:
    data = odd_data()
    gone = picture("cats/gone.jpg", 0, PRIVATE["gps.jpg"][:200])
    data = Data(
        class_names=NAMES,
        train=Split("train", (*data.train.pictures, gone)),
        valid=data.valid,
        provenance=data.provenance,
    )
    with pytest.raises(DatasetError, match=r"cats/gone\.jpg .*Check the dataset again"):
        write_dataset(data, tmp_path / "set", title="x")
    assert contents(tmp_path) == {}


def test_a_checked_folder_is_written_without_what_cannot_be_decoded(tmp_path: Path) -> None:
    files = {
        f"{kind}/{n}.png": encode(quadrants((20 + n, 9 + len(kind))))
        for kind in ("cat", "fox")
        for n in range(10)
    }
    source = fill(tmp_path / "pictures", {**files, "fox/broken.png": b"\x89PNG\r\n\x1a\nno"})
    events, written = collect(
        write_checked_dataset(str(source), config_for(), tmp_path / "set", title="Animals")
    )
    assert written.num_pictures == 20
    assert any("broken.png" in event.text for event in events if isinstance(event, Note))
    card = (tmp_path / "set" / "README.md").read_text()
    assert "Left out because they could not be read or used: 1." in card
    assert "broken.png" not in card


def test_hostile_class_names_are_inert_on_the_card_and_whole_in_the_files(
    client: HubClient, tmp_path: Path
) -> None:
    title = '"; rm -rf\n---\n# <b>{{ config }}</b>'
    write_dataset(odd_data(HOSTILE), tmp_path / "set", title=title)
    card = (tmp_path / "set" / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    values = yaml.safe_load(front)
    names = values["dataset_info"]["features"][1]["dtype"]["class_label"]["names"]
    assert tuple(names[str(n)] for n in range(len(HOSTILE))) == HOSTILE
    assert values["pretty_name"] == " ".join(title.split())
    assert values["license"] == "unknown"
    for text in ("<script", "<b>", "](", "{{", "https:", "@everyone", "`code`"):
        assert text not in body, text
    table = [line for line in body.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(HOSTILE)
    assert {len(line.replace("\\|", "").split("|")) for line in table} == {6}
    loaded = client.ask("load_with_datasets", str(tmp_path / "set"))
    assert loaded.get("names") == list(HOSTILE), loaded


def test_every_character_of_markdown_is_escaped() -> None:
    assert escape("a\n  b") == "a b"
    assert escape("<i>&*_`") == r"&lt;i&gt;&amp;\*\_\`".replace("&lt;", "&lt;")
    assert escape("C:\\x|y") == "C&#58;\\\\x\\|y"


@pytest.mark.parametrize(
    ("stated", "licence"),
    [
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("CC BY 4.0", {"license": "cc-by-4.0"}),
        ("Ask Ada!", {"license": "other", "license_name": "ask-ada", "license_link": PAGE}),
        ("cc-by-5.0", {"license": "other", "license_name": "cc-by-5.0", "license_link": PAGE}),
        ("other", {"license": "other", "license_name": UNNAMED, "license_link": PAGE}),
        ("尋ねて", {"license": "other", "license_name": UNNAMED, "license_link": PAGE}),
        (None, {"license": "unknown"}),
    ],
)
def test_the_licence_is_the_sources_own(
    stated: str | None, licence: dict[str, str], tmp_path: Path
) -> None:
    data = odd_data()
    where = Provenance(dataset_id="a/b", kind="hub", revision="c" * 40, licence=stated)
    data = Data(class_names=NAMES, train=data.train, valid=data.valid, provenance=where)
    write_dataset(data, tmp_path / "set", title="x")
    card = (tmp_path / "set" / "README.md").read_text()
    values = yaml.safe_load(card.split("---\n")[1])
    assert {key: value for key, value in values.items() if key.startswith("license")} == licence
    assert card_errors(card, "datasets") == []
    assert values["task_categories"] == ["image-classification"]
    assert values["size_categories"] == ["n<1K"]
    assert values["configs"][0]["data_files"][1] == {
        "split": "validation",
        "path": "data/validation-*",
    }
    assert ("ask before using" in card) == (stated is None)
