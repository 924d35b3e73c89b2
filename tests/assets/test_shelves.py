"""Places for pictures other than the database: Amazon S3 and Supabase Storage."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from app.adapters.assets.supabase_storage import SupabaseShelf
from app.adapters.aws.s3 import S3Shelf
from app.errors import ConfigurationError, ShelfRefused, Unavailable
from app.keeping import shelf_at
from app.ports import PictureShelf
from app.settings import Settings
from tests.assets.storage_stand_in import KEY, StorageStandIn
from tests.support.service import settings_for

NAME = "ab" * 32 + ".png"
DSN = "postgresql://localhost/x"


def for_storage(url: str, key: str = KEY) -> Settings:
    return settings_for(DSN, None, SUPABASE_URL=url, SUPABASE_SERVICE_ROLE_KEY=key)


@pytest.fixture
def storage() -> Iterator[StorageStandIn]:
    with StorageStandIn() as server:
        server.make_bucket("pictures")
        yield server


@pytest.fixture(params=["s3", "supabase"])
def shelf(request: pytest.FixtureRequest) -> Iterator[PictureShelf]:
    """Each place in turn, empty."""
    if request.param == "supabase":
        server: StorageStandIn = request.getfixturevalue("storage")
        found = shelf_at(for_storage(server.url), "supabase://pictures")
        assert found is not None
        yield found
        return
    with mock_aws():
        boto3.client("s3", "us-east-1").create_bucket(Bucket="pictures")
        found = shelf_at(settings_for(DSN, None), "s3://pictures/of/mails/")
        assert found is not None
        yield found


async def test_what_is_put_there_is_found_there(shelf: PictureShelf) -> None:
    await shelf.check()
    assert await shelf.get(NAME) is None
    for _ in range(2):  # the second time nothing changes
        await shelf.put(NAME, b"content", "image/png")
    assert await shelf.get(NAME) == b"content"


async def test_a_place_is_called_as_the_setting_has_it(shelf: PictureShelf) -> None:
    again = shelf_at(for_storage("https://ab.supabase.co"), shelf.place)
    assert again is not None and again.place == shelf.place


async def test_s3_keeps_them_for_ever_under_the_prefix() -> None:
    with mock_aws():
        client = boto3.client("s3", "us-east-1")
        client.create_bucket(Bucket="pictures")
        await S3Shelf(settings_for(DSN, None), "pictures", "of/mails").put(NAME, b"x", "image/png")
        kept = client.get_object(Bucket="pictures", Key=f"of/mails/{NAME}")
        assert kept["ContentType"] == "image/png"
        assert kept["CacheControl"] == "public, max-age=31536000, immutable"


async def test_supabase_keeps_them_for_ever(storage: StorageStandIn) -> None:
    await SupabaseShelf(for_storage(storage.url), "pictures").put(NAME, b"x", "image/png")
    kept = storage.objects["pictures", NAME]
    assert (kept.media_type, kept.cache) == ("image/png", "public, max-age=31536000, immutable")


async def test_a_bucket_that_isnt_there_is_named_with_the_remedy(storage: StorageStandIn) -> None:
    with mock_aws():
        for shelf in (
            S3Shelf(settings_for(DSN, None), "nowhere"),
            SupabaseShelf(for_storage(storage.url), "nowhere"),
        ):
            for call in (shelf.check(), shelf.put(NAME, b"x", "image/png"), shelf.get(NAME)):
                with pytest.raises(ShelfRefused, match=r"bucket nowhere.*make it in S"):
                    await call


async def test_a_key_that_is_refused_is_named_without_the_key(storage: StorageStandIn) -> None:
    shelf = SupabaseShelf(for_storage(storage.url, "sb_secret_of_another_project"), "pictures")
    with pytest.raises(ShelfRefused, match="SUPABASE_SERVICE_ROLE_KEY") as refused:
        await shelf.put(NAME, b"x", "image/png")
    assert "another_project" not in refused.value.detail


async def test_a_bucket_that_takes_no_pictures_is_named(storage: StorageStandIn) -> None:
    storage.make_bucket("papers", takes=("application/pdf",))
    with pytest.raises(ShelfRefused, match=r"bucket papers.*PNG, JPEG and GIF.*PDF"):
        await SupabaseShelf(for_storage(storage.url), "papers").put(NAME, b"x", "image/png")


async def test_s3_without_credentials_is_no_outage() -> None:
    """Nobody waits for it: the row says what is missing."""
    settings = settings_for(DSN, None, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    with pytest.raises(ShelfRefused, match=r"credentials.*AWS_"):
        await S3Shelf(settings, "pictures").put(NAME, b"x", "image/png")


async def test_s3_that_is_away_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="can't be reached"):
        await S3Shelf(settings_for(DSN, None), "pictures").put(NAME, b"x", "image/png")


async def test_a_place_that_is_away_is_asked_again_later(storage: StorageStandIn) -> None:
    for url in ("http://127.0.0.1:9", f"{storage.url}/in_trouble"):
        with pytest.raises(Unavailable):
            await SupabaseShelf(for_storage(url), "pictures").put(NAME, b"x", "image/png")


def test_supabase_needs_its_settings() -> None:
    with pytest.raises(ConfigurationError, match=r"ASSETS_STORE.*SUPABASE_URL"):
        settings_for(DSN, None, ASSETS_STORE="supabase://pictures")
    with pytest.raises(ShelfRefused, match="SUPABASE_URL"):  # where pictures lay once
        shelf_at(settings_for(DSN, None), "supabase://pictures")
    assert shelf_at(settings_for(DSN, None), "database") is None
