"""The service with a stand-in for SNS, whose certificate it knows by now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.fortress import Fortress
from tests.security.sns.amazon import Amazon, Sns


@pytest.fixture(scope="module")
def amazon() -> Iterator[Amazon]:
    with Amazon() as server:
        yield server


@pytest.fixture(scope="module")
def elsewhere(amazon: Amazon) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_SNS": amazon.url}


@pytest.fixture(scope="module")
async def sns(fortress: Fortress, amazon: Amazon) -> Sns:
    road = Sns(fortress, amazon)
    notice = "Successfully validated SNS topic for Amazon SES event publishing."
    genuine = await road.post(road.notification(notice))
    assert genuine.json() == {"recorded": False}
    return road
