"""Pictures and PDFs that strangers made: small files that unpack to large ones, files that are two
kinds at once, and what is given out under our name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from app.domain.assets.files import is_pdf
from app.domain.assets.pictures import for_mail
from app.domain.assets.sizes import MAX_KEPT_BYTES
from app.errors import PictureRefused
from tests.security.fortress import Fortress
from tests.security.outbound.strangers import forget_peak, peak_kb

GROWTH_KB = 400_000
"""A picture of as many pixels as are taken has 200 MB; it is made in a process of its own, whose
memory is limited (services/rendering)."""
PIXEL = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
FRAME = b"\x21\xf9\x04\x04\x02\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00"


def _saved(kind: str, size: tuple[int, int] = (8, 8), **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, **more)
    return out.getvalue()


def _png(*chunks: tuple[bytes, bytes], size: tuple[int, int] = (1, 1)) -> bytes:
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", head), *chunks, (b"IEND", b"")):
        made += struct.pack(">I", len(data)) + name + data
        made += struct.pack(">I", zlib.crc32(name + data))
    return made


def png_of_many_pixels() -> bytes:
    return _png((b"IDAT", zlib.compress(bytes(1_000_000))), size=(30_000, 30_000))


def png_that_unpacks() -> bytes:
    return _png((b"IDAT", zlib.compress(bytes(200_000_000), 9)))


def png_with_packed_words() -> bytes:
    words = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    return _png((b"zTXt", words), (b"IDAT", zlib.compress(b"\0\0\0\0")))


def png_with_a_packed_profile() -> bytes:
    return _png(
        (b"iCCP", b"x\0\0" + zlib.compress(bytes(100_000_000), 9)),
        (b"IDAT", zlib.compress(b"\0\0\0\0")),
    )


def gif_of_10_000_frames() -> bytes:
    return PIXEL + FRAME * 10_000 + b";"


def gif_with_a_large_screen() -> bytes:
    return PIXEL.replace(b"\x01\x00\x01\x00", b"\xff\xff\xff\xff", 1) + FRAME + b";"


def gif_of_large_frames() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("P", (2_000, 2_000), n) for n in range(60)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def jpeg_of_many_pixels() -> bytes:
    made = bytearray(_saved("JPEG"))
    at = made.index(b"\xff\xc0")
    made[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return bytes(made)


def webp_of_many_pixels() -> bytes:
    return _saved("WEBP", (16_000, 8_000))


def tiff_of_many_pixels() -> bytes:
    return _saved("TIFF", (12_000, 12_000), compression="tiff_deflate")


def tiff_of_many_pages() -> bytes:
    out = io.BytesIO()
    page = Image.new("L", (16, 16))
    page.save(out, "TIFF", save_all=True, append_images=[page] * 300)
    return out.getvalue()


def bmp_of_many_pixels() -> bytes:
    made = bytearray(_saved("BMP"))
    made[18:26] = struct.pack("<ii", 2**30, 2**30)
    return bytes(made)


def avif_of_many_pixels() -> bytes:
    made = bytearray(_saved("AVIF"))
    at = made.index(b"ispe")
    made[at + 8 : at + 16] = b"\x7f\xff\xff\xff" * 2
    return bytes(made)


def ico() -> bytes:
    return _saved("ICO", (256, 256))


def jpeg_with_a_long_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000
    return _saved("JPEG", exif=exif)


def animated_png() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), (n % 255, 0, 0)) for n in range(500)]
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


BOMBS: list[Callable[[], bytes]] = [
    png_of_many_pixels, png_that_unpacks, png_with_packed_words, png_with_a_packed_profile,
    gif_of_10_000_frames, gif_with_a_large_screen, gif_of_large_frames, jpeg_of_many_pixels,
    webp_of_many_pixels, tiff_of_many_pixels, tiff_of_many_pages, bmp_of_many_pixels,
    avif_of_many_pixels, ico, jpeg_with_a_long_exif, animated_png,
]  # fmt: skip


_SLOW = {
    gif_of_large_frames, gif_of_10_000_frames, webp_of_many_pixels, tiff_of_many_pixels,
    png_that_unpacks, png_with_a_packed_profile, png_with_packed_words,
}  # fmt: skip
"""To be made, not to be refused."""


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(
            bomb,
            id=bomb.__name__,
            marks=[pytest.mark.short] if bomb in _SLOW else [],
        )
        for bomb in BOMBS
    ],
)
def test_no_picture_unpacks_beyond_measure(bomb: Callable[[], bytes]) -> None:
    """What comes out is small, or a refusal in words."""
    content = bomb()
    forget_peak()
    before = peak_kb()
    with suppress(PictureRefused):
        made = for_mail(content)
        assert len(made.content) <= MAX_KEPT_BYTES
        assert made.extension in {"png", "jpg", "gif"}
    assert peak_kb() - before < GROWTH_KB


SCRIPT = b"<html><script>alert(1)</script><?php system($_GET[0]); ?>"


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_file_of_two_kinds_is_made_one(kind: str) -> None:
    """Words, scripts and archives behind, before and within a picture aren't in the mail's."""
    plain = _saved(kind)
    inside = {
        "PNG": lambda: _saved("PNG", pnginfo=_note()),
        "GIF": lambda: _saved("GIF", comment=SCRIPT),
        "JPEG": lambda: _saved("JPEG", comment=SCRIPT),
    }.get(kind, lambda: plain)()
    for content in (plain + SCRIPT, plain + b"PK\x03\x04" + SCRIPT, inside, inside + b"%PDF-1.7"):
        made = for_mail(content).content
        assert b"script" not in made
        assert b"PK\x03\x04" not in made
        assert not is_pdf(made)
    with pytest.raises(PictureRefused):
        for_mail(SCRIPT + plain)
    with pytest.raises(PictureRefused):
        for_mail(b"%PDF-1.7\n" + plain)


def _note() -> PngImagePlugin.PngInfo:
    note = PngImagePlugin.PngInfo()
    note.add_text("Comment", SCRIPT.decode())
    return note


@pytest.mark.parametrize(
    "drawing",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY x 'y'>]><svg>&x;</svg>",
        b"  <!-- GIF89a --><svg><script>alert(1)</script></svg>",
        b"\x1f\x8b\x08\x00svgz",
        b"8BPS\x00\x01", b"%!PS-Adobe-3.0 EPSF", b"P6 1 1 255 xxx",
        b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        b"\x00\x00\x01\x00\x01\x00", b"\xd7\xcd\xc6\x9a", b"FWS\x06",
    ],
)  # fmt: skip
def test_what_runs_or_is_read_by_other_decoders_is_no_picture(drawing: bytes) -> None:
    """SVG, PostScript, Photoshop, JPEG 2000, icons: never given to a decoder."""
    with pytest.raises(PictureRefused):
        for_mail(drawing + bytes(64))


async def test_no_name_leads_out_of_the_shelf(fortress: Fortress) -> None:
    names = [
        "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/health", "..\\x", "%00", "x.png%00",
        "x" * 4_096, "'; drop table assets;--", "%ff", "..;/x", "0" * 64 + ".svg",
        "0" * 64 + ".html",
        "0" * 64 + ".png/../x", "%0d%0aX-Injected:1",
    ]  # fmt: skip
    async with fortress.untouched():
        for name in names:
            head = f"GET /assets/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            answer = await fortress.raw(head.encode("latin-1"))
            assert answer.split(b" ")[1] in {b"404", b"400", b"405"}, (name, answer[:200])
            assert b"\r\nX-Injected" not in answer
