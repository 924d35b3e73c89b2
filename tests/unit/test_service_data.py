"""Clients of AWS made from less than botocore's own data are the same clients."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore.loaders import JSONFileLoader, Loader

from app.adapters.aws.clients.service_data import CALLED, SmallFiles

SERVICES = ("sesv2", "sns", "sqs", "s3", "sts", "sso", "sso-oidc")
FILES = ("service-2", "endpoint-rule-set-1", "paginators-1")
DATA = Loader.BUILTIN_DATA_PATH


def client_of(loader: Loader, service: str, region: str) -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", loader)
    return session.create_client(
        service, region_name=region, aws_access_key_id="AKIATEST", aws_secret_access_key="test"
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])
def test_a_client_has_the_same_address_and_signs_for_the_same(region: str) -> None:
    whole, small = Loader(), Loader(file_loader=SmallFiles())

    for service in SERVICES:
        first, second = (client_of(loader, service, region) for loader in (whole, small))

        assert second.meta.endpoint_url == first.meta.endpoint_url
        assert second.meta.region_name == first.meta.region_name
        one, other = (client._request_signer for client in (first, second))
        assert other.signing_name == one.signing_name
        assert other.region_name == one.region_name
        assert other.signature_version == one.signature_version
        assert second.meta.service_model.endpoint_prefix in CALLED


@pytest.mark.parametrize("service", SERVICES)
def test_a_description_is_read_as_botocore_reads_it(service: str) -> None:
    version = Loader().determine_latest_version(service, "service-2")

    for file in FILES:
        path = f"{DATA}/{service}/{version}/{file}"
        assert SmallFiles().load_file(path) == JSONFileLoader().load_file(path)


def test_of_the_endpoints_those_are_left_that_are_called() -> None:
    path = f"{DATA}/endpoints"
    whole, small = JSONFileLoader().load_file(path), SmallFiles().load_file(path)

    for partition in whole["partitions"]:
        for name in partition["services"].keys() - CALLED:
            del partition["services"][name]
    assert small == whole


def test_a_file_that_is_not_there_is_none() -> None:
    assert SmallFiles().load_file(f"{DATA}/nothing") is None
