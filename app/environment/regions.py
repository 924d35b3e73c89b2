"""Settings of which each SES region may have its own: SES_CONFIGURATION_SET_EU_WEST_1 beside
SES_CONFIGURATION_SET.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.domain.networks import is_web_address
from app.domain.ses.region import SesRegion
from app.errors import ConfigurationError

ENDPOINT_ID = r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$"
"""Of a global endpoint: the beginning of a host's name."""
CONFIGURATION_SET = r"^[A-Za-z0-9_-]{1,64}$"

BY_REGION = {
    "SES_CONFIGURATION_SET_": "configuration_set",
    "SES_TRACKING_CONFIGURATION_SET_": "tracking_configuration_set",
    "AWS_ENDPOINT_URL_SESV2_": "endpoint_url",
    "AWS_ENDPOINT_URL_SNS_": "sns_endpoint_url",
}
"""How such a variable begins, and what of the region it says."""

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")


def read_region_names(value: object) -> object:
    """SES_REGIONS as regions that have a name and nothing else yet. Raises ValueError."""
    if not isinstance(value, str):
        return value
    names = [name.strip().lower() for name in value.split(",") if name.strip()]
    for name, times in Counter(names).items():
        if not _REGION.fullmatch(name):
            raise ValueError(
                f"{name} is no region of AWS: write such as eu-west-1, several with commas between"
            )
        if times > 1:
            raise ValueError(f"{name} stands there twice: name each region once")
    return tuple(SesRegion(name) for name in names)


def variables_by_region(*sources: Mapping[str, Any]) -> dict[str, str]:
    """Those of `BY_REGION` in capitals; of two with one name the later source's holds. Empty ones
    count as not set."""
    return {
        name.upper(): str(value)
        for source in sources
        for name, value in source.items()
        if name.upper().startswith(tuple(BY_REGION)) and value
    }


def complete_regions(
    defaults: Sequence[SesRegion], variables: Mapping[str, str]
) -> tuple[SesRegion, ...]:
    """The regions with what is set for each alone. defaults: with what is set for all.

    Raises ConfigurationError naming the variable.
    """
    regions = {region.name: region for region in defaults}
    by_suffix = {region.suffix: region.name for region in defaults}
    for variable, value in variables.items():
        prefix = next(prefix for prefix in BY_REGION if variable.startswith(prefix))
        suffix = variable.removeprefix(prefix)
        if suffix not in by_suffix:
            meant = suffix.lower().replace("_", "-")
            raise ConfigurationError(
                f"{variable}: {meant} is not in SES_REGIONS ({', '.join(regions) or 'not set'}). "
                "Add it there, or take the variable away."
            )
        name, member = by_suffix[suffix], BY_REGION[prefix]
        regions[name] = replace(regions[name], **{member: _checked(variable, member, value)})
    return tuple(regions.values())


def require_signatures_of_two_regions() -> None:
    """A call to a global endpoint is signed for both of its regions (SigV4A), which botocore only
    does with the package awscrt. Raises ConfigurationError."""
    if importlib.util.find_spec("awscrt") is None:
        raise ConfigurationError(
            "SES_ENDPOINT_ID: calls to a global endpoint need the package awscrt, which is not "
            'installed. Install it: pip install "amazonsender[global-endpoint]"'
        )


def _checked(variable: str, member: str, value: str) -> str:
    """Raises ConfigurationError."""
    if member.endswith("configuration_set"):
        if not re.fullmatch(CONFIGURATION_SET, value):
            raise ConfigurationError(
                f"{variable}: must be the name of a configuration set (letters, digits, - and _)"
            )
        return value
    if not is_web_address(value):
        raise ConfigurationError(f"{variable}: must be an address like https://mail.example.com")
    return value.rstrip("/")
