"""A picture's bytes without what was written beside its pixels: places, times, names, thumbnails.

The packed pixels of JPEG, PNG and WebP are copied as they are, so that nothing is lost; no
library takes metadata out of all three without packing the pixels anew. Of EXIF a JPEG keeps the
orientation alone. Whatever is not changed that way to the same pixels is stored as PNG, upright.

Not covered: colour profiles are dropped as well (training reads every picture as sRGB), and of an
animation the first frame alone stays.
"""

import re
import struct
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from trainer.data.picture import FORMATS, decode
from trainer.errors import PictureError
from trainer.limits import Limits

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_JFIF, _ADOBE, _COMMENT = 0xE0, 0xEE, 0xFE
_APPLICATION = range(0xE0, 0xF0)
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
_EXIF_ORIENTATION = 0x0112

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

_WEBP_KEPT = frozenset({b"VP8X", b"ALPH", b"VP8 ", b"VP8L"})
_WEBP_ALPHA = 0x10
"""The one flag of a VP8X chunk that may stay: the others announce what is taken out."""


@dataclass(frozen=True, slots=True)
class Bare:
    """What is published of one picture."""

    data: bytes
    suffix: str
    """`jpg`, `png` or `webp`."""
    how: str
    """`unchanged`; `cleaned`: the packed pixels are the same; `repacked`: as PNG, the same pixels;
    `lossy`: as JPEG of quality 95, because the PNG would be too large."""


def bare(data: bytes, *, limits: Limits | None = None) -> Bare:
    """Take out of a picture all but its pixels; they stay as training sees them, bit by bit.

    Args:
        data: a picture that `decode` reads.
        limits: a PNG of more than `max_picture_bytes` becomes a JPEG; from the environment by
            default.

    Raises:
        PictureError: it cannot be decoded.
    """
    limits = limits or Limits.from_env()
    suffix = _suffix(data)
    clean = _clean(data, suffix)
    if clean == data:
        return Bare(data, suffix, "unchanged")
    image = decode(data, limits=limits)
    if clean is not None and _shows(clean, image, limits):
        return Bare(clean, suffix, "cleaned")
    packed = _packed(image, "PNG")
    if len(packed) <= limits.max_picture_bytes:
        return Bare(packed, "png", "repacked")
    return Bare(_packed(image, "JPEG", quality=95, subsampling=0), "jpg", "lossy")


def _suffix(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith(_PNG):
        return "png"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


def _clean(data: bytes, suffix: str) -> bytes | None:
    """The file without its metadata; None where its parts cannot be told apart."""
    try:
        if suffix == "jpg":
            plain = _clean_jpeg(data, 1)
            return plain if plain == data else _clean_jpeg(data, _orientation(data))
        return {"png": _clean_png, "webp": _clean_webp}[suffix](data)
    except (KeyError, ValueError, IndexError, struct.error):
        return None


def _shows(clean: bytes, image: Image.Image, limits: Limits) -> bool:
    try:
        shown = decode(clean, limits=limits)
    except PictureError:
        return False
    return shown.size == image.size and shown.tobytes() == image.tobytes()


def _packed(image: Image.Image, format: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def _orientation(data: bytes) -> int:
    """As Pillow finds it, which also looks into XMP; 1 where nothing readable is said."""
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, UnidentifiedImageError):
        return 1
    except struct.error:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _clean_jpeg(data: bytes, orientation: int) -> bytes:
    """Without application segments but JFIF and Adobe, without comments, ended at its end.

    Raises:
        ValueError: it has no end, or segments in an order that no JPEG has.
    """
    parts = [b"\xff\xd8"]
    if orientation != 1:
        parts.append(_orientation_segment(orientation))
    position, in_scan = 2, False
    while found := _MARKER.search(data, position):
        if in_scan:
            parts.append(data[position : found.start()])
        marker = found[1][0]
        if marker == _END_OF_IMAGE:
            return b"".join([*parts, b"\xff\xd9"])
        (length,) = struct.unpack_from(">H", data, found.end())
        body = data[found.end() + 2 : found.end() + length]
        parts.append(_kept_segment(marker, body))
        position, in_scan = found.end() + length, marker == _START_OF_SCAN
    raise ValueError("the JPEG has no end")


def _kept_segment(marker: int, body: bytes) -> bytes:
    """The segment as it is published; empty where it is taken out."""
    if marker == _JFIF and body.startswith(b"JFIF\0") and len(body) >= 14:
        body = body[:12] + b"\0\0"  # without a thumbnail, which may show what was cropped away
    elif marker == _ADOBE and body.startswith(b"Adobe"):
        body = body[:12]  # how the colours are stored
    elif marker in _APPLICATION or marker == _COMMENT:
        return b""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _orientation_segment(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = orientation
    body = exif.tobytes()
    return struct.pack(">BBH", 0xFF, 0xE1, len(body) + 2) + body


def _clean_png(data: bytes) -> bytes:
    """The chunks of the pixels alone.

    Raises:
        ValueError: it has no end.
    """
    parts, position = [_PNG], len(_PNG)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind in _PNG_KEPT:
            parts.append(data[position:end])
        if kind == b"IEND":
            return b"".join(parts)
        position = end
    raise ValueError("the PNG has no end")


def _clean_webp(data: bytes) -> bytes:
    """The chunks of the pixels alone, and a header that announces no others.

    Raises:
        ValueError: it is an animation.
    """
    parts, position = [], 12
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        after = position + 8 + length + length % 2
        chunk = data[position:after]
        if kind in (b"ANIM", b"ANMF"):
            raise ValueError("the WebP is an animation")
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & _WEBP_ALPHA]) + chunk[9:]
        if kind in _WEBP_KEPT:
            parts.append(chunk)
        position = after
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
