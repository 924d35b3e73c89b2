"""SendBulkEmail's answer without the generic parser, where everybody was accepted.

tests/integration/test_bulk_calls.py compares both ways.
"""

from __future__ import annotations

import orjson

MESSAGE_ID_MAX_CHARS = 255


def accepted_ids(body: bytes, entries: int) -> list[str] | None:
    """SES's message ids, when it accepted every entry; None for any other answer, which boto3's
    parser is to read."""
    try:
        results = orjson.loads(body)["BulkEmailEntryResults"]
        ids: list[str] = [one["MessageId"] for one in results if one["Status"] == "SUCCESS"]
        together = "".join(ids)
    except (ValueError, LookupError, TypeError):
        return None
    if not len(ids) == len(results) == entries:
        return None
    fit = together.isascii() and together.isprintable() and " " not in together
    return ids if fit and all(0 < len(i) <= MESSAGE_ID_MAX_CHARS for i in ids) else None
