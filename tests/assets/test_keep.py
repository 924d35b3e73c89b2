"""Pictures are fetched, made fit for mail, kept once, and served for years."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import boto3
import httpx
import psycopg
import pytest
from moto import mock_aws
from psycopg.rows import DictRow

from app.adapters.assets.fetch import PictureFetcher
from app.adapters.database.postgres import PostgresDatabase
from app.domain.assets.kept import Kept, NotKept
from app.domain.assets.pictures import for_mail
from app.errors import ShelfRefused
from app.keeping import shelf_at
from app.services.assets import keep, tasks
from app.services.assets.keep import KeepPictures
from app.services.assets.serve import ServePictures
from app.services.rendering.limits import Limits
from app.store import Store
from tests.assets.conftest import Files
from tests.assets.samples import animation, photo, picture, with_place
from tests.support.local_server import Reply
from tests.support.service import in_process, settings_for

Sql = psycopg.AsyncConnection[DictRow]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "PAUSE_SECONDS", 0.0)


def keeping(store: Store, dsn: str, files: Files, **changes: str) -> KeepPictures:
    settings = settings_for(dsn, None, **changes)
    return KeepPictures(
        store, settings, PictureFetcher(files.url), shelf_at(settings, settings.assets_store)
    )


async def test_each_picture_is_kept_or_refused_by_name(
    store: Store, dsn: str, files: Files, sql: Sql
) -> None:
    """Over both ways to the database, five megabytes as well."""
    found = await keeping(store, dsn, files)(
        {
            "a": files.has("/ab/IMG%201.jpg", with_place()) + "?X-Amz-Signature=secret",
            "b": files.has("/large.jpg", photo("JPEG", (1500, 300))),
            "c": files.has("/moves.gif", animation()),
            "d": files.has("/drawing.svg", b"<svg/>"),
            "e": files.has("/broken.png", picture()[:50]),
            "f": files.has("/old.png", Reply(403, b"<Error/>")) + "?X-Amz-Signature=secret",
            "g": files.has("/away.png", Reply(503, b"")),
            "h": files.url + "/gone.png",
            "i": "https://example.com/not-notions.png",
            "j": picture("PNG", (30, 20)),
        }
    )
    kept = {name: each for name, each in found.items() if isinstance(each, Kept)}
    refused = {name: each for name, each in found.items() if isinstance(each, NotKept)}
    assert {name: (each.width, each.height) for name, each in kept.items()} == {
        "a": (80, 40),
        "b": (1200, 240),
        "c": (60, 30),
        "j": (30, 20),
    }
    assert {name: each.problem for name, each in refused.items()} == {
        "d": "svg",
        "e": "broken",
        "f": "expired",
        "g": "unreachable",
        "h": "gone",
        "i": "address",
    }
    assert files.asked.count("/away.png") == 2, "a server in trouble is asked once more"
    assert sum(path.startswith("/old.png") for path in files.asked) == 1, (
        "a time that is over stays over"
    )
    rows = await (await sql.execute("select * from assets order by origin nulls last")).fetchall()
    assert [row["media_type"] for row in rows] == [
        "image/jpeg",
        "image/jpeg",
        "image/gif",
        "image/png",
    ]
    for row in rows:
        assert hashlib.sha256(row["content"]).hexdigest() == row["sha256"]
        assert row["size"] == len(row["content"]) and row["store"] == "database"
        assert "secret" not in str(row["origin"])
    assert rows[0]["origin"] == "127.0.0.1: IMG 1.jpg"


async def test_the_same_picture_is_made_and_kept_once(
    store: Store, dsn: str, files: Files, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is read, and from whichever address."""
    keep_them = keeping(store, dsn, files)
    source = picture("PNG", (200, 100))
    first = await keep_them({"a": files.has("/1.png", source), "b": files.has("/2.png", source)})
    assert first["a"] == first["b"]
    monkeypatch.setattr(keep, "make_picture", None)  # it isn't made again
    again = await keep_them({"c": files.has("/3.png", source), "d": files.url + "/3.png"})
    assert again["c"] == again["d"] == first["a"]
    assert files.asked.count("/3.png") == 1, "one address is asked once"
    assert await _count(sql) == 1


async def _count(sql: Sql) -> int:
    row = await (await sql.execute("select count(*) as n from assets")).fetchone()
    assert row is not None
    return int(row["n"])


async def test_a_mail_has_so_many_pictures_and_no_more(
    direct_store: Store, dsn: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep, "MAX_PICTURES", 2)
    found = await keeping(direct_store, dsn, files)(
        {str(number): files.has(f"/{number}.png", b"<svg/>") for number in range(4)}
    )
    problems = [each.problem for each in found.values() if isinstance(each, NotKept)]
    assert problems == ["svg", "svg", "too_many", "too_many"]
    assert len(files.asked) == 2


async def test_what_takes_too_much_costs_its_author_a_word(
    direct_store: Store, dsn: str, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel ends the process that reads it, and no other."""
    monkeypatch.setattr(keep, "LIMITS", Limits(0.02, 30.0, tasks.LIMITS.memory_bytes))
    keep_them = keeping(direct_store, dsn, files)
    found = await keep_them({"a": photo("PNG", (1200, 800))})
    assert isinstance(found["a"], NotKept)
    assert found["a"].problem == "too_much" and "make it smaller" in found["a"].detail
    monkeypatch.undo()
    assert isinstance((await keep_them({"a": picture()}))["a"], Kept)


async def test_a_picture_in_a_bucket_is_served_from_there(
    direct_store: Store, dsn: str, files: Files, sql: Sql
) -> None:
    """Also after ASSETS_STORE was changed: mails that were sent name its address."""
    with mock_aws():
        boto3.client("s3", "us-east-1").create_bucket(Bucket="pictures")
        in_s3 = keeping(direct_store, dsn, files, ASSETS_STORE="s3://pictures/mails")
        kept = (await in_s3({"a": picture()}))["a"]
        assert isinstance(kept, Kept)
        row = await (await sql.execute("select content, store from assets")).fetchone()
        assert row == {"content": None, "store": "s3://pictures/mails"}
        async with in_process(settings_for(dsn, None), with_sender=False) as service:
            path = httpx.URL(kept.url).path
            assert (await service.http.get(path)).content == for_mail(picture()).content
            boto3.client("s3", "us-east-1").delete_object(
                Bucket="pictures", Key=f"mails/{kept.sha256}.png"
            )
            assert (await service.http.get(path)).status_code == 200, "it is remembered"
        async with in_process(settings_for(dsn, None), with_sender=False) as service:
            assert (await service.http.get(path)).status_code == 404
            boto3.client("s3", "us-east-1").delete_bucket(Bucket="pictures")
            away = await service.http.get(path)
            assert away.status_code == 503 and "pictures" not in away.text, "nobody's business"
        moved = await keeping(direct_store, dsn, files)({"a": picture()})
        assert moved["a"] == kept
        row = await (await sql.execute("select content, store from assets")).fetchone()
        assert row is not None and row["content"] is not None and row["store"] == "database"
        gone = keeping(direct_store, dsn, files, ASSETS_STORE="s3://nowhere")
        with pytest.raises(ShelfRefused, match="nowhere"):
            await gone({"a": picture("PNG", (9, 9))})
    assert await _count(sql) == 1, "what isn't stored isn't told to be"


async def test_addresses_are_those_of_the_setting(
    direct_store: Store, dsn: str, files: Files
) -> None:
    for changes, base in (
        ({}, "https://mail.example.com/assets/"),
        ({"ASSETS_BASE_URL": "https://cdn.example.com/p/"}, "https://cdn.example.com/p/"),
    ):
        keep_them = keeping(
            direct_store, dsn, files, APP_BASE_URL="https://mail.example.com", **changes
        )
        kept = (await keep_them({"a": picture()}))["a"]
        assert isinstance(kept, Kept)
        assert kept.url == f"{base}{kept.sha256}.png"


async def test_a_picture_is_public_immutable_and_harmless(dsn: str, files: Files) -> None:
    async with in_process(settings_for(dsn, None), with_sender=False) as service:
        http, store = service.http, service.services.store
        kept = (await keeping(store, dsn, files)({"a": with_place()}))["a"]
        assert isinstance(kept, Kept)
        path = httpx.URL(kept.url).path
        answer = await http.get(path)
        assert answer.status_code == 200
        assert answer.content == for_mail(with_place()).content
        expected = {
            "content-type": "image/jpeg",
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
            "etag": f'"{kept.sha256}"',
            "content-length": str(len(answer.content)),
        }
        assert {name: answer.headers.get(name) for name in expected} == expected
        assert "set-cookie" not in answer.headers

        head = await http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == expected["content-length"]

        for known in (f'"{kept.sha256}"', f'W/"{kept.sha256}", "other"', "*"):
            same = await http.get(path, headers={"If-None-Match": known})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == expected["etag"]
        changed = await http.get(path, headers={"If-None-Match": '"other"'})
        assert changed.status_code == 200
        # Scanners of mails add parameters of their own.
        assert (await http.get(f"{path}?utm_source=mail")).status_code == 200

        for wrong in (
            path.replace(".jpg", ".png"),
            path.replace(".jpg", ".jpeg"),
            path.replace(".jpg", ""),
            path.replace(".jpg", ".jpg%0a"),
            path.upper().replace("/ASSETS", "/assets"),
            f"/assets/{'0' * 64}.jpg",
            "/assets/..%2f..%2fetc%2fpasswd",
            "/assets/%2e%2e/health",
            "/assets/x",
            "/assets/%00.jpg",
            "/assets/",
        ):
            missing = await http.get(wrong)
            assert missing.status_code == 404, wrong
            assert missing.headers["content-type"] == "application/problem+json"
        assert (await http.get(f"/assets/{'0' * 64}.jpg")).headers["cache-control"] == "no-store"
        assert (await http.post(path)).status_code == 405


async def test_thousands_who_open_a_mail_read_the_database_once(
    postgres_database: PostgresDatabase, dsn: str, files: Files
) -> None:
    reads = 0

    class Counting(Store):
        async def read_asset(self, sha256: str, extension: str) -> Any:
            nonlocal reads
            reads += 1
            return await super().read_asset(sha256, extension)

    store = Counting(postgres_database)
    kept = (await keeping(store, dsn, files)({"a": picture()}))["a"]
    assert isinstance(kept, Kept)
    serve = ServePictures(store, lambda _: None)
    name = f"{kept.sha256}.png"
    found = await asyncio.gather(*(serve(name) for _ in range(200)))
    assert {each.content for each in found if each} == {for_mail(picture()).content}
    assert reads <= 4
