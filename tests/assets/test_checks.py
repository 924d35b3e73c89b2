"""A place for pictures that readers would get nothing from is found before a mail is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import boto3
import httpx
import pytest
from moto import mock_aws

from app.domain.assets.kept import Asset
from app.domain.assets.pictures import for_mail
from app.domain.reports.findings import Finding
from app.errors import Unavailable
from app.keeping import shelf_at
from app.services.checks.asking import Outside
from app.services.checks.pictures import check_pictures, keeps_pictures
from app.services.checks.preflight import Preflight
from app.settings import Settings
from app.store import Store
from tests.assets.samples import picture
from tests.support.service import settings_for

CONTENT = for_mail(picture()).content
KNOWN = Asset("ab" * 32, "image/png", "png", 80, 40, len(CONTENT))
PUBLIC = "https://pictures.example.com"


def away(*_: Any) -> Any:
    raise Unavailable("It isn't asked.")


def outside(answer: Callable[[httpx.Request], httpx.Response]) -> Outside:
    def web() -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    return Outside(away, away, http=web, shelf=shelf_at)


def answering(status: int = 200, content: bytes = CONTENT) -> Outside:
    return outside(lambda _: httpx.Response(status, content=content))


def said(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.sentences) for finding in findings]


@pytest.fixture
def bucket() -> Iterator[None]:
    with mock_aws():
        boto3.client("s3", "us-east-1").create_bucket(Bucket="pictures")
        yield


def settings(store: str = "s3://pictures/mails", **changes: str | None) -> Settings:
    return settings_for("postgresql://unused", None, ASSETS_STORE=store, **changes)


def test_nothing_is_asked_where_no_pictures_are_kept() -> None:
    assert not keeps_pictures(settings("database"))
    assert keeps_pictures(settings())
    notion = {"NOTION_API_TOKEN": "ntn_x", "NOTION_DATABASE_ID": "1f0d" * 8}
    assert keeps_pictures(settings("database", **notion))


async def test_a_bucket_that_isnt_there_fails_with_the_remedy(bucket: None) -> None:
    [finding] = await check_pictures(settings("s3://elsewhere"), answering(), KNOWN)
    assert finding.level == "fail"
    assert "bucket elsewhere" in finding.what and "correct ASSETS_STORE" in finding.what


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [(403, b"<Error/>", "answers 403"), (404, b"", "answers 404"), (200, b"other", "else")],
)
async def test_a_bucket_that_readers_cant_read_fails(
    bucket: None, status: int, content: bytes, words: str
) -> None:
    found = await check_pictures(
        settings(ASSETS_BASE_URL=PUBLIC), answering(status, content), KNOWN
    )
    assert [finding.level for finding in found] == ["ok", "fail"]
    assert words in found[1].what and "ASSETS_BASE_URL" in found[1].remedy


async def test_a_large_pdf_is_read_to_its_end(bucket: None) -> None:
    """It may be the latest that was kept."""
    paper = b"%PDF-".ljust(6_000_000)
    known = Asset(sha256(paper).hexdigest(), "application/pdf", "pdf", None, None, len(paper))
    found = await check_pictures(settings(ASSETS_BASE_URL=PUBLIC), answering(200, paper), known)
    assert [finding.level for finding in found] == ["ok", "ok"]


async def test_a_picture_is_asked_for_as_a_reader_does(bucket: None) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=CONTENT)

    known = Asset(sha256(CONTENT).hexdigest(), "image/png", "png", 80, 40, len(CONTENT))
    found = await check_pictures(settings(ASSETS_BASE_URL=PUBLIC), outside(answer), known)
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert asked == [f"{PUBLIC}/{known.name}"]
    asked.clear()
    assert said(await check_pictures(settings(), outside(answer), known)) == said(found[:1])
    assert await check_pictures(settings("database"), outside(answer), None) == []
    assert not asked, "this machine's own name says nothing about readers"


async def test_an_address_that_cant_be_reached_from_here_is_a_warning(bucket: None) -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    found = await check_pictures(settings(ASSETS_BASE_URL=PUBLIC), outside(fails), KNOWN)
    assert [finding.level for finding in found] == ["ok", "warn"]


async def test_the_check_asks_for_the_latest_picture(store: Store) -> None:
    """Of the store that is in use."""
    assert await store.latest_asset("database") is None
    for number, place in enumerate(("database", "database", "s3://pictures")):
        asset = Asset(f"{number:064x}", "image/png", "png", 80, 40, 3)
        await store.keep_asset(
            asset,
            source=f"{number:064x}",
            recipe=1,
            store=place,
            origin=None,
            content=b"abc" if place == "database" else None,
        )
    latest = await store.latest_asset("database")
    assert latest is not None and latest.sha256 == f"{1:064x}"
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(404)

    both = settings(
        "database",
        ASSETS_BASE_URL=PUBLIC,
        NOTION_API_TOKEN="ntn_x",
        NOTION_DATABASE_ID="1f0d" * 8,
    )
    [finding] = await Preflight(store, both, outside(answer)).of_pictures()
    assert finding.level == "fail" and asked == [f"/{latest.name}"]
