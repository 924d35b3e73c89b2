"""What fuzzing found, each as its kind."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.security.fortress import BEARER, Fortress

# Control characters beyond ASCII's, separators, and what has no place or no width.
ODD = ("\x7f", "\x80", "\x85", "\x96", "\x9f", "\u2028", "\u2029", "\u200b", "\ufeff", "\ufdd0",
       "\U000e0001", "\U0010ffff")  # fmt: skip
NAMED: dict[str, Any] = {
    "/templates": lambda name: {"name": name, "body_html": "<p>x</p>"},
    "/segments": lambda name: {"name": name, "audience": {"tags": ["news"]}},
    "/keys": lambda name: {"name": name, "scopes": ["read"]},
    "/subscribers": lambda name: {
        "email": f"{uuid4().hex}@example.com", "name": name, "tags": [name], "fields": {name: name}
    },
    "/mailouts": lambda name: {"subject": name, "from_name": name, "preheader": name},
    "/hooks": lambda name: {
        "url": f"https://crm.example.com/{uuid4().hex}", "events": ["mailout.finished"],
        "description": name,
    },
    "/audience/count": lambda name: {"audience": {"tags": [name]}},
}  # fmt: skip


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("path", NAMED)
async def test_59_odd_characters_in_names_are_taken_or_refused(
    fortress: Fortress, path: str
) -> None:
    """A template's name with a control character beyond ASCII's was the database's to refuse."""
    for char in ODD:
        for name in (f"a{char}", f"{char}a", f"a{char}b", char):
            answer = await fortress.http.post(path, json=NAMED[path](name), headers=BEARER)
            assert answer.status_code in {200, 201, 409, 422}, (path, name, answer.text)
