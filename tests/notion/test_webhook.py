"""`POST /notion-events`: who is believed, and what an event causes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from psycopg.rows import DictRow, dict_row

from app.domain.notion.events import (
    MAX_EVENT_BYTES,
    MalformedNotionEvent,
    read_event,
    signature,
)
from app.errors import NotionNotConfigured
from app.sandbox.notion.server import NotionServer
from app.services.notion.webhook import NotionWebhook
from tests.support.dashboard import Visitor
from tests.support.databases import DatabaseServer
from tests.support.local_server import LocalServer, Reply
from tests.support.service import Service, in_process, settings_for

TOKEN = "secret_notionverificationtoken0123456789"
DATABASE, SOURCE, BOT, PERSON = (uuid4() for _ in range(4))
Sql = psycopg.AsyncConnection[DictRow]


class Webhook:
    """A service with a webhook, and Notion before it."""

    def __init__(self, service: Service, sql: Sql) -> None:
        self.service, self.sql = service, sql

    async def post(
        self, body: dict[str, Any] | bytes, *, token: str | None = TOKEN, **headers: str
    ) -> httpx.Response:
        """token: that it is signed with; None: it isn't."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        if token is not None:
            headers = {"X-Notion-Signature": signature(token, raw)} | headers
        return await self.service.http.post("/notion-events", content=raw, headers=headers)

    async def outcome(self, body: dict[str, Any]) -> str:
        answer = await self.post(body)
        assert answer.status_code == 200, answer.text
        said: str = answer.json()["outcome"]
        return said

    async def jobs(self, kind: str) -> list[dict[str, Any]]:
        """What the open jobs of a kind are about."""
        done = await self.sql.execute(
            "select payload from jobs where kind = %s and state = 'waiting' order by created_at",
            [kind],
        )
        return [row["payload"] async for row in done]

    def counted(self, outcome: str) -> float:
        return self.service.services.metrics.totals()[
            "amazonsender_notion_events_total", (outcome,)
        ]


@asynccontextmanager
async def webhook(server: DatabaseServer, token: str | None) -> AsyncIterator[Webhook]:
    with server.database() as database:
        dsn = server.dsn(database)
        settings = settings_for(
            dsn,
            None,
            AWS_REGION=None,
            NOTION_API_TOKEN="ntn_token",
            NOTION_DATABASE_ID=str(DATABASE),
            NOTION_WEBHOOK_VERIFICATION_TOKEN=token,
        )
        async with (
            in_process(settings, with_sender=False) as service,
            await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=dict_row
            ) as sql,
        ):
            await service.services.store.tell_notion_integration(BOT, [DATABASE, SOURCE])
            yield Webhook(service, sql)


@pytest.fixture(scope="module")
async def hook(postgres_server: DatabaseServer) -> AsyncIterator[Webhook]:
    async with webhook(postgres_server, TOKEN) as found:
        yield found


@pytest.fixture(scope="module")
async def unset(postgres_server: DatabaseServer) -> AsyncIterator[Webhook]:
    """While NOTION_WEBHOOK_VERIFICATION_TOKEN isn't set."""
    async with webhook(postgres_server, None) as found:
        yield found


def event(
    kind: str = "page.properties_updated",
    entity: UUID | None = None,
    *,
    by: tuple[tuple[str, UUID], ...] = (("person", PERSON),),
    **data: Any,
) -> dict[str, Any]:
    """As Notion posts it, of a row of the database unless `parent` says otherwise."""
    return {
        "id": str(uuid4()),
        "timestamp": "2026-01-31T09:00:00.000Z",
        "workspace_id": str(uuid4()),
        "subscription_id": str(uuid4()),
        "integration_id": str(uuid4()),
        "type": kind,
        "authors": [{"id": str(each), "type": what} for what, each in by],
        "attempt_number": 1,
        "api_version": "2026-03-11",
        "entity": {"id": str(entity or uuid4()), "type": kind.partition(".")[0]},
        "data": {
            "parent": {"id": str(DATABASE), "type": "database", "data_source_id": str(SOURCE)},
            **data,
        },
    }


async def test_an_event_of_a_row_has_it_looked_at(hook: Webhook) -> None:
    page = uuid4()
    assert await hook.outcome(event(entity=page)) == "look"
    assert {"page": str(page)} in await hook.jobs("notion_row")


@pytest.mark.parametrize(
    "kind",
    ["created", "content_updated", "moved", "deleted", "undeleted", "locked"],
)
async def test_whatever_happens_to_a_row_it_is_looked_at(hook: Webhook, kind: str) -> None:
    assert await hook.outcome(event(f"page.{kind}")) == "look"


class Listener(LocalServer):
    """Takes what is posted, and says yes."""

    def __init__(self) -> None:
        self.posts: list[tuple[bytes, str | None]] = []

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self.posts.append((body, headers.get("X-Notion-Signature")))
        return Reply()


async def test_events_as_notion_posts_them(hook: Webhook, notion: NotionServer) -> None:
    """What a person does in the database, and what the connection does itself."""
    page = notion.make_page({"Name": "May", "Status": "Draft"}, ["Dear readers"])
    about = notion.act("about")
    places = [UUID(notion.database_id), UUID(notion.data_source_id)]
    await hook.service.services.store.tell_notion_integration(UUID(about["bot_id"]), places)
    with Listener() as listener:
        notion.subscribe(listener.url, TOKEN)
        notion.set(page, Status="Send")
        notion.comment(page, "/status")
        notion.rename_property("Progress", "How far")
        notion.trash(page)
        notion.restore(page)
        notion.move(page)
        async with httpx.AsyncClient(base_url=notion.url, trust_env=False) as api:
            connection = {
                "Authorization": f"Bearer {notion.token}",
                "Notion-Version": "2026-03-11",
            }
            own = await api.patch(f"/v1/pages/{page}", headers=connection, json={"is_locked": True})
            assert own.status_code == 200, own.text
        notion.settle_webhooks()
    first, *posts = listener.posts
    assert orjson.loads(first[0]) == {"verification_token": TOKEN}
    assert first[1] is None
    await hook.sql.execute("insert into notion_rows (page_id) values (%s)", [page])
    outcomes = {}
    for body, signed in posts:
        answer = await hook.post(body, **{"X-Notion-Signature": signed or ""})
        outcomes[orjson.loads(body)["type"]] = answer.json().get("outcome", answer.text)
    await hook.service.services.store.tell_notion_integration(BOT, [DATABASE, SOURCE])
    assert (
        outcomes.items()
        >= {
            "page.properties_updated": "look",
            "comment.created": "talk",
            "data_source.schema_updated": "schema",
            "page.deleted": "look",
            "page.undeleted": "look",
            "page.moved": "look",
            "page.locked": "own",
        }.items()
    )


async def test_an_event_that_comes_again_causes_nothing(hook: Webhook) -> None:
    """Notion tries up to eight times; the earlier look may be long over."""
    again = event()
    assert await hook.outcome(again) == "look"
    await hook.sql.execute("delete from jobs")
    assert await hook.outcome({**again, "attempt_number": 8}) == "copy"
    assert await hook.jobs("notion_row") == []
    assert hook.counted("copy") == 1


async def test_our_own_writing_is_no_news(hook: Webhook) -> None:
    before = await hook.jobs("notion_row")
    assert await hook.outcome(event(by=(("bot", BOT),))) == "own"
    assert await hook.jobs("notion_row") == before


@pytest.mark.parametrize(
    "by", [(("bot", BOT), ("person", PERSON)), (("bot", PERSON),), (("agent", BOT),), ()]
)
async def test_what_others_did_is_news(hook: Webhook, by: tuple[tuple[str, UUID], ...]) -> None:
    assert await hook.outcome(event(by=by)) == "look"


async def test_pages_of_other_databases_are_none_of_ours(hook: Webhook) -> None:
    """Until one that we know leaves ours: then its parent is the other place."""
    elsewhere, page = {"id": str(uuid4()), "type": "database"}, uuid4()
    assert await hook.outcome(event(entity=page, parent=elsewhere)) == "elsewhere"
    await hook.sql.execute("insert into notion_rows (page_id) values (%s)", [page])
    assert await hook.outcome(event("page.moved", page, parent=elsewhere)) == "look"


async def test_a_database_known_by_its_data_source(hook: Webhook) -> None:
    by_source = {"id": str(uuid4()), "type": "database", "data_source_id": SOURCE.hex}
    assert await hook.outcome(event(parent=by_source)) == "look"


async def test_a_changed_database_is_checked(hook: Webhook) -> None:
    within = {"id": str(DATABASE), "type": "database"}
    assert (
        await hook.outcome(event("data_source.schema_updated", SOURCE, parent=within)) == "schema"
    )
    assert await hook.jobs("notion_schema") == [{}]
    other = event("data_source.schema_updated", uuid4(), parent={"id": str(uuid4())})
    assert await hook.outcome(other) == "elsewhere"


async def test_a_comment_has_its_thread_read(hook: Webhook) -> None:
    page, block, comment = (uuid4() for _ in range(3))
    told = event(
        "comment.created", comment, page_id=str(page), parent={"id": str(block), "type": "block"}
    )
    assert await hook.outcome(told) == "talk"
    assert {"page": str(page), "block": str(block)} in await hook.jobs("notion_talk")
    ours = event("comment.created", page_id=str(page), by=(("bot", BOT),))
    assert await hook.outcome(ours) == "own"


@pytest.mark.parametrize("kind", ["view.created", "comment.deleted", "data_source.content_updated"])
async def test_other_events_are_taken_and_ignored(hook: Webhook, kind: str) -> None:
    assert await hook.outcome(event(kind)) == "ignored"


async def test_only_the_token_of_the_webhook_signs(hook: Webhook) -> None:
    told = event()
    raw = orjson.dumps(told)
    refused = [
        await hook.post(told, token=None),
        await hook.post(told, token="secret_another"),
        await hook.post(raw + b" ", **{"X-Notion-Signature": signature(TOKEN, raw)}),
        await hook.post(told, **{"X-Notion-Signature": "sha256="}),
        await hook.post(told, **{"X-Notion-Signature": signature(TOKEN, raw)[7:]}),
        await hook.post(told, **{"X-Notion-Signature": "sha256=" + "f" * 64}),
    ]
    assert {(r.status_code, r.json()["code"]) for r in refused} == {(401, "notion_signature_wrong")}
    assert TOKEN not in "".join(answer.text for answer in refused)
    assert hook.counted("notion_signature_wrong") == len(refused)
    assert {"page": told["entity"]["id"]} not in await hook.jobs("notion_row")


async def test_what_is_no_event_is_refused_though_signed(hook: Webhook) -> None:
    for body in (b"", b"[]", b"{", b'{"type": "page.created"}', b'{"id": "e", "type": "page.x"}'):
        answer = await hook.post(body)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_notion_event")
    assert (await hook.post(b"x" * (MAX_EVENT_BYTES + 1))).status_code == 413


async def test_another_webhook_may_ask_while_one_is_in_use(hook: Webhook) -> None:
    """Its token is shown to the owner, and signs nothing until it is set: anybody may post one."""
    newer = "secret_newer_webhook"
    for signed_with in (None, newer, TOKEN):
        answer = await hook.post({"verification_token": newer}, token=signed_with)
        assert (answer.status_code, answer.json()) == (200, {"outcome": "verification"})
    assert (await hook.post(event(), token=newer)).status_code == 401
    assert await hook.outcome(event()) == "look"
    visitor = Visitor(hook.service)
    await visitor.sign_in()
    page = (await visitor.get("/notion")).text
    assert "Another webhook asks to be used" in page
    assert newer in page
    assert TOKEN not in page
    await visitor.post("/notion/forget")
    assert "Another webhook" not in (await visitor.get("/notion")).text


async def test_a_webhook_in_use_that_asks_again_is_no_other(hook: Webhook) -> None:
    answer = await hook.post({"verification_token": TOKEN}, token=None)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "verification")
    assert (await hook.service.services.store.notion_webhook())["tokens"] == []


async def test_a_token_that_was_set_is_no_longer_shown(hook: Webhook) -> None:
    """The owner has restarted; within the hour the table still has it, and those before it."""
    await hook.service.services.store.keep_notion_verification("secret_of_a_stranger")
    await hook.service.services.store.keep_notion_verification(TOKEN)
    visitor = Visitor(hook.service)
    await visitor.sign_in()
    page = (await visitor.get("/notion")).text
    assert TOKEN not in page
    assert "Another webhook" not in page
    await hook.service.services.store.forget_notion_verifications()


async def test_the_token_is_kept_for_its_owner(unset: Webhook) -> None:
    """For an hour, and of many only the newest; nobody else is told."""
    store = unset.service.services.store
    answer = await unset.post({"verification_token": TOKEN}, token=None)
    assert answer.status_code == 200
    assert TOKEN not in answer.text
    assert [each["token"] for each in (await store.notion_webhook())["tokens"]] == [TOKEN]
    for n in range(20):
        await unset.post({"verification_token": f"secret_stranger_{n:02}"}, token=None)
    kept = (await store.notion_webhook())["tokens"]
    assert [each["token"][-2:] for each in kept] == ["19", "18", "17", "16", "15"]
    await unset.sql.execute(
        "update notion_verifications set received_at = now() - interval '61 min'"
    )
    assert (await store.notion_webhook())["tokens"] == []
    await unset.sql.execute("select tidy_notion(1)")
    done = await unset.sql.execute("select count(*) as n from notion_verifications")
    assert await done.fetchone() == {"n": 0}


async def test_the_owner_reads_the_token_on_the_dashboard(unset: Webhook) -> None:
    """With what to do next; a stranger is sent to the sign-in, and no log has it."""
    await unset.sql.execute("delete from notion_verifications")
    visitor = Visitor(unset.service)
    await visitor.sign_in()
    waiting = (await visitor.get("/notion")).text
    assert "http://localhost:8000/notion-events" in waiting
    assert "None in the last hour" in waiting
    with structlog.testing.capture_logs() as lines:
        await unset.post({"verification_token": TOKEN}, token=None)
    assert [line["event"] for line in lines if line["event"].startswith("notion")] == [
        "notion_verification_received"
    ]
    assert TOKEN not in str(lines)
    shown = await visitor.get("/notion")
    assert TOKEN in shown.text
    assert "a stranger posted this one" in shown.text
    assert "no-store" in shown.headers["cache-control"]
    stranger = await unset.service.http.get("/dashboard/notion")
    assert stranger.headers["location"].startswith("/dashboard/login")
    await visitor.post("/notion/forget")
    assert TOKEN not in (await visitor.get("/notion")).text


async def test_the_owner_sees_whether_it_works(hook: Webhook) -> None:
    visitor = Visitor(hook.service)
    await visitor.sign_in()
    await hook.sql.execute("delete from notion_events")
    assert "No event has come yet" in (await visitor.get("/notion")).text
    await hook.outcome(event())
    await hook.service.services.store.note_notion_comments("Tick “Read comments”.")
    page = (await visitor.get("/notion")).text
    assert "It works" in page
    assert "Tick “Read comments”." in page
    assert TOKEN not in page


async def test_before_it_is_set_up_events_are_sent_away(unset: Webhook) -> None:
    answer = await unset.post(event())
    assert (answer.status_code, answer.json()["code"]) == (503, "notion_not_configured")
    assert answer.json()["missing"] == ["NOTION_WEBHOOK_VERIFICATION_TOKEN"]
    answer = await unset.post({"verification_token": "no token\n"}, token=None)
    assert answer.status_code == 503


async def test_where_notion_is_not_used_nothing_is_kept(unset: Webhook) -> None:
    services = unset.service.services
    unused = services.settings.model_copy(update={"notion_api_token": None})
    body = orjson.dumps({"verification_token": "secret_of_a_stranger"})
    with pytest.raises(NotionNotConfigured):
        await NotionWebhook(services.store, unused)(body, [])
    tokens = (await services.store.notion_webhook())["tokens"]
    assert "secret_of_a_stranger" not in [each["token"] for each in tokens]


async def test_events_are_forgotten_when_notion_no_longer_repeats_them(hook: Webhook) -> None:
    again = event()
    assert await hook.outcome(again) == "look"
    await hook.sql.execute("update notion_events set received_at = now() - interval '8 days'")
    while (await (await hook.sql.execute("select tidy_notion(2) as n")).fetchone()) != {"n": 0}:
        pass
    assert await hook.outcome(again) == "look"


@pytest.mark.parametrize(
    "odd",
    [
        {"data": None}, {"data": {"parent": None}}, {"data": {"parent": {"id": 7}}},
        {"authors": None}, {"authors": ["x"]}, {"authors": [{"type": "bot"}]},
    ],
)  # fmt: skip
def test_a_strange_event_is_read_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    told = event()
    read = read_event({**told, **odd})
    assert read is not None
    assert read.page == UUID(told["entity"]["id"])
    if "authors" in odd:
        assert read.bots is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.uuids().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(change=st.dictionaries(st.sampled_from(["id", "type", "authors", "entity", "data"]), JSON))
def test_whatever_is_signed_is_read_or_refused(change: dict[str, Any]) -> None:
    for kind in ("page.moved", "comment.created", "data_source.schema_updated"):
        with suppress(MalformedNotionEvent):
            read = read_event({**event(kind), **change})
            assert read is None or read.page or read.act == "schema"
