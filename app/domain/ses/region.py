"""An AWS region that mail leaves from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SesRegion:
    """name: such as eu-west-1. endpoint_url, sns_endpoint_url: other addresses than AWS's for SES
    and SNS there (a sandbox). endpoint_id: of a global endpoint of SES, which sends from this
    region and a second one."""

    name: str
    configuration_set: str | None = None
    tracking_configuration_set: str | None = None
    endpoint_url: str | None = None
    sns_endpoint_url: str | None = None
    endpoint_id: str | None = None

    @property
    def suffix(self) -> str:
        """Of the settings that are its own: EU_WEST_1."""
        return self.name.upper().replace("-", "_")

    def configuration_set_for(self, own: str | None, *, tracking: bool) -> str | None:
        """Of a mail. own: the mailout's. Where opens and clicks are watched, the set that does it
        holds; a process that doesn't know it sends all the same, unwatched."""
        watched = self.tracking_configuration_set if tracking else None
        return watched or own or self.configuration_set
