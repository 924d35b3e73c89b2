"""`/openapi.json`: whoever makes a client of it finds scopes, problems and examples."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest

from app.api.http.deps import Services
from app.main import create_app

NEW = re.compile("/hooks|engagement|/why$")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    create_app(cast("Services", None)).openapi()
    return create_app(cast("Services", None)).openapi()  # and not of the first one alone


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    schemas = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(described))) <= schemas


def test_malformed_requests_are_described_as_they_are_answered(described: dict[str, Any]) -> None:
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status in ("401", "403", "404", "409", "422"):
                    assert set(answer["content"]) == {"application/problem+json"}, (method, path)
    assert "HTTPValidationError" not in json.dumps(described)


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
