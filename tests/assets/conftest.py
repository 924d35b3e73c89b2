"""A server that has files, in Notion's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.local_server import LocalServer, Reply


class Files(LocalServer):
    """replies: what each path gets, one after the other; the last one stays. asked: the paths, in
    order."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    def has(self, path: str, *replies: bytes | Reply) -> str:
        """The address of a file, or of what else is there."""
        self.replies[path] = [
            reply if isinstance(reply, Reply) else Reply(200, reply) for reply in replies
        ]
        return self.url + path

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self.asked.append(path)
        self.headers.append(headers)
        replies = self.replies.get(path.partition("?")[0], [Reply(404, b"not there")])
        return replies.pop(0) if len(replies) > 1 else replies[0]


@pytest.fixture
def files() -> Iterator[Files]:
    with Files() as server:
        yield server
