"""Real little pictures, and folders of them, made when a test needs them."""

import struct
import zlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from PIL import Image


def quadrants(size: tuple[int, int] = (24, 16)) -> Image.Image:
    """An RGB picture with another colour in each quarter: red, green / blue, yellow.

    No turn or flip of it looks like another.
    """
    width, height = size
    image = Image.new("RGB", size, "red")
    image.paste("lime", (width // 2, 0, width, height // 2))
    image.paste("blue", (0, height // 2, width // 2, height))
    image.paste("yellow", (width // 2, height // 2, width, height))
    return image


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """The picture's bytes in a format."""
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(color: int | str | tuple[int, int, int] = "red", size: tuple[int, int] = (4, 4)) -> bytes:
    """A PNG of one colour; an integer makes a colour of its own."""
    if isinstance(color, int):
        color = (color * 37 % 256, color // 256, color % 256)
    return encode(Image.new("RGB", size, color))


def with_orientation(image: Image.Image, orientation: int, format: str) -> bytes:
    """The picture's bytes, saying in EXIF how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(image, format, exif=exif, **({"quality": 100} if format == "JPEG" else {}))


def huge_png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def fill(root: Path, files: dict[str, bytes] | Iterable[str]) -> Path:
    """Write files below a folder; those without bytes become pictures that all differ."""
    named = files if isinstance(files, dict) else {n: png(i) for i, n in enumerate(files)}
    for name, data in named.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root
