"""JSON answers."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response


class JsonAnswer(Response):
    """A JSON answer of a route that sets its own status or headers."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class ProblemAnswer(JsonAnswer):
    media_type = "application/problem+json"
