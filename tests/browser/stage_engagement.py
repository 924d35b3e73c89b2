"""Tracked mailouts with what readers, and programs, did with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tests.support.factories import Arrange

BODY = """\
<h1>The autumn letter</h1>
<p>Two dates, a thank-you, and what we learnt. <a href="https://example.org/programme">See the
programme</a>, or <a href="https://example.org/tickets?from=letter">get your tickets</a>.</p>
<p><a href="https://example.org/programme"><img alt="The hall" width="520" height="160"
src="data:image/gif;base64,R0lGODlhAQABAPAAAIqTnP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="></a></p>
<p>A long talk is <a href="https://example.org/a/very/long/address/that/somebody/pasted?with=many&amp;\
parameters=of&amp;a=campaign">here</a>.</p>
"""
LINKS: tuple[tuple[str, int | None, str | None], ...] = (
    ("https://example.org/programme", 0, "body"),
    ("https://example.org/tickets?from=letter", 1, "body"),
    (
        "https://example.org/a/very/long/address/that/somebody/pasted?with=many&"
        "parameters=of&a=campaign",
        2,
        "body",
    ),
    ("https://example.org/old-page", None, None),
)
DOMAINS = (
    *("gmail.com", "gmail.com", "gmail.com", "gmail.com", "icloud.com", "icloud.com", "gmx.de"),
    *("web.de", "outlook.com", "yahoo.de", "corp.example", "proton.me", "rare.example"),
)
# How readers are, by the rest of their number divided by 12: class of the open, of the click.
_READERS = """
array['human','human','human','unknown','unknown','machine',null,null,null,null,null,null]
"""


async def stage_engagement(arrange: Arrange) -> dict[str, UUID]:
    """Ids by what is to be seen: `busy`, `quiet` (three mails), `off` (not tracked), `early`,
    `large` (its groups are counted in slices)."""
    now = datetime.now(UTC)
    for n, subject in enumerate(("The summer letter", "Spring, and what is new", "Winter")):
        await _sent(arrange, subject, 400 + 100 * n, now - timedelta(days=40 + 30 * n), shift=n)
    return {
        "busy": await _sent(
            arrange, "The autumn letter: two dates and a thank-you", 1204, now - timedelta(days=6)
        ),
        "quiet": await _sent(arrange, "To the board", 3, now - timedelta(hours=3)),
        "off": await arrange.mailout(
            "sent", subject="Not tracked", started_at=now - timedelta(days=2), sent_at=now
        ),
        "large": await to_many(arrange, now - timedelta(days=9)),
        "early": await arrange.mailout("draft", subject="To be tracked", tracking=True),
    }


async def _sent(
    arrange: Arrange, subject: str, readers: int, at: datetime, *, shift: int = 0
) -> UUID:
    mailout = await arrange.mailout(
        "sent", subject=subject, body_html=BODY, tracking=True, started_at=at,
        sent_at=at + timedelta(minutes=4), recipients=readers, created_at=at - timedelta(hours=5),
    )  # fmt: skip
    values: dict[str, Any] = {
        "mailout": mailout, "readers": readers, "at": at, "shift": shift, "domains": list(DOMAINS)
    }  # fmt: skip
    await arrange.sql.execute(
        "insert into subscribers (email, tags, created_at) select 'r' || n || '.' || %(mailout)s "
        "|| '@' || (%(domains)s::text[])[1 + n %% 13], case when n %% 3 = 0 then "
        "array['members', 'vienna'] when n %% 3 = 1 then array['members'] else '{}' end, "
        "%(at)s::timestamptz - interval '9 days' from generate_series(1, %(readers)s) n",
        values,
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, attempts, sent_at) "
        "select %(mailout)s, id, email, 'delivered', 1, %(at)s from subscribers "
        "where email like '%%.' || %(mailout)s || '@%%'",
        values,
    )
    for url, position, place in LINKS:
        await arrange.sql.execute(
            "insert into mailout_links (mailout_id, url, position, place) values (%s, %s, %s, %s)",
            [mailout, url, position, place],
        )
    await arrange.sql.execute(
        f"insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, delivered_at, "
        f"open_class, click_class, opened_at, clicked_at, rules) select id, mailout_id, "
        f"subscriber_id, sent_at, o, c, at, case when c <> '' then at + interval '2 minutes' end, "
        f"1 "
        f"from (select *, ({_READERS})[1 + (id + %(shift)s * (id / 12)) %% 12] as o, case id %% 24 "
        f"when 0 then 'human' when 1 then 'human' when 3 then 'unknown' when 5 then 'machine' end "
        f"as c, sent_at + case when id %% 12 = 5 then interval '2 seconds' else interval '1 hour' "
        f"* (power(random(), 4) * 130) end as at from send_logs where mailout_id = %(mailout)s) l "
        f"where o <> ''".encode(),
        values,
    )
    await arrange.sql.execute(
        "insert into engagement_signals (send_log_id, mailout_id, kind, link_id, slot, first_at, "
        "last_at, events, class, reason, rules) "
        "select send_log_id, mailout_id, 'open', 0, opened_at, opened_at, opened_at, "
        "1 + (send_log_id %% 3)::integer, open_class, case open_class when 'human' then 'open' "
        "when 'unknown' then 'apple_relay' else 'checker' end, 1 from engagement_recipients "
        "where mailout_id = %(mailout)s "
        "union all select e.send_log_id, e.mailout_id, 'click', l.id, e.clicked_at, e.clicked_at, "
        "e.clicked_at, 1, e.click_class, case e.click_class when 'machine' then 'protection' else "
        "'click' end, 1 from engagement_recipients e join mailout_links l using (mailout_id) "
        "where e.mailout_id = %(mailout)s and e.clicked_at is not null "
        "and (e.click_class = 'machine' or l.position = (e.send_log_id / 24) %% 2)",
        values,
    )
    return mailout


async def to_many(arrange: Arrange, at: datetime) -> UUID:
    """To people who aren't on the list any more."""
    mailout = await arrange.mailout(
        "sent", subject="To all of you", tracking=True, started_at=at, sent_at=at, recipients=12_000
    )
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, attempts, sent_at) "
        "select %(mailout)s, gen_random_uuid(), 'r' || n || '@' || (%(domains)s::text[])[1 + n %% "
        "13], 'delivered', 1, %(at)s from generate_series(1, 12000) n",
        {"mailout": mailout, "domains": list(DOMAINS), "at": at},
    )
    return mailout
