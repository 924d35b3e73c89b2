"""`amazonsender hooks …`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.factories import Arrange
from tests.support.service import command, environment


async def test_a_webhook_is_made_watched_and_deleted(
    dsn: str, arrange: Arrange, tmp_path: Path
) -> None:
    def run(*arguments: str, expect: int = 0) -> str:
        done = command(tmp_path, environment(dsn, None), "hooks", *arguments)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if not expect and done.stdout else done.stderr

    url = "https://hooks.example.com/very-secret"
    assert "events: there is no event 'bounce'" in run("create", url, "--event", "bounce", expect=1)
    assert "url: use https" in run("create", "http://e.com", "--event", "mailout.failed", expect=1)
    secret = run(
        "create", url, "--event", "recipient.bounced", "--event", "mailout.finished",
        "--note", "CRM", "--rate", "2",
    ).strip()  # fmt: skip
    assert re.fullmatch(r"whsec_[\w+/=]{40,}", secret)
    listed = run("list")
    assert "active    hooks.example.com  mailout.finished,recipient.bounced" in listed
    assert "very-secret" not in listed
    hook = listed.split()[0]
    shown = run("show", hook)
    for words in (url, "CRM", "2 a second", "mailout.finished, recipient.bounced", "by cli"):
        assert words in shown
    assert secret not in shown + listed

    await arrange.sql.execute(
        "insert into hook_deliveries (hook_id, event_id, type, subject, data, state, attempts,"
        " status, error) values (%s, 'evt_1', 'mailout.finished', gen_random_uuid(), '{}', 'dead',"
        " 10, 500, 'It answered 500.')",
        [hook],
    )
    assert "Given up after 10 tries. It answered 500." in run("deliveries", hook)
    assert "There is none." in run("deliveries", hook, "--state", "done")
    run("deliveries", hook, "--state", "odd", expect=2)
    number = run("deliveries", hook).split()[0]
    assert "1 to be sent again" in run("replay", hook, "--delivery", number)
    assert "0 to be sent again" in run("replay", hook)
    assert "0 to be sent again" in run("replay", hook, "--since", "2026-01-01")
    run("replay", hook, "--since", "2026-01-01", "--delivery", number, expect=2)
    turned = run("rotate", hook).strip()
    assert turned.startswith("whsec_")
    assert turned != secret
    assert "off" in run("off", hook)
    assert "switch it on first" in run("test", hook, expect=1)
    assert "on" in run("on", hook)
    assert "Deleted." in run("delete", hook)
    assert "no hook" in run("show", hook, expect=1)
    assert "There is no webhook." in run("list")
