"""One picture: from encoded bytes, which may be hostile, to an upright RGB image.

Formats are allow-listed, because Pillow knows some that run Ghostscript, unpack archives or read
other files. Pixels are counted on the header, before anything is decoded.

Not covered: colour profiles (sRGB is assumed, as torchvision and timm do), LAB pictures, HEIC,
AVIF and SVG; of an animation only the first frame is read.
"""

import math
import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy
from PIL import Image, UnidentifiedImageError

from trainer.data.names import megabytes
from trainer.data.scans import num_scans
from trainer.errors import PictureError
from trainer.limits import Limits

DECODER_VERSION = f"1 pillow {Image.__version__}"
"""Changes when the same bytes may decode to other pixels; part of every cache key."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")

# What Pillow was seen to raise on damaged files. DecompressionBombWarning and other warnings
# arrive as exceptions only where the caller has turned warnings into errors.
_PILLOW_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
    RuntimeError, AssertionError, MemoryError, EOFError, BufferError, Warning,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_MAX_PASSES = 24
"""Passes over a picture of the largest size; a usual progressive JPEG has about ten."""

_MAX_SLOW_BYTES = 1_000_000
"""Size up to which the formats that Pillow decodes in Python are read."""

_STRIP_PIXELS = 1_000_000
"""Pixels of a grey picture that are scaled at once."""

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = (5, 6, 7, 8)


def decode(
    data: bytes, *, limits: Limits | None = None, min_side: int | None = None
) -> Image.Image:
    """Decode a picture to RGB, upright by its EXIF orientation, transparency over white.

    Args:
        data: the encoded bytes.
        limits: `max_picture_bytes`, `max_pixels` and `max_side` are kept; from the environment
            by default.
        min_side: let a JPEG be decoded at a half, a quarter or an eighth while its short side
            stays at least this long: several times faster for photos of many megapixels.

    Raises:
        PictureError: with a short reason in words that follows the picture's name, as in
            "is cut off".
    """
    return decode_with_size(data, limits=limits, min_side=min_side)[0]


def decode_with_size(
    data: bytes, *, limits: Limits | None = None, min_side: int | None = None
) -> tuple[Image.Image, tuple[int, int]]:
    """As `decode`, with the picture's own width and height, upright, in pixels."""
    limits = limits or Limits.from_env()
    if not data:
        raise PictureError("is empty")
    if len(data) > limits.max_picture_bytes:
        limit = megabytes(limits.max_picture_bytes)
        raise PictureError(f"is too large ({megabytes(len(data))}; the limit is {limit})")
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _refuse_costly(image, data, limits)
            size = image.size
            if min_side is not None:
                image.draft(None, (min_side, min_side))
            drafted = image.size != size
            image.load()
            # Read after load(): a PNG may hold its EXIF after the pixels, and Pillow turns a
            # TIFF by itself while loading and then forgets the orientation.
            orientation = _orientation(image)
            rgb = _to_rgb(image)
        upright = rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb
        upright.info.clear()  # comments and profiles, which Pillow would save again
        if not drafted:
            return upright, upright.size
        width, height = size
        return upright, (height, width) if orientation in _SIDEWAYS else (width, height)
    except PictureError:
        raise
    except _PILLOW_ERRORS as error:
        raise PictureError(_reason(error, data, limits)) from error


def _refuse_costly(image: Image.Image, data: bytes, limits: Limits) -> None:
    """Refuse, on the header, what would take too much memory or time to decode."""
    pixels = image.width * image.height
    if pixels > limits.max_pixels:
        raise PictureError(_too_large(pixels, limits))
    if max(image.size) > limits.max_side:
        width, height = image.size
        raise PictureError(
            f"is too long ({width:,} × {height:,} pixels; the limit is {limits.max_side:,} a side)"
        )
    if num_scans(data) * pixels > _MAX_PASSES * limits.max_pixels:
        raise PictureError("has far more passes than a progressive JPEG needs")
    # Plain-text PPM, run-length BMP and the like are decoded in Python, 3 MB a second, and hold
    # up every other thread meanwhile.
    in_python = any(tile[0] in Image.DECODERS for tile in getattr(image, "tile", ()))
    if in_python and len(data) > _MAX_SLOW_BYTES:
        raise PictureError(f"is a {image.format} of a kind that takes too long to read")


def _too_large(pixels: int, limits: Limits) -> str:
    return f"is too large ({_megapixels(pixels)}; the limit is {_megapixels(limits.max_pixels)})"


def _megapixels(pixels: int) -> str:
    # Rounded up, so that a picture over the limit never reads as one within it.
    return f"{math.ceil(pixels / 1e5) / 10:,.1f}".removesuffix(".0") + " Mpx"


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where EXIF is missing or damaged, for the pixels are fine."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _PILLOW_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB without the traps of a bare `convert("RGB")`.

    That one turns 16-bit grey white and float black, and shows what transparency hides.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bit(image)).convert("RGB")
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(layer, mask=layer)
        return white
    # CMYK and YCCK JPEGs arrive un-inverted: Pillow assumes Adobe's convention, as browsers do.
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> numpy.ndarray:
    """Scale grey pixels of 16 bits, 32 bits or floating point to 0..255, as [H, W].

    16-bit values keep their high byte, as Pillow does for 16-bit colour. Floats are taken as
    0..1 or 0..255 where they lie within; whatever fits no known range is stretched from its
    lowest to its highest value. Strip by strip: at 25 Mpx each copy of all would be 100 MB.
    """
    scaled = numpy.empty((image.height, image.width), dtype="uint8")
    if image.mode.startswith("I;16"):  # of either byte order
        for rows, pixels in _strips(image):
            scaled[rows] = pixels >> 8
        return scaled
    spans = [(float(v.min()), float(v.max())) for v in map(_finite, _strips(image))]
    low, high = min(low for low, _ in spans), max(high for _, high in spans)
    known = (65535.0,) if image.mode.startswith("I") else (1.0, 255.0)
    top = next((top for top in known if low >= 0.0 and high <= top), None)
    for strip in _strips(image):
        values = _finite(strip)
        if top is None:
            values -= low
        values *= 255.0 / (max(high - low, 1e-30) if top is None else top)
        scaled[strip[0]] = numpy.rint(values, out=values)
    return scaled


def _strips(image: Image.Image) -> Iterator[tuple[slice, numpy.ndarray]]:
    """The picture's rows, some at a time, each with its pixels [rows, W]."""
    step = max(1, _STRIP_PIXELS // image.width)
    for begin in range(0, image.height, step):
        end = min(begin + step, image.height)
        yield slice(begin, end), numpy.asarray(image.crop((0, begin, image.width, end)))


def _finite(strip: tuple[slice, numpy.ndarray]) -> numpy.ndarray:
    """A strip's pixels as floats, with 0 for what is no number."""
    values = strip[1].astype("float32")
    return numpy.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def _reason(error: BaseException, data: bytes, limits: Limits) -> str:
    message = str(error).lower()
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        found = re.search(r"\((\d+) pixels\)", message)
        return _too_large(int(found[1]), limits) if found else "is too large"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, UnidentifiedImageError):
        if data.startswith(_MAGIC):
            return "is cut off or damaged"
        return "is not a picture (JPEG, PNG, WebP, GIF, BMP, TIFF or PPM)"
    if isinstance(error, EOFError) or "truncated" in message or "not enough" in message:
        return "is cut off"
    if "conversion from" in message:
        return "has colours that cannot be converted to RGB"
    return "is damaged"
