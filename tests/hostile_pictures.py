"""Five hundred hostile or odd pictures, and what decoding them costs: run as a child process.

`python tests/hostile_pictures.py` prints JSON: for each picture how it ended and how long it took,
and by how much the process grew at its peak.
"""

import json
import random
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image, ImageCms

from memory import peak_bytes
from pictures import encode, huge_png_header, quadrants, with_orientation
from trainer.data.picture import decode
from trainer.errors import PictureError
from trainer.limits import Limits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F")
TOTAL = 500


def corpus(seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each picture; the same for the same seed."""
    rng = random.Random(seed)
    valid = valid_pictures()
    made = [*valid, *_huge(), *_false()]
    yield from made
    for number in range(TOTAL - len(made)):
        name, data = valid[rng.randrange(len(valid))]
        yield f"{name} damaged {number}", _damaged(rng, data)


def valid_pictures() -> list[tuple[str, bytes]]:
    """Pictures in every format and mode, turned, of several frames, with profiles."""
    return [*_modes(), *_orientations(), *_frames(), *_profiles()]


def _modes() -> Iterator[tuple[str, bytes]]:
    for size in ((24, 16), (1, 300), (301, 1)):
        for mode in MODES:
            image = quadrants(size).convert("L" if mode.startswith(("I", "F")) else mode)
            image = image.convert(mode) if image.mode != mode else image
            for format in FORMATS:
                try:
                    yield f"{format} {mode} {size}", encode(image, format)
                except (OSError, KeyError, ValueError):  # the format has no such mode
                    continue


def _orientations() -> Iterator[tuple[str, bytes]]:
    for format in ("JPEG", "PNG", "TIFF", "WEBP"):
        for orientation in (*range(10), 65535):
            yield (
                f"{format} turned {orientation}",
                with_orientation(quadrants(), orientation, format),
            )


def _frames() -> Iterator[tuple[str, bytes]]:
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        frames = [quadrants((9, 7)).rotate(angle) for angle in range(0, 300, 3)]
        yield (
            f"{format} of 100 frames",
            encode(frames[0], format, save_all=True, append_images=frames[1:]),
        )
    frames = [Image.new("L", (2, 2), number % 256) for number in range(30_000)]
    yield "GIF of 30,000 frames", encode(frames[0], "GIF", save_all=True, append_images=frames[1:])


def _profiles() -> Iterator[tuple[str, bytes]]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        for number, each in enumerate((profile, profile[:50], b"x" * 60_000)):
            yield f"{format} with profile {number}", encode(quadrants(), format, icc_profile=each)


def _huge() -> Iterator[tuple[str, bytes]]:
    for width, height in ((13000, 13000), (2**31 - 1, 2**31 - 1), (65535, 65535), (5001, 5000)):
        yield f"PNG header {width} x {height}", huge_png_header(width, height)
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        yield f"PNG 25 Mpx {mode}", encode(Image.new(mode, (5000, 5000)), compress_level=1)
    yield "PNG 25 Mpx 16-bit", encode(Image.new("I;16", (5000, 5000)), compress_level=1)
    yield "JPEG 25 Mpx CMYK", encode(Image.new("CMYK", (5000, 5000)), "JPEG")
    yield "TIFF 25 Mpx float", encode(Image.new("F", (5000, 5000)), "TIFF", compression="tiff_lzw")
    yield "long and thin", encode(Image.new("RGB", (1, 65_535)))
    yield "too long and thin", encode(Image.new("RGBA", (1, 16_777_216)), compress_level=1)
    text = b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    plain = encode(quadrants())
    chunk = len(text).to_bytes(4, "big") + b"zTXt" + text
    chunk += zlib.crc32(b"zTXt" + text).to_bytes(4, "big")
    yield "PNG with 200 MB of text", plain[:33] + chunk + plain[33:]


def _false() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "EPS", encode(quadrants(), "EPS")
    yield "PDF", encode(quadrants(), "PDF")
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>'
    yield "HTML", b"<html><script>alert(1)</script></html>"
    yield "GIF and HTML", encode(quadrants(), "GIF") + b"<script>alert(1)</script>"
    yield "JPEG and zip", encode(quadrants(), "JPEG") + b"PK\3\4" + b"\0" * 100
    yield "only a magic number", b"\x89PNG\r\n\x1a\n"
    yield "21 MB", b"\xff\xd8\xff" + b"\0" * 21_000_000
    yield "every marker", b"\xff\xd8" + b"\xff\xda" * 500_000
    yield "plain-text PPM", b"P3 4000 4000 255 " + b"1 " * 1_500_000


def _damaged(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 12)):
        changed[rng.randrange(min(len(changed), rng.choice((64, 100_000))))] = rng.randrange(256)
    if rng.random() < 0.3:
        del changed[rng.randrange(len(changed)) :]
    return bytes(changed)


def main() -> None:
    """Decode them all from files, one after another."""
    folder = Path(sys.argv[1])
    names = []
    for number, (name, data) in enumerate(corpus()):
        names.append(name)
        (folder / f"{number}.bin").write_bytes(data)
    # Making them took memory of its own, so that decoding happens in a process that has not.
    if len(sys.argv) == 2:
        json.dump(names, sys.stdout)


def measure(folder: Path, names: list[str]) -> None:
    """Decode what `main` made."""
    limits = Limits()
    decode(encode(quadrants()), limits=limits)
    before, results = peak_bytes(), []
    for number, name in enumerate(names):
        data = (folder / f"{number}.bin").read_bytes()
        began = time.process_time()
        try:
            ended = decode(data, limits=limits).mode
        except PictureError as error:
            ended = f"refused: {error}"
        results.append((name, ended, time.process_time() - began))
    json.dump({"results": results, "grown": peak_bytes() - before}, sys.stdout)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
    else:
        main()
