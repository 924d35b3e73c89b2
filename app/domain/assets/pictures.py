"""What a picture is, by its content, and the one that a mail gets in its place. Pure.

Decodes what somebody else made: call it where that does no harm (services/assets/tasks.py).
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from app.domain.assets import gif
from app.domain.assets.sizes import MAX_KEPT_BYTES, MAX_SOURCE_BYTES, in_words, too_large
from app.errors import PictureRefused

MAX_PIXELS = 50_000_000
"""A phone's largest photo has 48 million. Decoded they take 200 MB."""
MAX_EDGE = 20_000
MAIL_WIDTH = 1200
"""Twice the 600 px of a mail, for screens with narrow pixels."""
JPEG_QUALITY = 82
SMALL_BYTES = 300_000
"""A JPEG that is no larger, and fits, isn't compressed a second time."""

# Pillow's parts for the kinds that are read; naming them here keeps all others out.
_FORMATS = {
    "png": PngImagePlugin.PngImageFile.format,
    "jpeg": JpegImagePlugin.JpegImageFile.format,
    "gif": GifImagePlugin.GifImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
    "avif": AvifImagePlugin.AvifImageFile.format,
    "tiff": TiffImagePlugin.TiffImageFile.format,
    "bmp": BmpImagePlugin.BmpImageFile.format,
}
_SRGB = ImageCms.createProfile("sRGB")
_MARKUP = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype|<svg|<html|<head|<body)", re.IGNORECASE)
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True)
class Picture:
    """As a mail shows it. note: what an author should know of how it differs; or None."""

    content: bytes
    media_type: str
    extension: str
    width: int
    height: int
    note: str | None = None


def kind_of(data: bytes) -> str | None:
    """png, jpeg, gif, webp, avif, tiff, bmp, heic, svg or html; None: nothing of these. By the
    first bytes, whatever a header or name says."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith((b"II*\0", b"MM\0*")):
        return "tiff"
    if data.startswith(b"BM"):
        return "bmp"
    if data[4:8] == b"ftyp":
        return _of_brand(data)
    if _MARKUP.match(head := data[:2000].removeprefix(b"\xef\xbb\xbf")):
        return "svg" if b"<svg" in head.lower() else "html"
    return None


def _of_brand(data: bytes) -> str | None:
    """Of a file in boxes, as ISO 14496-12 has it: its brand, then those that it is compatible
    with."""
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(data[3], 64), 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return "avif"
    return "heic" if brands[0] in _HEIC else None


_UNREADABLE = {
    None: ("not_a_picture", "it is no picture of a kind that is known here: use JPEG or PNG"),
    "svg": ("svg", "it is an SVG drawing, which mail programs don't show: export it as PNG"),
    "html": ("not_a_picture", "a web page came in its place"),
    "heic": ("heic", "it is a HEIC photo, which can't be read here: export it as JPEG"),
}


def for_mail(data: bytes) -> Picture:
    """The picture that a mail gets: PNG, JPEG or GIF, at most MAIL_WIDTH wide, upright, in sRGB
    and without metadata such as the place where it was taken. The same bytes give the same picture.

    Raises PictureRefused, whose detail says what is wrong with it and what to do.
    """
    if len(data) > MAX_SOURCE_BYTES:
        raise too_large(len(data))
    kind = kind_of(data)
    if kind not in _FORMATS:
        problem, words = _UNREADABLE[kind]
        raise PictureRefused(words, problem=problem)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = _made(data, kind)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise _too_many_pixels() from exc
    except (PictureRefused, MemoryError):
        raise
    except Exception as exc:  # decoders of broken files raise all sorts of things
        raise PictureRefused(
            "the file is damaged: open it in a program for pictures, save it anew, and put it in "
            "again",
            problem="broken",
        ) from exc
    if len(picture.content) > MAX_KEPT_BYTES:
        raise PictureRefused(
            f"it has {in_words(len(picture.content))} as a picture for a mail, and may have "
            f"{in_words(MAX_KEPT_BYTES)}: make it smaller, or shorten the animation",
            problem="too_large",
        )
    return picture


def _too_many_pixels() -> PictureRefused:
    return PictureRefused(
        f"it has more than {MAX_PIXELS // 1_000_000} million pixels, or an edge of more than "
        f"{MAX_EDGE:,}: make it smaller",
        problem="too_many_pixels",
    )


def _too_large_animation() -> PictureRefused:
    """It would stay as it is, and every reader's program would have to hold its frames."""
    return PictureRefused(
        f"it moves and has more than {MAIL_WIDTH * 2:,} × {MAIL_WIDTH * 4:,} px: make it at most "
        f"{MAIL_WIDTH:,} px wide",
        problem="too_many_pixels",
    )


def _made(data: bytes, kind: str) -> Picture:
    image: Image.Image = Image.open(BytesIO(data), formats=[str(_FORMATS[kind])])
    if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_EDGE:
        raise _too_many_pixels()
    moves = kind in ("gif", "png", "webp", "avif") and getattr(image, "is_animated", False)
    if kind == "gif" and moves:
        if image.width > MAIL_WIDTH * 2 or image.height > MAIL_WIDTH * 4:
            raise _too_large_animation()
        image.load()
        return Picture(gif.without_metadata(data), "image/gif", "gif", *image.size)
    note = "it moves in Notion and stands still in the mail: use a GIF" if moves else None
    if kind == "jpeg":  # a large one is decoded at a half, a quarter or an eighth of its size
        wide = MAIL_WIDTH * 3 // 2
        image.draft("RGB", (1, wide) if image.getexif().get(0x0112, 1) >= 5 else (wide, 1))
    image.load()
    if kind == "jpeg" and len(data) <= SMALL_BYTES and _fits_as_it_is(image):
        image.info.clear()
        return _saved(image, "jpeg", note, quality="keep")
    image = _in_colours(_upright(image))
    if image.width > MAIL_WIDTH:
        height = max(1, round(image.height * MAIL_WIDTH / image.width))
        image = _plain_colours(image).resize(
            (MAIL_WIDTH, height), Image.Resampling.LANCZOS, reducing_gap=3.0
        )
    image = _without_alpha_that_shows_nothing(_to_srgb(image))
    return _encoded(image, kind, note)


def _fits_as_it_is(image: Image.Image) -> bool:
    return bool(
        image.format == "JPEG"
        and image.mode in ("RGB", "L")
        and image.width <= MAIL_WIDTH
        and image.getexif().get(0x0112, 1) == 1
        and "icc_profile" not in image.info
    )


def _in_colours(image: Image.Image) -> Image.Image:
    """In one of the modes that the rest knows: L, RGB, RGBA, CMYK, and P without a profile."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L")
    if image.mode == "P" and "icc_profile" not in image.info:
        return image
    if image.mode in ("L", "RGB", "RGBA", "CMYK") and "transparency" not in image.info:
        return image
    if image.mode in ("1", "I", "F"):
        return image.convert("L")
    return _plain_colours(image)


def _plain_colours(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB", "RGBA", "CMYK") and "transparency" not in image.info:
        return image
    clear = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if clear else "RGB")


def _upright(image: Image.Image) -> Image.Image:
    turned: Image.Image | None = ImageOps.exif_transpose(image)
    return turned or image


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        try:
            made = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(BytesIO(profile)),
                _SRGB,
                outputMode="RGBA" if image.mode == "RGBA" else "RGB",
            )
            if made is not None:
                return made
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile that isn't one: colours as they are
    return image.convert("RGB") if image.mode == "CMYK" else image


def _without_alpha_that_shows_nothing(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    return image


def _encoded(image: Image.Image, kind: str, note: str | None) -> Picture:
    transparency = image.info.get("transparency")
    image.info.clear()  # comments, profiles and places are written from here
    extra = {} if transparency is None else {"transparency": transparency}
    is_opaque = image.mode != "RGBA" and not extra
    if is_opaque and kind in ("jpeg", "avif"):
        return _saved(image, "jpeg", note, quality=JPEG_QUALITY, progressive=True)
    exact = _saved(image, "png", note, **extra)
    if not is_opaque or len(exact.content) <= SMALL_BYTES:
        return exact
    # A photo as PNG has many times the bytes; a drawing's edges suffer in a JPEG.
    light = _saved(_plain_colours(image), "jpeg", note, quality=JPEG_QUALITY, progressive=True)
    return light if len(light.content) * 2 < len(exact.content) else exact


def _saved(image: Image.Image, extension: str, note: str | None, **how: object) -> Picture:
    out = BytesIO()
    image.save(out, format=extension, optimize=True, **how)
    names = {"jpeg": "jpg"}
    return Picture(
        out.getvalue(), f"image/{extension}", names.get(extension, extension), *image.size, note
    )
