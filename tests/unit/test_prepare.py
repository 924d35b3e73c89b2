"""What must hold before a mailout is begun, whoever is mailed."""

from __future__ import annotations

import pytest

from app.errors import TemplateInvalid
from app.services.sending.prepare import require_fitting
from tests.support.service import settings_for

HALF = 500_000
"""Bytes of a bulk call's megabyte that the content may take, so that recipients' data have room."""


@pytest.mark.parametrize("mode", ["bulk", "auto", "single"])
def test_content_may_take_exactly_half_of_a_bulk_call(mode: str) -> None:
    """More goes by SendEmail, where the mode allows it."""
    settings = settings_for("postgresql://unused", None, SES_SEND_MODE=mode)
    require_fitting(settings, b"x" * HALF)
    if mode == "bulk":
        with pytest.raises(TemplateInvalid, match=r"500,001 bytes.*SES_SEND_MODE=auto"):
            require_fitting(settings, b"x" * (HALF + 1))
    else:
        require_fitting(settings, b"x" * (HALF + 1))
