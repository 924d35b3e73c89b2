"""SES_REGIONS, and the settings of which each region may have its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.adapters.aws.ses import SesSender
from app.domain.ses.region import SesRegion
from app.errors import ConfigurationError
from app.settings import Settings, load_settings
from tests.support.service import settings_for


def from_file(tmp_path: Path, *lines: str) -> Settings:
    file = tmp_path / ".env"
    file.write_text("\n".join(lines), encoding="utf-8")
    return load_settings(file)


def test_one_region_is_that_of_aws_region() -> None:
    settings = load_settings(None, aws_region="eu-west-1", ses_configuration_set="news")
    assert settings.ses_regions == (SesRegion("eu-west-1", "news"),)
    assert settings.home.name == "eu-west-1"
    assert load_settings(None).ses_regions == ()


def test_the_first_of_several_is_home_and_each_has_what_is_set_for_it(tmp_path: Path) -> None:
    settings = from_file(
        tmp_path,
        "SES_REGIONS= us-east-1, eu-west-1",
        "SES_CONFIGURATION_SET=news",
        "SES_CONFIGURATION_SET_EU_WEST_1=news-eu",
        "SES_CONFIGURATION_SET_US_EAST_1=",
        "SES_TRACKING_CONFIGURATION_SET_EU_WEST_1=watched-eu",
        "AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:8025",
        "AWS_ENDPOINT_URL_SESV2_EU_WEST_1=http://127.0.0.1:8026/",
        "AWS_ENDPOINT_URL_SNS_EU_WEST_1=http://127.0.0.1:8027",
    )
    home = SesRegion("us-east-1", "news", None, "http://127.0.0.1:8025")
    other = SesRegion(
        "eu-west-1", "news-eu", "watched-eu", "http://127.0.0.1:8026", "http://127.0.0.1:8027"
    )
    assert settings.ses_regions == (home, other)
    assert settings.home == home
    assert settings.aws_region == "us-east-1"  # of what isn't SES


def test_the_environment_holds_against_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ses_configuration_set_eu_west_1", "of-the-environment")
    settings = from_file(
        tmp_path, "AWS_REGION=eu-west-1", "SES_CONFIGURATION_SET_EU_WEST_1=of-the-file"
    )
    assert settings.home.configuration_set == "of-the-environment"


def test_aws_region_may_be_another_one() -> None:
    settings = load_settings(None, aws_region="eu-central-1", ses_regions="eu-west-1,us-east-1")
    assert settings.aws_region == "eu-central-1"
    assert [region.name for region in settings.ses_regions] == ["eu-west-1", "us-east-1"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["SES_REGIONS=eu-west-1,eu-west-1"], "SES_REGIONS: eu-west-1 stands there twice"),
        (["SES_REGIONS=eu-west-1;us-east-1"], "SES_REGIONS: eu-west-1;us-east-1 is no region"),
        (["SES_REGIONS=Ireland"], "SES_REGIONS: ireland is no region"),
        (
            ["SES_REGIONS=eu-west-1", "SES_CONFIGURATION_SET_EU_WEST_2=x"],
            r"SES_CONFIGURATION_SET_EU_WEST_2: eu-west-2 is not in SES_REGIONS \(eu-west-1\)",
        ),
        (
            ["AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_SESV2_EU_WEST1=http://x"],
            "AWS_ENDPOINT_URL_SESV2_EU_WEST1",
        ),
        (["SES_CONFIGURATION_SET_EU_WEST_1=x"], "not in SES_REGIONS .not set."),
        (
            ["AWS_REGION=eu-west-1", "SES_CONFIGURATION_SET_EU_WEST_1=my set"],
            "SES_CONFIGURATION_SET_EU_WEST_1: must be the name of a configuration set",
        ),
        (
            ["AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL_SESV2_EU_WEST_1=127.0.0.1:8025"],
            "AWS_ENDPOINT_URL_SESV2_EU_WEST_1: must be an address",
        ),
    ],
)
def test_what_makes_no_sense_stops_the_start_with_its_name(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        from_file(tmp_path, *lines)
    assert "\n" not in error.value.detail


def test_a_region_variable_of_the_environment_without_its_region_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SES_CONFIGURATION_SET_EU_WEST_2", "x")
    with pytest.raises(ConfigurationError, match="SES_CONFIGURATION_SET_EU_WEST_2"):
        load_settings(None, aws_region="eu-west-1")


def test_a_rehearsal_over_http_needs_a_sandbox_for_every_region() -> None:
    one = {"SES_REGIONS": "us-east-1,eu-west-1", "AWS_ENDPOINT_URL_SESV2_US_EAST_1": "http://x"}
    both = one | {"AWS_ENDPOINT_URL_SESV2_EU_WEST_1": "http://y"}
    assert settings_for("postgresql://x", None, **both).missing_to_send() == []
    assert settings_for("postgresql://x", None, **one).missing_to_send() == [
        "APP_BASE_URL (must be https:// to send)"
    ]


def test_each_region_is_asked_at_its_own_address() -> None:
    settings = settings_for(
        "postgresql://x",
        "http://127.0.0.1:8025",
        SES_REGIONS="us-east-1,eu-west-1",
        AWS_ENDPOINT_URL_SESV2_EU_WEST_1="http://127.0.0.1:8026",
    )
    clients = [
        SesSender(settings, region, max_connections=1)._client for region in settings.ses_regions
    ]
    assert [(each.meta.region_name, each.meta.endpoint_url) for each in clients] == [
        ("us-east-1", "http://127.0.0.1:8025"),
        ("eu-west-1", "http://127.0.0.1:8026"),
    ]
