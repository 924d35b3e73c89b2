"""What is said where the details of a mailout were dropped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.errors import DetailsGone


def require_details(mailout: Mapping[str, Any]) -> None:
    """mailout: as mailout_headline gives it. Raises DetailsGone where its ledger shrank."""
    if at := mailout["details_dropped_at"]:
        raise DetailsGone(in_words(at))


def in_words(at: str) -> str:
    return (
        f"Who got this mailout is not known any more: its details were dropped on {at[:10]} "
        "(LEDGER_RETENTION_DAYS). Its counts are kept."
    )


def details_kept_until(mailout: Mapping[str, Any], days: int | None) -> str | None:
    """From when on a mailout that is over may shrink (ISO 8601); None: it isn't over, or ledgers
    are kept. days: LEDGER_RETENTION_DAYS."""
    if days is None or mailout["status"] not in {"sent", "failed", "cancelled"}:
        return None
    ended = datetime.fromisoformat(mailout["sent_at"] or mailout["updated_at"])
    return (ended + timedelta(days=days)).isoformat()
