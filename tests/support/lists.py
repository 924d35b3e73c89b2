"""Files of lists: what is read of them; made-up subscribers, and what an export makes of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.lists.people import Person, Refused
from app.domain.states import SUBSCRIBER_STATUSES
from app.services.lists.list_file import ListFile

WORD = st.text("abcÄ=-_ ;.'\"|,[", min_size=1, max_size=8).map(str.strip).filter(bool)
TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\0")
    | st.sampled_from("'=+-@\t\r\n,;|\" \xa0\u200b"),
    max_size=12,
)
NAMES = WORD | TEXT | st.sampled_from(
    ["email", "Status", "fields.x", "json.x", "JSON.", "first_name", "newsletter", "City (2)",
     "Column 3", "tags", "line", "city", "CITY", "'=1", " x ", ""]
)  # fmt: skip
VALUES = (
    TEXT | st.integers(-9, 9) | st.booleans() | st.none() | st.floats(-5, 5) | st.just("")
    | st.lists(WORD, max_size=2) | st.dictionaries(WORD, st.none() | TEXT, max_size=2)
    | st.sampled_from(["5", "true", "null", "unsubscribed", "2024-01-01", "01234"])
)  # fmt: skip
SUBSCRIBER = st.fixed_dictionaries(
    {
        "name": st.none() | WORD,
        "status": st.sampled_from(SUBSCRIBER_STATUSES),
        "tags": st.lists(WORD, max_size=3, unique=True),
        "timezone": st.sampled_from([None, "Europe/Berlin", "America/New_York"]),
        "created_at": st.integers(0, 1_700_000_000).map(
            lambda seconds: datetime.fromtimestamp(seconds, UTC).isoformat()
        ),
        "consent": st.none() | st.fixed_dictionaries({"source": WORD}),
        "fields": st.dictionaries(NAMES, VALUES, max_size=4),
    }
)


def exported(subscribers: Sequence[dict[str, Any]]) -> str:
    """As `Export` writes them."""
    fields = [item for one in subscribers for item in one["fields"].items()]
    texts = sorted({name for name, value in fields if isinstance(value, str) and value})
    others = sorted({name for name, value in fields if not (isinstance(value, str) and value)})
    rows = ExportedRows(texts, others)
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([rows.header(), *map(rows.row, subscribers)])
    return BYTE_ORDER_MARK + out.getvalue()


def cells(text: str) -> list[list[str]]:
    """As a spreadsheet sees them."""
    return list(csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline="")))


def opened(content: str | bytes, mapped: Iterable[tuple[str, str]] = ()) -> ListFile:
    data = content.encode() if isinstance(content, str) else content
    return ListFile(io.BytesIO(data), mapped)


def read(content: str | bytes, *mapped: tuple[str, str]) -> list[Person | Refused]:
    return list(opened(content, mapped).rows())


def people(content: str | bytes, *mapped: tuple[str, str]) -> dict[str, Person]:
    rows = read(content, *mapped)
    assert all(isinstance(row, Person) for row in rows), rows
    return {row.email: row for row in rows if isinstance(row, Person)}


def refused(content: str | bytes, *mapped: tuple[str, str]) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in read(content, *mapped) if isinstance(row, Refused)]
