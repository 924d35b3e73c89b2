"""What a picture is by its content, and what a mail gets in its place."""

from __future__ import annotations

import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from app.domain.assets import pictures
from app.domain.assets.pictures import for_mail, kind_of
from app.errors import PictureRefused
from tests.assets.samples import (
    BLUE,
    RED,
    animation,
    colour,
    drawn,
    least,
    opened,
    photo,
    picture,
    with_place,
)
from tests.support.wide import examples

SVG = b'<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>'
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def close(one: tuple[int, ...], other: tuple[int, ...], by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one[:3], other[:3], strict=True))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("GIF", "image/png"),
        ("WEBP", "image/png"),
        ("AVIF", "image/jpeg"),
        ("TIFF", "image/png"),
        ("BMP", "image/png"),
    ],
)
def test_every_kind_becomes_one_that_mail_programs_show(kind: str, shown: str) -> None:
    made = for_mail(picture(kind))
    assert (made.media_type, made.width, made.height, made.note) == (shown, 80, 40, None)
    image = opened(made.content)
    assert image.get_format_mimetype() == shown
    assert made.extension == {"image/png": "png", "image/jpeg": "jpg"}[shown]
    assert close(colour(made.content, (10, 20)), RED)
    assert close(colour(made.content, (70, 20)), BLUE)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16"])
def test_every_way_to_store_colours_is_read(mode: str) -> None:
    made = for_mail(picture("PNG", mode=mode))
    assert opened(made.content).size == (80, 40)


def test_a_large_photo_is_made_twice_as_wide_as_a_mail() -> None:
    made = for_mail(photo("JPEG", (1600, 1200)))
    assert (made.width, made.height, made.media_type) == (1200, 900, "image/jpeg")
    assert opened(made.content).size == (1200, 900)


def test_a_photo_stored_without_loss_becomes_a_jpeg_and_a_drawing_stays_exact() -> None:
    assert for_mail(photo("PNG", (500, 400))).media_type == "image/jpeg"
    drawing = for_mail(picture("PNG", (1100, 800)))
    assert drawing.media_type == "image/png"
    assert colour(drawing.content, (5, 5))[:3] == RED


def test_what_shines_through_stays_so() -> None:
    image = drawn((1400, 100), "RGBA")
    image.putalpha(Image.linear_gradient("L").resize((1400, 100)))
    out = BytesIO()
    image.save(out, format="WEBP", lossless=True)
    made = for_mail(out.getvalue())
    assert (made.media_type, made.width) == ("image/png", 1200)
    assert least(opened(made.content), "A") < 30

    clear = Image.new("P", (8, 8), 1)
    clear.putpalette([0, 0, 0, 255, 0, 0])
    out = BytesIO()
    clear.save(out, format="GIF", transparency=1)
    assert colour(for_mail(out.getvalue()).content, (3, 3))[3] == 0


@pytest.mark.parametrize("size", [(80, 40), (1600, 1200)])
def test_a_photo_stands_upright_and_tells_nothing_of_its_author(size: tuple[int, int]) -> None:
    """Its place (GPS), author and comments are gone, scaled or not."""
    lying = with_place(orientation=6, size=size)
    assert b"Ann Example" in lying and b"secret comment" in lying
    made = for_mail(lying)
    assert made.height > made.width, "the camera was held upright"
    for content in (made.content, for_mail(with_place(size=size)).content):
        assert b"Ann" not in content and b"secret" not in content and b"Exif" not in content
        assert not opened(content).getexif()


def test_colours_of_another_profile_become_those_of_srgb() -> None:
    # A camera's red and green exchanged, which a program that ignores the profile would show.
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = swapped.find(b"rXYZ", 128), swapped.find(b"gXYZ", 128)
    tags = bytearray(swapped)
    tags[red : red + 4], tags[green : green + 4] = b"gXYZ", b"rXYZ"
    made = for_mail(picture("PNG", icc_profile=bytes(tags)))
    assert "icc_profile" not in opened(made.content).info
    red_part, green_part, *_ = colour(made.content, (10, 20))
    assert green_part > red_part
    # What only calls itself a profile does no harm.
    odd = for_mail(picture("PNG", icc_profile=b"no profile"))
    assert colour(odd.content, (10, 20))[:3] == RED


def test_an_animation_stays_one_without_its_comments() -> None:
    source = animation(comment=b"made by Ann")
    made = for_mail(source)
    assert (made.media_type, made.extension, made.width) == ("image/gif", "gif", 60)
    shown = opened(made.content)
    assert getattr(shown, "n_frames", 1) == 3 and shown.info["loop"] == 0
    assert b"made by Ann" not in made.content
    assert for_mail(source + b"behind the end: a place").content == made.content


def test_what_moves_otherwise_stands_still_and_says_so() -> None:
    out = BytesIO()
    drawn().save(out, format="WEBP", save_all=True, append_images=[Image.new("RGB", (80, 40))])
    made = for_mail(out.getvalue())
    assert made.media_type == "image/png"
    assert made.note is not None and "stands still" in made.note


@pytest.mark.parametrize(
    ("content", "problem", "word"),
    [
        (SVG, "svg", "export it as PNG"),
        (HEIC, "heic", "export it as JPEG"),
        (b"<!DOCTYPE html><title>Sign in</title>", "not_a_picture", "web page"),
        (b"%PDF-1.7", "not_a_picture", "JPEG or PNG"),
        (b"", "not_a_picture", "JPEG or PNG"),
        (picture("PNG")[:60], "broken", "damaged"),
        (photo("JPEG", (300, 300))[:5000], "broken", "damaged"),
        (animation()[:-20], "broken", "damaged"),
        (animation(2, (2401, 8)), "too_many_pixels", "1,200 px wide"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20_000_001), "too_large", "20 MB"),
    ],
)
def test_what_no_mail_can_show_is_refused_with_the_remedy(
    content: bytes, problem: str, word: str
) -> None:
    with pytest.raises(PictureRefused) as refused:
        for_mail(content)
    assert refused.value.extra["problem"] == problem
    assert word in refused.value.detail


@pytest.mark.parametrize("size", [(8000, 7000), (1, 20_001), (60_000, 60_000)])
def test_a_bomb_is_refused_before_it_is_decoded(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    header = bytearray(picture("PNG"))
    header[16:24] = size[0].to_bytes(4) + size[1].to_bytes(4)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
    header[29:33] = zlib.crc32(header[12:29]).to_bytes(4)
    with pytest.raises(PictureRefused) as refused:
        for_mail(bytes(header))
    assert refused.value.extra["problem"] == "too_many_pixels"


def test_an_animation_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_KEPT_BYTES", 200)
    with pytest.raises(PictureRefused, match="shorten the animation"):
        for_mail(animation())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_the_same_picture_gives_the_same_bytes(kind: str) -> None:
    source = photo(kind, (1300, 60))
    assert for_mail(source).content == for_mail(bytes(source)).content


@settings(max_examples=examples(20))
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    """Bytes changed, cut off or added anywhere: a picture comes out, or a refusal in words."""
    source = bytearray(data.draw(st.sampled_from(_SOURCES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(source) - 1))
        source[at] = data.draw(st.integers(0, 255))
    cut = bytes(source[: data.draw(st.integers(1, len(source)))])
    with suppress(PictureRefused):
        made = for_mail(cut)
        assert opened(made.content).size == (made.width, made.height)
        assert made.width <= 1200 or made.extension == "gif"


_SOURCES = [
    *(picture(kind) for kind in ("PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP")),
    with_place(),
    animation(),
]


def test_a_kind_is_told_by_the_content_alone() -> None:
    found = [kind_of(source) for source in _SOURCES]
    assert found == ["png", "gif", "webp", "avif", "tiff", "bmp", "jpeg", "gif"]
    assert kind_of(b"GIF89") is None
