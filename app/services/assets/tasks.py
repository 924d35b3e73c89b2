"""What is done with files of others in a process of its own (services/rendering)."""

from __future__ import annotations

import base64
from typing import Any

from app.errors import PictureRefused
from app.services.rendering.limits import Limits

LIMITS = Limits(cpu_seconds=15.0, wall_seconds=70.0, memory_bytes=900_000_000)
"""The largest picture that is taken needs a third of each."""


def make_picture(data: bytes) -> dict[str, Any]:
    """The picture that a mail gets for a file, its content in base64, or why there is none:
    `problem` and `detail`."""
    # Here, so that who asks for it doesn't carry what decodes pictures.
    from app.domain.assets.pictures import for_mail

    try:
        made = for_mail(data)
    except PictureRefused as refused:
        return {"problem": refused.extra["problem"], "detail": refused.detail}
    return {
        "content": base64.b64encode(made.content).decode(),
        "media_type": made.media_type,
        "extension": made.extension,
        "width": made.width,
        "height": made.height,
        "note": made.note,
    }
