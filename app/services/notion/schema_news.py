"""Somebody changed the properties of the Notion database, as an event says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from app.domain.notion.database.drift import drift
from app.errors import ConfigurationError, NotionRefused
from app.services.jobs.runner import JobFailed, Running
from app.services.notion.workspace import Workspace

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SchemaNews:
    workspace: Workspace

    async def as_job(self, running: Running) -> dict[str, Any]:
        """Read them anew, and say what is missing now, as `amazonsender notion check` does. Raises
        NotionAway, and JobFailed where Notion refuses, as when the database was deleted."""
        self.workspace.forget_schema()
        try:
            schema = await self.workspace.schema()
        except (NotionRefused, ConfigurationError) as refusal:
            raise JobFailed(refusal.detail) from None
        missing = [each for each in drift(schema) if each.level != "ok"]
        for finding in missing:
            log.warning("notion_schema_drift", problem=finding.what, remedy=finding.remedy)
        return {"missing": [finding.sentences for finding in missing]}
