"""The dashboard's pages of API keys and of the audit log."""

from __future__ import annotations

import re
from uuid import uuid4

from app.domain.access import OWNER
from tests.support.dashboard import ORIGIN, Visitor
from tests.support.factories import Arrange
from tests.support.service import Service


async def test_a_key_is_shown_once(quiet: Service, visitor: Visitor, arrange: Arrange) -> None:
    made = await visitor.post("/keys", name=" <b>Zapier</b> ", scopes=["send", "read", "odd"])
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    found = re.search(r"as_[\w-]{43}", made.text)
    assert found is not None
    caller = await quiet.services.keys.find(found[0])
    assert caller is not None
    assert (caller.by, set(caller.scopes)) == ("key <b>Zapier</b>", {"send", "read"})
    assert "<b>Zapier" not in made.text
    assert found[0] not in (await visitor.get("/keys")).text
    by = "select by from audit_log where action = 'key.create'"
    assert await arrange.one(by) == "dashboard"

    refusals = {
        "Choose what the key may do.": {"name": "x"},
        "The name doesn&#39;t fit": {"name": "x" * 81, "scopes": "read"},
        "A key is called": {"name": "<B>zapier</B>", "scopes": "read"},
    }
    for words, fields in refusals.items():
        refused = await visitor.post("/keys", **fields)
        assert refused.status_code in {409, 422}
        assert words in refused.text
        assert not re.search(r"as_[\w-]{43}", refused.text)
    assert await arrange.one("select count(*) from api_keys") == 1


async def test_a_key_is_revoked_after_a_question(quiet: Service, visitor: Visitor) -> None:
    made = await quiet.services.keys.create("Zapier", ["read"], OWNER)
    question = await visitor.get(f"/keys/{made['id']}/revoke")
    assert "Revoke “Zapier”?" in question.text
    assert await quiet.services.keys.find(made["key"])
    gone = await visitor.post(f"/keys/{made['id']}/revoke")
    assert gone.headers["location"] == "/dashboard/keys?notice=revoked"
    assert await quiet.services.keys.find(made["key"]) is None
    for key in (made["id"], uuid4()):
        assert (await visitor.post(f"/keys/{key}/revoke")).headers["location"].endswith("late")
        assert (await visitor.get(f"/keys/{key}/revoke")).headers["location"].endswith("late")


async def test_forms_of_others_make_and_revoke_nothing(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    made = await quiet.services.keys.create("Zapier", ["read"], OWNER)
    for path in ("/dashboard/keys", f"/dashboard/keys/{made['id']}/revoke"):
        forged = await visitor.http.post(path, data={"name": "x", "scopes": "manage"})
        assert forged.status_code == 403
        stranger = await quiet.http.post(path, data={"name": "x"}, headers=ORIGIN)
        assert stranger.headers["location"].startswith("/dashboard/login")
    assert await arrange.one("select count(*) from api_keys where revoked_at is null") == 1


async def test_the_audit_log_is_read_by_pages_and_filters(
    quiet: Service, visitor: Visitor, arrange: Arrange
) -> None:
    await arrange.sql.execute(
        "select record_audit('key <i>', 'mailout.pause', 'm&' || n, '{\"status\": \"sending\"}', "
        '\'{"status": "paused"}\') from generate_series(1, 40) n'
    )
    first = (await visitor.get("/audit?action=mailout&by=&target=&since=")).text
    assert first.count("Mailout paused") == 30
    assert "key &lt;i&gt;" in first
    assert "m&amp;40" in first
    older = re.search(r'href="/dashboard(/audit\?action=mailout&amp;cursor=[^"]+)"', first)
    assert older is not None
    second = (await visitor.get(older[1].replace("&amp;", "&"))).text
    assert second.count("Mailout paused") == 10
    assert (await visitor.get("/audit?target=m%267")).text.count("Mailout paused") == 1
    assert "Nothing fits" in (await visitor.get("/audit?since=2999-01-01")).text
    odd = await visitor.get("/audit?since=yesterday")
    assert (odd.status_code, "Write the day as" in odd.text) == (422, True)
    assert (await visitor.get("/audit?by=a%00b")).status_code == 200
    assert (await visitor.get("/audit?cursor=x")).status_code == 422
