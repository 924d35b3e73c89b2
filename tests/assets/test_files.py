"""PDFs of pages are kept as they are, and nothing else is; videos lend their pictures."""

from __future__ import annotations

import hashlib

import boto3
import httpx
import psycopg
import pytest
from moto import mock_aws
from psycopg.rows import DictRow

from app.adapters.assets.fetch import PictureFetcher
from app.domain.assets.kept import Kept, KeptFile, NotKept
from app.domain.assets.pictures import for_mail
from app.domain.assets.videos import is_video_picture, video_picture
from app.errors import PictureRefused, ShelfRefused, Unavailable
from app.keeping import shelf_at
from app.services.assets.keep import KeepPictures
from app.store import Store
from tests.assets.conftest import Files
from tests.assets.samples import picture
from tests.assets.storage_stand_in import KEY, StorageStandIn
from tests.support.local_server import Reply
from tests.support.service import in_process, settings_for

Sql = psycopg.AsyncConnection[DictRow]
VIDEO = "https://i.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg"


def pdf(size: int = 300) -> bytes:
    """As large as asked for; programs that read it would find no page."""
    return b"%PDF-1.7\n".ljust(size - 6, b"%") + b"\n%%EOF"


def keeping(store: Store, dsn: str, files: Files, **changes: str) -> KeepPictures:
    settings = settings_for(dsn, None, **changes)
    return KeepPictures(
        store, settings, PictureFetcher(files.url), shelf_at(settings, settings.assets_store)
    )


async def test_a_pdf_is_kept_as_it_is_and_once(
    store: Store, dsn: str, files: Files, sql: Sql
) -> None:
    """Over both ways to the database, as large as one may be."""
    keep, largest = keeping(store, dsn, files), pdf(5_000_000)
    one = files.has("/ab/Tide%20table.pdf", largest) + "?X-Amz-Signature=secret"
    found = await keep.files([one])
    found |= await keep.files([files.has("/again", largest)])
    kept = KeptFile(
        f"http://localhost:8000/assets/{hashlib.sha256(largest).hexdigest()}.pdf",
        5_000_000,
        hashlib.sha256(largest).hexdigest(),
    )
    assert list(found.values()) == [kept, kept]
    rows = await (await sql.execute("select * from assets")).fetchall()
    assert [row["content"] for row in rows] == [largest]
    assert (rows[0]["media_type"], rows[0]["width"]) == ("application/pdf", None)
    assert rows[0]["origin"] == "127.0.0.1: Tide table.pdf"
    stored = await store.read_asset(kept.sha256, "pdf")
    assert stored is not None and stored.content == largest


@pytest.mark.parametrize(
    ("content", "problem", "words"),
    [
        (b"<!doctype html><script>alert(1)</script>%PDF-1.7", "no_pdf", "isn't a PDF.*link to it"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no_pdf", "isn't a PDF.*link to it"),
        (b"PK\x03\x04 of an office file", "no_pdf", "isn't a PDF.*link to it"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "no_pdf", "isn't a PDF.*link to it"),
        (b"", "no_pdf", "isn't a PDF.*link to it"),
        (pdf(5_100_000), "too_large", r"5\.1 MB; PDFs of up to 5 MB.*smaller.*link to it"),
        (pdf(20_000_001), "too_large", "20 MB"),
    ],
)
async def test_what_is_no_pdf_by_its_content_is_refused(
    direct_store: Store, dsn: str, files: Files, sql: Sql, content: bytes, problem: str, words: str
) -> None:
    """Whatever its name and its server say."""
    url = files.has("/plan.pdf", Reply(200, content, {"Content-Type": "application/pdf"}))
    refused = (await keeping(direct_store, dsn, files).files([url]))[url]
    assert isinstance(refused, NotKept) and refused.problem == problem
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(refused.detail)
    assert not await (await sql.execute("select 1 from assets")).fetchall()


async def test_a_file_at_notion_that_ended_is_read_anew(
    direct_store: Store, dsn: str, files: Files
) -> None:
    url = files.has("/old.pdf", Reply(403, b"<Error/>")) + "?X-Amz-Signature=secret"
    elsewhere = "https://example.com/plan.pdf"
    found = await keeping(direct_store, dsn, files).files([url, elsewhere])
    problems = [each.problem for each in found.values() if isinstance(each, NotKept)]
    assert problems == ["expired", "address"]


async def test_a_pdf_is_no_picture_and_a_picture_no_pdf(
    direct_store: Store, dsn: str, files: Files
) -> None:
    """Though the other was kept before."""
    keep = keeping(direct_store, dsn, files)
    paper, cat = files.has("/paper", pdf()), files.has("/cat", picture())
    await keep.files([paper])
    await keep({"cat": cat})
    as_picture, as_file = (await keep({"paper": paper}))["paper"], (await keep.files([cat]))[cat]
    assert isinstance(as_picture, NotKept) and as_picture.problem == "not_a_picture"
    assert isinstance(as_file, NotKept) and as_file.problem == "no_pdf"


async def test_a_bucket_takes_larger_ones(direct_store: Store, dsn: str, files: Files) -> None:
    """They don't pass through the database; a reader gets them at the same address."""
    large = pdf(12_000_000)
    url = files.has("/large.pdf", large)
    name = f"{hashlib.sha256(large).hexdigest()}.pdf"
    with mock_aws(), StorageStandIn() as storage:
        storage.make_bucket("papers", takes=("application/pdf",))
        at_supabase = {"SUPABASE_URL": storage.url, "SUPABASE_SERVICE_ROLE_KEY": KEY}
        supabase = keeping(
            direct_store, dsn, files, ASSETS_STORE="supabase://papers", **at_supabase
        )
        assert isinstance((await supabase.files([url]))[url], KeptFile)
        kept = storage.objects["papers", name]
        assert (kept.content, kept.media_type) == (large, "application/pdf")

        client = boto3.client("s3", "us-east-1")
        client.create_bucket(Bucket="papers")
        in_s3 = keeping(direct_store, dsn, files, ASSETS_STORE="s3://papers/mails")
        assert isinstance((await in_s3.files([url]))[url], KeptFile)
        lies = client.get_object(Bucket="papers", Key=f"mails/{name}")
        assert lies["ContentType"] == "application/pdf" and lies["Body"].read() == large
        async with in_process(settings_for(dsn, None), with_sender=False) as service:
            assert (await service.http.get(f"/assets/{name}")).content == large


async def test_a_pdf_is_public_immutable_and_harmless(dsn: str, files: Files) -> None:
    async with in_process(settings_for(dsn, None), with_sender=False) as service:
        url = files.has("/plan.pdf", pdf())
        kept = (await keeping(service.services.store, dsn, files).files([url]))[url]
        assert isinstance(kept, KeptFile)
        path = httpx.URL(kept.url).path
        answer = await service.http.get(path)
        assert (answer.status_code, answer.content) == (200, pdf())
        expected = {
            "content-type": "application/pdf",
            "content-disposition": f'inline; filename="{kept.sha256}.pdf"',
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "etag": f'"{kept.sha256}"',
        }
        assert {name: answer.headers.get(name) for name in expected} == expected
        policy = answer.headers["content-security-policy"]
        assert policy == "default-src 'none'; frame-ancestors 'none'", "no viewer needs more"
        for other in ("png", "html", "svg"):
            assert (await service.http.get(path.replace(".pdf", f".{other}"))).status_code == 404


# Videos


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://youtube.com/watch?app=desktop&v=dQw4w9WgXcQ&t=42s",
        "http://m.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://music.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=abc",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ?feature=share",
        "https://www.youtube.com/embed/dQw4w9WgXcQ",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
    ],
)
def test_a_video_at_youtube_has_a_picture(url: str) -> None:
    assert video_picture(url) == VIDEO and is_video_picture(VIDEO)


@pytest.mark.parametrize(
    "url",
    [
        "https://vimeo.com/76979871",
        "https://www.youtube.com/@harbour",
        "https://www.youtube.com/playlist?list=PL0",
        "https://www.youtube.com/watch?v=short",
        "https://www.youtube.com/watch?v=../../../xyz",
        "https://youtube.com.example.com/watch?v=dQw4w9WgXcQ",
        "https://example.com/?https://youtu.be/dQw4w9WgXcQ",
        "javascript://youtu.be/dQw4w9WgXcQ",
        "https://[youtu.be/dQw4w9WgXcQ",
        "",
    ],
)
def test_others_have_none(url: str) -> None:
    assert video_picture(url) == ""
    assert not is_video_picture(url)


async def test_a_videos_picture_comes_from_one_place(files: Files) -> None:
    """And not from our own network, whatever its name is said to mean."""

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    fetcher = PictureFetcher("https://api.notion.com", resolve=here)
    assert fetcher.takes(VIDEO)
    with pytest.raises(PictureRefused) as refused:
        await fetcher.fetch(VIDEO)
    assert refused.value.extra["problem"] == "private_address"
    for other in (
        "https://i.ytimg.com/",
        "http://i.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg",
        "https://i.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg?x",
        "https://i.ytimg.com.example.com/vi/dQw4w9WgXcQ/hqdefault.jpg",
    ):
        assert not fetcher.takes(other)


class Videos:
    """YouTube's pictures. given: what it answers."""

    def __init__(self, given: bytes | Exception) -> None:
        self.given = given
        self.asked = 0

    def takes(self, url: str) -> bool:
        return True

    async def fetch(self, url: str) -> bytes:
        self.asked += 1
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


async def test_a_videos_picture_is_kept_as_others_are(direct_store: Store, dsn: str) -> None:
    frame = picture("JPEG", (480, 360))
    keep = KeepPictures(direct_store, settings_for(dsn, None), Videos(frame))
    kept = (await keep.of_videos([VIDEO]))[VIDEO]
    sha256 = hashlib.sha256(for_mail(frame).content).hexdigest()
    assert kept == Kept(f"http://localhost:8000/assets/{sha256}.jpg", 480, 360, sha256=sha256)


@pytest.mark.parametrize(
    "given",
    [
        PictureRefused("it isn't there any more", problem="gone"),
        Unavailable("it can't be fetched now"),
        b"<html>please agree to our terms</html>",
        pdf(),
    ],
)
async def test_nothing_stops_for_a_videos_picture(
    direct_store: Store, dsn: str, given: bytes | Exception
) -> None:
    """It is asked for once."""
    source = Videos(given)
    keep = KeepPictures(direct_store, settings_for(dsn, None), source)
    assert await keep.of_videos([VIDEO]) == {} and source.asked == 1


async def test_nothing_stops_where_its_picture_cant_be_kept(direct_store: Store, dsn: str) -> None:
    with mock_aws():
        settings = settings_for(dsn, None, ASSETS_STORE="s3://nowhere")
        shelf = shelf_at(settings, settings.assets_store)
        keep = KeepPictures(direct_store, settings, Videos(picture()), shelf)
        assert await keep.of_videos([VIDEO]) == {}
        with pytest.raises(ShelfRefused):
            await keep({"a": picture()})
