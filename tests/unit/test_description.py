"""`/openapi.json`: whoever makes a client of it finds scopes, problems and examples."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.routes import bare_app

NEW = re.compile("/hooks|engagement|/why$")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return bare_app().openapi()


def test_reports_and_webhooks_have_words_scopes_and_examples(described: dict[str, Any]) -> None:
    seen = 0
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if not NEW.search(path):
                continue
            seen += 1
            assert operation["description"], (method, path)
            assert operation["security"], (method, path)
            for status, answer in operation["responses"].items():
                if status.startswith("2") and "application/json" in answer.get("content", {}):
                    assert answer["content"]["application/json"]["example"], (method, path)
    assert seen > 14
