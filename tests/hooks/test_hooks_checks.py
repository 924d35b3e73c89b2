"""`amazonsender doctor` tells of webhooks that don't tell."""

from __future__ import annotations

from app.outside import OUTSIDE
from app.runtime import open_database
from app.services.checks.doctor import examine
from app.services.hooks.hooks import SWITCHED_OFF
from app.store import Store
from tests.hooks.conftest import a_hook
from tests.support.factories import Arrange
from tests.support.service import settings_for


async def test_what_is_off_fails_or_was_given_up_is_named(
    dsn: str, direct_store: Store, arrange: Arrange
) -> None:
    names = ("well", "gone", "off", "failing", "dead")
    hooks = {name: await a_hook(direct_store, f"https://{name}.example/secret") for name in names}
    await arrange.sql.execute(
        "update hooks set state = 'gone', reason = 'It answered 410.', description = 'CRM' "
        "where id = %s",
        [hooks["gone"]],
    )
    await direct_store.switch_hook(hooks["off"], "disabled", SWITCHED_OFF, by="dashboard")
    await arrange.sql.execute(
        "update hooks set failing_since = '2026-05-04T09:00+00' where id = %s", [hooks["failing"]]
    )
    await arrange.sql.execute(
        "insert into hook_deliveries (hook_id, event_id, type, subject, data, state) "
        "values (%s, 'evt_1', 'mailout.finished', gen_random_uuid(), '{}', 'dead')",
        [hooks["dead"]],
    )
    settings = settings_for(dsn, None, AWS_REGION=None)
    found = await examine(settings, open_db=open_database, outside=OUTSIDE)
    told = [finding for finding in found if "webhook" in finding.what]
    assert sorted((finding.level, finding.what) for finding in told) == [
        ("warn", "The webhook to dead.example was not told of 1 event: given up after days."),
        (
            "warn",
            "The webhook to failing.example has taken nothing since 2026-05-04 09:00 UTC; it is "
            "tried again by itself.",
        ),
        ("warn", "The webhook to gone.example (CRM) is off: It answered 410."),
    ]
    assert all("Access, Webhooks" in finding.remedy for finding in told)
