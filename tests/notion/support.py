"""What tests about Notion share."""

from __future__ import annotations

import httpx

TOKEN = "ntn_a_secret_of_the_integration"


class FakeTime:
    """A clock that passes only while somebody waits for it."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


def refused(status: int, code: str, message: str = "No.", **headers: str) -> httpx.Response:
    """An error as Notion writes it."""
    body = {"object": "error", "status": status, "code": code, "message": message}
    return httpx.Response(status, json=body, headers=headers)
