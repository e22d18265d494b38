"""Decoding: every format and mode that is allowed, turned upright; everything else in words."""

import random
import struct
import zlib

import numpy
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from pictures import encode, huge_png_header, png, quadrants, with_orientation
from trainer.data.picture import decode
from trainer.data.scans import num_scans
from trainer.errors import PictureError
from trainer.limits import Limits

LIMITS = Limits()


def far(left: Image.Image, right: Image.Image) -> int:
    """The largest difference of any channel of any pixel."""
    assert left.size == right.size
    pixels = [numpy.asarray(image.convert("RGB"), dtype=int) for image in (left, right)]
    return int(numpy.abs(pixels[0] - pixels[1]).max())


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP"])
def test_a_lossless_format_decodes_to_the_same_pixels(format: str) -> None:
    data = encode(quadrants(), format, **({"lossless": True} if format == "WEBP" else {}))
    image = decode(data, limits=LIMITS)
    assert image.mode == "RGB"
    assert far(image, quadrants()) == 0


def test_a_jpeg_decodes_to_nearly_the_same_pixels() -> None:
    data = encode(quadrants((64, 32)), "JPEG", quality=95, subsampling=0)
    assert far(decode(data, limits=LIMITS), quadrants((64, 32))) < 12


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif(orientation: int, format: str) -> None:
    upright = quadrants((64, 32))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright
    if orientation in undo:
        stored = upright.transpose(Image.Transpose(undo[orientation]))
    image = decode(with_orientation(stored, orientation, format), limits=LIMITS)
    assert image.size == upright.size
    corners = [(2, 2), (61, 2), (2, 29), (61, 29)]
    for corner in corners:
        seen, wanted = image.getpixel(corner), upright.getpixel(corner)
        assert isinstance(seen, tuple) and isinstance(wanted, tuple)
        assert max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) < 40


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    data = encode(quadrants(), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert far(decode(data, limits=LIMITS), quadrants()) == 0


def test_transparency_is_laid_over_white() -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    for format in ("PNG", "WEBP", "TIFF"):
        data = encode(image, format, **({"lossless": True} if format == "WEBP" else {}))
        decoded = decode(data, limits=LIMITS)
        assert decoded.getpixel((0, 0)) == (255, 255, 255)
        assert decoded.getpixel((1, 0)) == (127, 127, 127)
        assert decoded.getpixel((3, 3)) == (255, 0, 0)


def test_grey_with_transparency_is_laid_over_white() -> None:
    image = Image.new("LA", (2, 1), (0, 0))
    image.putpixel((1, 0), (90, 255))
    decoded = decode(encode(image), limits=LIMITS)
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (90, 90, 90)]


def test_a_palette_with_a_transparent_entry_is_laid_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for data in (
        encode(image, "PNG", transparency=0),
        encode(image, "PNG", transparency=b"\x00\xff"),
        encode(image, "GIF", transparency=0),
    ):
        decoded = decode(data, limits=LIMITS)
        assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


def test_a_transparent_colour_is_laid_over_white() -> None:
    data = encode(quadrants(), "PNG", transparency=(255, 0, 0))
    assert decode(data, limits=LIMITS).getpixel((0, 0)) == (255, 255, 255)


def test_a_palette_without_transparency_keeps_its_colours() -> None:
    data = encode(quadrants().quantize(8), "PNG")
    assert far(decode(data, limits=LIMITS), quadrants()) <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit_pictures_become_black_and_white(format: str) -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 255)
    decoded = decode(encode(image, format), limits=LIMITS)
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_not_clipped_to_white(format: str) -> None:
    values = numpy.array([[0, 0x4000, 0x8000, 0xFFFF]], dtype="uint16")
    image = decode(encode(Image.fromarray(values), format), limits=LIMITS)
    grey = numpy.asarray(image)[0, :, 0].astype(int)
    assert numpy.abs(grey - [0, 64, 128, 255]).max() <= 1


def test_16_bit_grey_of_the_other_byte_order_is_the_same() -> None:
    # A TIFF written by hand: header, one directory of nine tags, four pixels.
    tags = [(256, 4), (257, 1), (258, 16), (259, 1), (262, 1), (273, 122), (277, 1), (278, 1)]
    tags.append((279, 8))
    entries = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    pixels = struct.pack(">4H", 0, 0x4000, 0x8000, 0xFFFF)
    data = b"MM\0*" + struct.pack(">IH", 8, len(tags)) + entries + b"\0" * 4 + pixels
    assert numpy.asarray(decode(data))[0, :, 0].tolist() == [0, 64, 128, 255]


def test_32_bit_grey_of_16_bit_range_is_scaled() -> None:
    values = numpy.array([[0, 0x8000, 0xFFFF]], dtype="int32")
    image = decode(encode(Image.fromarray(values), "TIFF"), limits=LIMITS)
    assert numpy.asarray(image)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("values", "grey"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([0.0, float("nan"), 1.0], [0, 0, 255]),
        ([7e30, 7e30, 7e30], [0, 0, 0]),
    ],
)
def test_a_float_tiff_is_scaled(values: list[float], grey: list[int]) -> None:
    pixels = Image.fromarray(numpy.array([values], dtype="float32"))
    image = decode(encode(pixels, "TIFF"), limits=LIMITS)
    assert numpy.asarray(image)[0, :, 0].tolist() == grey


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(format: str) -> None:
    plain = Image.new("RGB", (16, 16), (200, 40, 90))
    options = {"quality": 100} if format == "JPEG" else {}
    data = encode(plain.convert("CMYK"), format, **options)
    assert far(decode(data, limits=LIMITS), plain) < 6


def test_an_adobe_ycck_jpeg_keeps_its_colours() -> None:
    # Pillow cannot write YCCK. Adobe stores CMY inverted, which is RGB; libjpeg's YCC is that of
    # its complement. So: store that YCC as if it were CMY, then let the Adobe marker say YCCK.
    color = (200, 40, 90)
    complement = Image.new("RGB", (16, 16), tuple(255 - value for value in color))
    planes = [
        plane.point(lambda value: 255 - value) for plane in complement.convert("YCbCr").split()
    ]
    stored = Image.merge("CMYK", [*planes, Image.new("L", (16, 16), 0)])
    data = bytearray(encode(stored, "JPEG", quality=100))
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    assert far(decode(bytes(data), limits=LIMITS), Image.new("RGB", (16, 16), color)) < 6


def test_a_picture_with_a_colour_profile_decodes() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert far(decode(encode(quadrants(), "PNG", icc_profile=profile)), quadrants()) == 0


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("blue", "red", "lime")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert far(decode(data, limits=LIMITS), frames[0]) == 0


def test_a_gif_of_many_frames_costs_one_frame() -> None:
    frames = [Image.new("P", (4, 4), index % 2) for index in range(500)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode(data, limits=LIMITS).size == (4, 4)


@pytest.mark.parametrize(("width", "height"), [(1, 65535), (65535, 1)])
def test_a_long_thin_picture_decodes(width: int, height: int) -> None:
    data = encode(Image.new("RGB", (width, height), "red"), "PNG")
    assert decode(data, limits=LIMITS).size == (width, height)


@pytest.mark.parametrize(
    ("width", "height", "reason"),
    [
        (13000, 13000, "is too large (169 Mpx; the limit is 25 Mpx)"),
        (40000, 10000, "is too large (400 Mpx; the limit is 25 Mpx)"),
        (5001, 5000, "is too large (25.1 Mpx; the limit is 25 Mpx)"),
    ],
)
def test_too_many_pixels_are_refused_on_the_header(width: int, height: int, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(huge_png_header(width, height), limits=LIMITS)
    assert str(caught.value) == reason


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(PictureError, match=r"is too large \(0.1 MB; the limit is 0.1 MB\)"):
        decode(png(), limits=Limits(max_picture_bytes=10))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_cut_off_picture_is_refused(format: str) -> None:
    rng = numpy.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype="uint8"))
    data = encode(noise, format)
    with pytest.raises(PictureError, match="is cut off|is damaged") as caught:
        decode(data[: len(data) // 2], limits=LIMITS)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "data",
    [
        b"plain text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"\0" * 100,
        b"PK\x03\x04" + b"\0" * 50,
    ],
)
def test_what_is_not_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError, match="is not a picture"):
        decode(data, limits=LIMITS)


@pytest.mark.parametrize("format", ["EPS", "ICNS", "PDF", "TGA", "PCX", "AVIF", "JPEG2000"])
def test_a_format_that_is_not_on_the_list_is_refused(format: str) -> None:
    if format == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    with pytest.raises(PictureError, match="is not a picture"):
        decode(encode(quadrants((32, 32)), format), limits=LIMITS)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(PictureError, match="^is empty$"):
        decode(b"", limits=LIMITS)


def test_a_png_whose_text_unpacks_to_200_mb_is_refused() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("note", "x" * 100, zip=True)
    data = encode(quadrants(), "PNG", pnginfo=info)
    body = b"note\0\0" + zlib.compress(b"\0" * 200_000_000, 1)
    start = data.index(b"zTXt") - 4
    length = struct.unpack(">I", data[start : start + 4])[0]
    crc = struct.pack(">I", zlib.crc32(b"zTXt" + body))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + crc
    with pytest.raises(PictureError, match="is damaged"):
        decode(data[:start] + chunk + data[start + 12 + length :], limits=LIMITS)


def test_formats_that_decode_in_python_are_read_only_when_small() -> None:
    assert decode(b"P3 2 1 255 255 0 0 0 0 255", limits=LIMITS).getpixel((1, 0)) == (0, 0, 255)
    with pytest.raises(PictureError, match="is a PPM of a kind that takes too long to read"):
        decode(b"P3 999 999 255 " + b"9 " * 999_000, limits=LIMITS)
    header = struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 1078, 40, 999, 999, 1, 8, 1, 0, 0, 0, 256, 0)
    rle = b"BM" + header + bytes(1024) + b"\x01\x05" * 999_000
    with pytest.raises(PictureError, match="is a BMP of a kind that takes too long to read"):
        decode(rle, limits=LIMITS)


def with_passes(data: bytes, count: int) -> bytes:
    """The progressive JPEG with its last pass repeated."""
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * count + data[-2:]


def test_a_progressive_jpeg_with_ten_thousand_passes_is_refused() -> None:
    data = encode(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    assert 5 < num_scans(data) < 20
    assert num_scans(with_passes(data, 10_000)) == num_scans(data) + 10_000
    with pytest.raises(PictureError, match="far more passes than a progressive JPEG needs"):
        decode(with_passes(data, 10_000), limits=LIMITS)


def test_what_follows_a_jpeg_does_not_count_as_passes() -> None:
    data = encode(quadrants(), "JPEG")
    assert num_scans(data) == 1
    assert num_scans(data + b"\xff\xda\x00\x02" * 1000) == 1
    assert num_scans(encode(quadrants(), "JPEG", exif=b"Exif\0\0" + b"\xff\xda" * 99)) == 1
    assert num_scans(data[:100]) == 0
    assert num_scans(png()) == 0


def test_a_jpeg_decodes_smaller_only_when_asked_and_never_below_the_asked_side() -> None:
    data = encode(quadrants((800, 400)), "JPEG")
    assert decode(data, limits=LIMITS).size == (800, 400)
    assert decode(data, limits=LIMITS, min_side=100).size == (200, 100)
    assert decode(data, limits=LIMITS, min_side=101).size == (400, 200)
    assert decode(data, limits=LIMITS, min_side=399).size == (800, 400)
    assert decode(encode(quadrants((800, 400))), min_side=10).size == (800, 400)


def test_a_thousand_damaged_pictures_decode_or_are_refused_in_words() -> None:
    rng = random.Random(0)
    base = quadrants((32, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    originals = [encode(base, f, exif=exif) for f in ("JPEG", "PNG", "WEBP", "TIFF")]
    originals += [encode(base, f) for f in ("GIF", "BMP", "PPM")]
    originals += [
        encode(base, "TIFF", compression="tiff_lzw"),
        encode(base, "TIFF", compression="tiff_adobe_deflate"),
        encode(base.convert("CMYK"), "JPEG"),
        encode(base.quantize(4), "PNG", transparency=0),
    ]
    for number in range(1000):
        data = bytearray(originals[number % len(originals)])
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(min(len(data), rng.choice((64, 10_000))))] = rng.randrange(256)
        if number % 5 == 0:
            del data[rng.randrange(len(data)) :]
        try:
            assert decode(bytes(data), limits=LIMITS).mode == "RGB"
        except PictureError as error:
            assert str(error).startswith(("is ", "has ", "needs "))
