"""The picture of a video that lies elsewhere on the web. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

_HOSTS = frozenset(
    f"{before}{host}" for host in ("youtube.com", "youtube-nocookie.com") for before in ("", "www.")
) | {"m.youtube.com", "music.youtube.com"}
_PATH = re.compile(r"/(?:shorts|embed|live|v)/([^/]+)/?")
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_PICTURE = re.compile(r"https://i\.ytimg\.com/vi/[A-Za-z0-9_-]{11}/hqdefault\.jpg")


def video_picture(url: str) -> str:
    """The address of the picture that YouTube shows before a video plays, 480 by 360 pixels; empty:
    it is no video there. Others, Vimeo too, name theirs to those only who ask their API."""
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("https", "http"):
        return ""
    video = ""
    if host in ("youtu.be", "www.youtu.be"):
        video = parts.path.strip("/")
    elif host in _HOSTS and parts.path.rstrip("/") == "/watch":
        video = parse_qs(parts.query).get("v", [""])[0]
    elif host in _HOSTS and (match := _PATH.fullmatch(parts.path)):
        video = match[1]
    return f"https://i.ytimg.com/vi/{video}/hqdefault.jpg" if _ID.fullmatch(video) else ""


def is_video_picture(url: str) -> bool:
    """Whether it is an address that `video_picture` gives."""
    return _PICTURE.fullmatch(url) is not None
