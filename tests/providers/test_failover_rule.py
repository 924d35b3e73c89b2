"""When another provider gets the turn, who gets it next, and when SES alone sends again: one state
in the database, whichever process looks."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Idle
from app.store import Store
from tests.support.factories import Arrange, an_account, started_mailout

HOME, AWAY = "eu-west-1", "us-east-1"
PROVIDERS = ("sendgrid", "mailgun")
AFTER, SETTLED = 600.0, 60.0


class Senders:
    """Living senders, and what each has told of its breakers."""

    def __init__(self, store: Store, arrange: Arrange) -> None:
        self.store, self.arrange = store, arrange

    async def add(
        self, *, regions: tuple[str, ...] = (HOME,), providers: tuple[str, ...] = PROVIDERS
    ) -> UUID:
        sender = uuid4()
        await self.store.heartbeat(
            sender,
            region=regions[0],
            label="test",
            lease_seconds=60,
            rate_limit=None,
            routes={**dict.fromkeys(regions), **dict.fromkeys(providers, 50.0)},
        )
        for region in regions:
            await self.store.record_account(region, an_account())
        return sender

    async def tell(self, sender: UUID, *, proved: bool = True, **breakers: str) -> None:
        """breakers: by route, with _ for -. proved: whether a call was answered."""
        routes = {
            name.replace("_", "-"): {"breaker": state, "proved": proved}
            for name, state in breakers.items()
        }
        state = {"breaker": "closed", "routes": routes}
        assert await self.store.tell_executor_state(sender, uuid4(), state)

    async def stop_account(self, region: str = HOME) -> None:
        await self.store.record_account(region, an_account(sending_enabled=False))

    async def look(
        self, *, after: float = AFTER, regions: tuple[str, ...] = (HOME,), **more: Any
    ) -> dict[str, Any]:
        return await self.store.watch_fallback(
            PROVIDERS, regions, after_seconds=after, settled_seconds=SETTLED, **more
        )

    async def wait(self, seconds: float) -> None:
        """So much later, with the last look just now."""
        past = f"- make_interval(secs => {seconds})"
        await self.arrange.sql.execute(
            f"update fallback_watch set down_since = down_since {past}, down_at = down_at {past}, "
            f"up_since = up_since {past}".encode()
        )
        await self.arrange.sql.execute(f"update fallback_changes set at = at {past}".encode())


@pytest.fixture
def senders(store: Store, arrange: Arrange) -> Senders:
    return Senders(store, arrange)


async def opened(senders: Senders) -> UUID:
    """Opened by the rule, since SES doesn't answer."""
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open", sendgrid="closed")
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["change"] == "opened"
    return sender


async def test_an_open_breaker_opens_it_after_a_while(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open")
    assert (await senders.look())["provider"] is None
    await senders.wait(AFTER - 10)
    assert (await senders.look())["provider"] is None
    await senders.wait(10)
    found = await senders.look(headlines={"sendgrid": "SendGrid sends."}, ways=["mail", "slack"])
    assert (found["provider"], found["change"]) == ("sendgrid", "opened")
    assert found["reason"] == "SES can't send: it does not answer in eu-west-1."
    state = await senders.store.fallback_state()
    assert (state["by"], state["reason"]) == (None, found["reason"])
    for way in ("mail", "slack"):
        news = await senders.store.claim_owner_news(way)
        assert news is not None and news.headline == "SendGrid sends."
    assert (await senders.look())["change"] is None


async def test_a_probe_that_goes_out_doesnt_begin_the_count_anew(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.wait(AFTER - 1)
    await senders.tell(sender, eu_west_1="half_open")
    assert (await senders.look())["provider"] is None
    await senders.wait(1)
    await senders.tell(sender, eu_west_1="open")
    assert (await senders.look())["provider"] == "sendgrid"


async def test_an_account_that_may_not_send_opens_it(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="closed")
    await senders.stop_account()
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["reason"] == (
        "SES can't send: it lets the account send nothing in eu-west-1."
    )


async def test_while_one_region_or_one_process_can_send_it_stays_closed(senders: Senders) -> None:
    both = (HOME, AWAY)
    first, second = await senders.add(regions=both), await senders.add(regions=both)
    await senders.tell(first, eu_west_1="open", us_east_1="open")
    await senders.tell(second, eu_west_1="open", us_east_1="closed")
    await senders.look(regions=both)
    await senders.wait(2 * AFTER)
    assert (await senders.look(regions=both))["provider"] is None
    await senders.tell(second, eu_west_1="open", us_east_1="open")
    await senders.look(regions=both)
    await senders.wait(AFTER)
    assert (await senders.look(regions=both))["provider"] == "sendgrid"


async def test_a_region_without_quota_doesnt_stand_in_for_those_that_are_down(
    senders: Senders,
) -> None:
    both = (HOME, AWAY)
    sender = await senders.add(regions=both)
    await senders.store.record_account(AWAY, an_account(max_24h_send=5, sent_last_24h=5))
    await senders.tell(sender, eu_west_1="open", us_east_1="closed")
    await senders.look(regions=both)
    await senders.wait(AFTER)
    found = await senders.look(regions=both)
    assert found["reason"] == (
        "SES can't send: it does not answer in eu-west-1, the daily quota is used up in us-east-1."
    )
    await senders.store.record_account(AWAY, an_account(max_24h_send=10, sent_last_24h=5))
    await senders.look(regions=both)
    await senders.wait(SETTLED)
    assert (await senders.look(regions=both))["change"] == "closed"


async def test_a_used_up_quota_and_zero_seconds_never_open_it(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="closed")
    await senders.store.record_account(HOME, an_account(max_24h_send=5, sent_last_24h=5))
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["provider"] is None
    await senders.tell(sender, eu_west_1="open")
    await senders.look(after=0)
    await senders.wait(100 * AFTER)
    assert (await senders.look(after=0))["provider"] is None


async def test_what_nobody_watched_proves_nothing(senders: Senders, arrange: Arrange) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.wait(AFTER)
    await arrange.sql.execute("update fallback_watch set seen_at = now() - interval '10 minutes'")
    assert (await senders.look())["provider"] is None


async def test_it_closes_once_ses_has_answered_for_a_while(senders: Senders) -> None:
    sender = await opened(senders)
    await senders.tell(sender, eu_west_1="closed")
    assert (await senders.look())["provider"] == "sendgrid"
    await senders.wait(SETTLED - 5)
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.tell(sender, eu_west_1="closed")
    await senders.look()
    await senders.wait(SETTLED - 5)
    assert (await senders.look())["provider"] == "sendgrid", "it had failed once more"
    await senders.wait(5)
    found = await senders.look()
    assert (found["provider"], found["change"], found["reason"]) == (
        None,
        "closed",
        "SES can send again.",
    )


async def test_where_nobody_is_mailed_an_answered_question_is_enough(
    senders: Senders, arrange: Arrange
) -> None:
    """No probe goes out then, so that the breaker stays half open."""
    sender = await opened(senders)
    await senders.tell(sender, eu_west_1="half_open")
    await arrange.sql.execute("update send_rates set account_checked_at = now() - interval '1 h'")
    await senders.look()
    await senders.wait(SETTLED)
    assert (await senders.look())["provider"] == "sendgrid", "SES doesn't answer GetAccount either"
    await senders.store.record_account(HOME, an_account())
    await senders.look()
    await senders.wait(SETTLED)
    assert (await senders.look())["provider"] is None


async def test_a_sender_that_has_just_started_proves_nothing(
    senders: Senders, arrange: Arrange
) -> None:
    """Its breaker is closed because nobody was mailed yet."""
    sender = await opened(senders)
    await arrange.sql.execute("update send_rates set account_checked_at = now() - interval '1 h'")
    await senders.tell(sender, eu_west_1="closed", proved=False)
    await senders.look()
    await senders.wait(SETTLED)
    assert (await senders.look())["provider"] == "sendgrid"
    await senders.tell(sender, eu_west_1="closed")
    await senders.look()
    await senders.wait(SETTLED)
    assert (await senders.look())["provider"] is None


# -- a person's word


async def test_a_person_opens_and_closes_it(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="closed")
    done = await senders.store.open_fallback("mailgun", "A rehearsal.", "dashboard")
    assert (done["changed"], done["provider"], done["by"]) == (True, "mailgun", "dashboard")
    again = await senders.store.open_fallback("mailgun", "Once more.", "cli")
    assert (again["changed"], again["by"]) == (False, "dashboard")
    await senders.look()
    await senders.wait(10 * SETTLED)
    assert (await senders.look())["provider"] == "mailgun", "SES could send when it was opened"
    closed = await senders.store.close_fallback("Done.", "cli")
    assert (closed["changed"], closed["open"], closed["reason"]) == (True, False, "Done.")
    log = await senders.store.list_audit(10, action="fallback")
    assert [(one["action"], one["by"]) for one in log] == [
        ("fallback.close", "cli"),
        ("fallback.open", "dashboard"),
    ]
    assert log[1]["after"] == {"provider": "mailgun", "reason": "A rehearsal."}


async def test_what_a_person_opened_in_an_outage_closes_by_itself(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.store.open_fallback("sendgrid", "Now.", "cli")
    await senders.look()
    await senders.tell(sender, eu_west_1="closed")
    await senders.look()
    await senders.wait(SETTLED)
    assert (await senders.look())["change"] == "closed"


async def test_what_a_person_closed_stays_closed_for_this_outage(senders: Senders) -> None:
    sender = await opened(senders)
    await senders.store.close_fallback("Too dear.", "dashboard")
    await senders.wait(10 * AFTER)
    assert (await senders.look())["provider"] is None
    await senders.tell(sender, eu_west_1="closed")
    await senders.look()
    await senders.wait(SETTLED)
    await senders.look()
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["change"] == "opened", "that is another outage"


# -- a provider that fails, too


async def test_a_silent_provider_hands_the_turn_on(senders: Senders) -> None:
    sender = await opened(senders)
    await senders.tell(sender, eu_west_1="open", sendgrid="open")
    assert (await senders.look())["provider"] == "sendgrid", "it has hardly begun"
    await senders.wait(SETTLED)
    found = await senders.look()
    assert (found["provider"], found["change"]) == ("mailgun", "handed_on")
    await senders.tell(sender, eu_west_1="open", mailgun="open")
    await senders.wait(SETTLED)
    assert (await senders.look())["provider"] == "mailgun", "SendGrid failed a minute ago"
    await senders.wait(AFTER)
    assert (await senders.look())["provider"] == "sendgrid"


async def test_a_provider_whose_turn_ended_with_the_outage_has_not_failed(senders: Senders) -> None:
    """SES fails again a minute later: who went on well then is the next one again."""
    sender = await senders.add()

    async def outage() -> list[Any]:
        changes = []
        await senders.tell(sender, eu_west_1="open", sendgrid="open", mailgun="closed")
        for _ in range(3):
            changes.append((await senders.look(after=SETTLED))["provider"])
            await senders.wait(SETTLED)
        await senders.tell(sender, eu_west_1="closed")
        await senders.look(after=SETTLED)
        await senders.wait(SETTLED)
        assert (await senders.look(after=SETTLED))["change"] == "closed"
        return changes

    assert await outage() == [None, "sendgrid", "mailgun"]
    assert await outage() == [None, "sendgrid", "mailgun"]


async def test_a_provider_that_refuses_the_account_hands_it_on_and_the_mailout_goes_on(
    senders: Senders, store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    await opened(senders)
    await store.block_route(mailout, HOME, "account", "stopped", routes=[HOME])
    paused = await store.block_route(
        mailout, "sendgrid", "account", "SendGrid refuses the key.", routes=[HOME, "sendgrid"]
    )
    assert paused.status == "paused"
    await senders.wait(SETTLED)
    found = await senders.look()
    assert (found["provider"], found["reason"]) == ("mailgun", "SendGrid refuses the key.")
    assert found["resumed"] == [str(mailout)]


# -- claiming


async def reason(store: Store, mailout: UUID, sender: UUID, route: str) -> str | None:
    """Why nobody is claimed; None: somebody was."""
    found = await store.claim_batches(mailout, sender, attempts=[uuid4()], region=route, limit=1)
    return found.reason if isinstance(found, Idle) else None


async def test_only_in_its_turn_is_a_provider_claimed_for(
    senders: Senders, store: Store, arrange: Arrange
) -> None:
    """Whoever asks, and whatever that process believes."""
    mailout = await started_mailout(store, arrange, 5)
    sender = await senders.add()
    assert await reason(store, mailout, sender, "sendgrid") == "closed"
    await store.open_fallback("sendgrid", "Now.", "cli")
    assert await reason(store, mailout, sender, "sendgrid") is None
    assert await reason(store, mailout, sender, "mailgun") == "closed"
    assert await reason(store, mailout, sender, HOME) is None, "SES goes on as far as it can"
    await store.close_fallback("Enough.", "cli")
    assert await reason(store, mailout, sender, "sendgrid") == "closed"
    assert await arrange.counts(mailout) == {"queued": 3, "sending": 2}


async def test_unknown_rows_and_those_under_way_never_move(
    senders: Senders, store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 4)
    sender = await senders.add()
    await arrange.sql.execute(
        "update send_logs set status = (array['unknown', 'sending', 'sent'])[id % 4 + 1]"
        " where id % 4 < 3"
    )
    await store.open_fallback("sendgrid", "Now.", "cli")
    found = await store.claim_batches(
        mailout, sender, attempts=[uuid4()], region="sendgrid", limit=10
    )
    assert isinstance(found, tuple)
    assert [len(batch.recipients) for batch in found] == [1]


async def test_a_mailout_that_waits_for_the_account_goes_on_when_it_opens(
    senders: Senders, store: Store, arrange: Arrange
) -> None:
    """Those that are kept to a region, or that a person has paused, don't."""
    waiting = await started_mailout(store, arrange, 3)
    kept = await arrange.mailout("paused", region=HOME, pause_code="account")
    held = await arrange.mailout("paused", pause_code="person")
    await senders.add()
    await senders.stop_account()
    stopped = await store.block_route(waiting, HOME, "account", "stopped", routes=[HOME])
    assert stopped.status == "paused"
    await store.open_fallback("sendgrid", "Now.", "cli")
    assert (await senders.look())["resumed"] == [str(waiting)]
    for mailout in (kept, held):
        assert await arrange.one("select status from mailouts where id = %s", mailout) == "paused"


async def test_a_process_without_providers_pauses_nothing_that_another_sends(
    senders: Senders, store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    with_them, without = await senders.add(), await senders.add(providers=())
    await senders.stop_account()
    await store.open_fallback("sendgrid", "Now.", "cli")
    assert await reason(store, mailout, without, HOME) == "account"
    blocked = await store.block_route(mailout, HOME, "account", "stopped", routes=[HOME])
    assert blocked.status == "sending"
    assert await reason(store, mailout, with_them, "sendgrid") is None
    await store.leave(with_them)
    gone = await store.block_route(mailout, HOME, "account", "stopped", routes=[HOME])
    assert gone.status == "paused", "nobody is left who has the provider"


async def test_of_many_who_look_at_once_one_decides(senders: Senders) -> None:
    sender = await senders.add()
    await senders.tell(sender, eu_west_1="open")
    await senders.look()
    await senders.wait(AFTER)
    found = await asyncio.gather(*(senders.look() for _ in range(8)))
    assert [one["change"] for one in found].count("opened") == 1


async def test_a_region_that_only_another_sender_has_keeps_it_closed(senders: Senders) -> None:
    """As while SES_REGIONS grows, and processes are restarted one after the other."""
    old = await senders.add()
    new = await senders.add(regions=(HOME, AWAY))
    await senders.tell(old, eu_west_1="open")
    await senders.tell(new, eu_west_1="open", us_east_1="closed")
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["change"] is None, "the other region sends"
    await senders.tell(new, eu_west_1="open", us_east_1="open")
    await senders.look()
    await senders.wait(AFTER)
    assert (await senders.look())["change"] == "opened"


async def test_a_provider_that_nobody_has_any_more_hands_on_its_turn(senders: Senders) -> None:
    """FALLBACK_PROVIDERS was changed while it was open."""
    await senders.store.leave(await opened(senders))
    await senders.wait(SETTLED)
    assert (await senders.look())["change"] is None, "all are restarting"
    await senders.add(providers=("mailgun",))
    await senders.stop_account()
    done = await senders.look()
    assert (done["provider"], done["change"]) == ("mailgun", "handed_on")
    assert done["reason"] == "No process that sends names it in FALLBACK_PROVIDERS."


async def test_several_people_at_once_each_make_one_change(
    senders: Senders, arrange: Arrange
) -> None:
    await senders.add()
    asked = [
        senders.store.open_fallback(name, "Now.", f"key:{n}")
        for n, name in enumerate(("sendgrid", "sendgrid", "sendgrid", "mailgun"))
    ]
    changed = sum(done["changed"] for done in await asyncio.gather(*asked))
    turns = await arrange.one("select array_agg(provider order by id) from fallback_changes")
    assert len(turns) == changed
    assert all(one != other for one, other in pairwise(turns)), "none is opened twice"
