"""The settings of retention: a part of the program's (app/settings.py)."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

SHORTEST_DAYS = 30
"""SNS's message ids must outlive everything that may repeat a message: SNS itself (23 days at
most), a queue of SQS (14 days). Late bounces and complaints find their row by then."""
LONGEST_DAYS = 36_500


class RetentionSettings(BaseSettings):
    events_retention_days: int = Field(90, ge=SHORTEST_DAYS, le=LONGEST_DAYS)
    ledger_retention_days: int | None = Field(None, ge=SHORTEST_DAYS, le=LONGEST_DAYS)
    """None: a mailout's ledger is kept."""
