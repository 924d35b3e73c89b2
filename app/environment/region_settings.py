"""The settings of SES's regions: a part of the program's (app/settings.py)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from app.domain.networks import is_web_address
from app.domain.ses.region import SesRegion
from app.environment.regions import CONFIGURATION_SET, ENDPOINT_ID, read_region_names

Regions = Annotated[tuple[SesRegion, ...], NoDecode, BeforeValidator(read_region_names)]


class RegionSettings(BaseSettings):
    aws_region: str | None = None
    aws_endpoint_url_sesv2: str | None = None
    aws_endpoint_url_sns: str | None = None
    ses_configuration_set: str | None = Field(None, pattern=CONFIGURATION_SET)
    ses_tracking_configuration_set: str | None = Field(None, pattern=CONFIGURATION_SET)
    ses_regions: Regions = ()
    """Where mail leaves, in order of preference; the first is home. AWS_REGION alone where
    SES_REGIONS isn't set; empty without either."""
    ses_endpoint_id: str | None = Field(None, pattern=ENDPOINT_ID)

    @field_validator("aws_endpoint_url_sesv2", "aws_endpoint_url_sns")
    @classmethod
    def _endpoint_url(cls, value: str | None) -> str | None:
        if value is not None and not is_web_address(value):
            raise ValueError("must be an address like https://mail.example.com")
        return None if value is None else value.rstrip("/")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.ses_endpoint_id and len(self.ses_regions) > 1:
            raise ValueError(
                "SES_ENDPOINT_ID and several SES_REGIONS exclude each other: a global endpoint "
                "chooses between its two regions by itself"
            )
        return self

    def configuration_set_for(self, own: str | None, *, tracking: bool) -> str | None:
        """Of a mail. own: the mailout's. Where opens and clicks are watched, the set that does it
        holds; a process that doesn't know it sends all the same, unwatched."""
        return self.home.configuration_set_for(own, tracking=tracking)

    @property
    def uses_sandbox(self) -> bool:
        """Whether no mail reaches Amazon."""
        return all(region.endpoint_url for region in self.ses_regions)

    @property
    def home(self) -> SesRegion:
        """The first of the regions; one without a name where none is set."""
        return self.ses_regions[0] if self.ses_regions else self.default_region("")

    def region(self, name: str) -> SesRegion:
        """One of ours, or another with what is set for all."""
        ours = (region for region in self.ses_regions if region.name == name)
        return next(ours, self.default_region(name))

    def sns_endpoint(self, region: str) -> str | None:
        """AWS_ENDPOINT_URL_SNS there."""
        return self.region(region).sns_endpoint_url

    def of_region(self, region: SesRegion) -> Self:
        """As if this one were the only one."""
        return self.model_copy(
            update={
                "aws_region": region.name,
                "ses_regions": (region,),
                "ses_configuration_set": region.configuration_set,
                "ses_tracking_configuration_set": region.tracking_configuration_set,
                "aws_endpoint_url_sesv2": region.endpoint_url,
                "aws_endpoint_url_sns": region.sns_endpoint_url,
            }
        )

    def default_region(self, name: str) -> SesRegion:
        """With what is set for all regions alike."""
        return SesRegion(
            name,
            configuration_set=self.ses_configuration_set,
            tracking_configuration_set=self.ses_tracking_configuration_set,
            endpoint_url=self.aws_endpoint_url_sesv2,
            sns_endpoint_url=self.aws_endpoint_url_sns,
            endpoint_id=self.ses_endpoint_id,
        )

    @property
    def region_names(self) -> tuple[str, ...]:
        return tuple(region.name for region in self.ses_regions)

    def regions_for(self, kept: str | None) -> tuple[str, ...]:
        """By which a mailout is sent. kept: the only one that it takes; None: all."""
        return self.region_names if kept is None else (kept,)

    def missing_to_track(self, kept: str | None = None) -> str | None:
        """What must be set before opens and clicks can be watched; None: nothing. kept: the only
        region that the mailout takes."""
        regions = [each for each in self.ses_regions if kept in (None, each.name)]
        without = [each for each in regions if not each.tracking_configuration_set]
        if len(without) == len(regions):
            return "SES_TRACKING_CONFIGURATION_SET"
        return f"SES_TRACKING_CONFIGURATION_SET_{without[0].suffix}" if without else None
