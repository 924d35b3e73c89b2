"""What tests of the stand-in share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from notion_client.errors import APIResponseError


@contextmanager
def refused(status: int, code: str, words: str = "") -> Iterator[None]:
    """The call inside is refused in Notion's shape, and says `words`."""
    with pytest.raises(APIResponseError) as caught:
        yield
    assert (caught.value.status, str(getattr(caught.value.code, "value", caught.value.code))) == (
        status,
        code,
    )
    assert words in str(caught.value)
