"""What a stand-in is told when it starts, and what it may be told while it runs."""

from __future__ import annotations

from dataclasses import dataclass

CAPABILITIES = (
    "read_content",
    "update_content",
    "insert_content",
    "read_comments",
    "insert_comments",
    "read_user_information",
)


@dataclass(frozen=True, kw_only=True)
class NotionConfig:
    """token: the connection's. rate: requests in any `window` seconds; 0: no limit.
    retry_delay: first and longest wait, in seconds, between two tries of a webhook; Notion itself
    goes on for about a day, eight times in all. page_size: no list is answered in longer pages."""

    token: str = "ntn_sandbox"  # noqa: S105 - opens nothing but this stand-in
    rate: int = 0
    window: float = 60.0
    retry_delay: tuple[float, float] = (0.2, 5.0)
    page_size: int = 100
