"""Pictures of every kind, made here."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageFile

RED, BLUE = (220, 30, 40), (20, 60, 200)


def drawn(size: tuple[int, int] = (80, 40), mode: str = "RGB") -> Image.Image:
    """The left half is red, the right one blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def picture(kind: str = "PNG", size: tuple[int, int] = (80, 40), **how: Any) -> bytes:
    """A file; how: what Pillow's `save` takes, and `mode`."""
    out = BytesIO()
    drawn(size, how.pop("mode", "RGB")).save(out, format=kind, **how)
    return out.getvalue()


def photo(kind: str = "JPEG", size: tuple[int, int] = (1600, 1200), **how: Any) -> bytes:
    """As busy as a photo: it compresses badly without loss."""
    out = BytesIO()
    Image.effect_noise(size, 40).convert("RGB").save(out, format=kind, **how)
    return out.getvalue()


def animation(frames: int = 3, size: tuple[int, int] = (60, 30), **how: Any) -> bytes:
    out = BytesIO()
    images = [Image.new("RGB", size, (number * 40, 90, 30)) for number in range(frames)]
    images[0].save(
        out, format="GIF", save_all=True, append_images=images[1:], duration=100, loop=0, **how
    )
    return out.getvalue()


def with_place(**how: Any) -> bytes:
    """A JPEG with the place where it was taken, who took it, and a comment."""
    exif = Image.Exif()
    exif[0x013B] = "Ann Example"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif[0x0112] = how.pop("orientation", 1)
    return picture("JPEG", exif=exif, comment=b"secret comment", **how)


def opened(content: bytes) -> ImageFile.ImageFile:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def colour(content: bytes, at: tuple[int, int]) -> tuple[int, ...]:
    """Red, green, blue and how opaque it is."""
    found = opened(content).convert("RGBA").getpixel(at)
    assert isinstance(found, tuple)
    return found


def least(image: Image.Image, channel: str) -> float:
    low = image.getchannel(channel).getextrema()[0]
    assert isinstance(low, int | float)
    return low
