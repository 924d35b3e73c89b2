"""A Slack that is slow, away, refuses, or has lost a message; and processes that die."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.adapters.database.postgres import PostgresDatabase
from app.domain.slack.news import Due
from app.errors import DatabaseUnavailable, SlackAway
from app.services.telling.slack import REFUSED_SECONDS
from app.settings import Settings
from app.store import Store
from app.store.telling.slack import Settled
from tests.slack.desk import DAY, Desk
from tests.support.factories import Arrange
from tests.support.slack import SlackStandIn

HOUR = 3600.0


async def test_slack_is_left_alone_for_as_long_as_it_asks(
    any_bot: Desk, slack: SlackStandIn
) -> None:
    """By all mailouts; then each says the latest."""
    bot = any_bot
    first, _ = await bot.mailout(queued=3), await bot.mailout(queued=1)
    slack.throttle(300)
    assert await bot.tell() == 1
    trouble = await bot.store.slack_trouble()
    assert trouble is not None
    assert (trouble["mailouts"], trouble["error"]) == (1, "Slack asks to wait 300 s.")
    await bot.move(first, "queued", "sent", 2)
    await bot.becomes(first, "paused", pause_code="person")
    for _ in range(4):
        assert await bot.tell(after=60) == 0
    slack.heal()
    assert await bot.tell(after=100) == 1
    await bot.tell_all()
    assert len(slack.there) == 2
    assert any("2 of 3 handed over" in one.shown for one in slack.there)
    assert await bot.store.slack_trouble() is None


@pytest.mark.short
async def test_after_hours_without_slack_there_is_one_message_with_the_latest(
    webhook: Desk, slack: SlackStandIn
) -> None:
    mailout = await webhook.mailout(queued=3)
    slack.fail(503)
    with capture_logs() as logs:
        asked = sum([await webhook.tell(after=300) for _ in range(24)])
        await webhook.becomes(mailout, "paused", pause_code="guard")
        asked += sum([await webhook.tell(after=300) for _ in range(24)])
        await webhook.becomes(mailout, "sending")
        await webhook.becomes(mailout, "sent")
        asked += sum([await webhook.tell(after=300) for _ in range(24)])
    assert 24 <= asked <= 48  # ever less often, ten minutes at most
    assert [one["event"] for one in logs if one["log_level"] == "warning"] == ["slack_not_told"]
    slack.heal()
    await webhook.tell(after=HOUR)
    assert "is sent" in slack.only.shown
    assert await webhook.tell(after=HOUR) == 0


async def test_after_a_day_it_is_given_up_until_something_changes(
    bot: Desk, slack: SlackStandIn
) -> None:
    mailout = await bot.mailout(queued=3)
    slack.fail(503)
    with capture_logs() as logs:
        for _ in range(26):
            await bot.tell(after=HOUR)
    given_up = [one for one in logs if one["event"] == "slack_given_up"]
    assert [one["mailout_id"] for one in given_up] == [str(mailout)]
    slack.heal()
    assert await bot.tell(after=DAY) == 0
    assert slack.there == []
    await bot.becomes(mailout, "sent")
    assert await bot.tell() == 1
    assert "is sent" in slack.only.shown
    assert (await bot.row(mailout))["error"] is None


async def test_a_revoked_token_is_tried_seldom_and_not_by_each_mailout(
    bot: Desk, slack: SlackStandIn
) -> None:
    for _ in range(4):
        await bot.mailout(queued=1)
    slack.token_error = "token_revoked"
    assert await bot.tell() == 1
    assert await bot.tell(after=REFUSED_SECONDS / 2) == 0
    assert await bot.tell(after=REFUSED_SECONDS) == 1
    assert await bot.tell(after=REFUSED_SECONDS) == 0  # twice as long now
    slack.heal()
    await bot.pass_time(HOUR)
    await bot.tell_all()
    assert len(slack.there) == 4


async def test_what_slack_cannot_take_keeps_no_other_waiting(
    bot: Desk, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bot.mailout(queued=1)
    slack.token_error = "invalid_blocks"
    assert await bot.tell() == 1
    slack.heal()
    other = await bot.mailout(queued=1)
    assert await bot.tell() == 1
    assert str(other) in slack.only.text


async def test_a_message_that_was_deleted_is_posted_anew(bot: Desk, slack: SlackStandIn) -> None:
    mailout = await bot.mailout(queued=2)
    await bot.tell_all()
    slack.only.deleted = True
    await bot.move(mailout, "queued", "sent", 1)
    await bot.tell(after=11)
    await bot.tell_all()
    assert slack.only.fields["Accepted for sending"] == "1"


async def test_a_message_in_a_channel_that_we_left_is_followed_by_one_in_the_new(
    bot: Desk, slack: SlackStandIn, arrange: Arrange
) -> None:
    """In the channel that is still ours it is waited for: a second one there would be too many."""
    mailout = await bot.mailout(queued=2)
    await bot.tell_all()
    slack.channel_error = "is_archived"
    await bot.move(mailout, "queued", "sent", 1)
    await bot.tell(after=11)
    slack.heal()
    await bot.tell(after=HOUR)
    assert slack.only.fields["Accepted for sending"] == "1"

    await arrange.sql.execute(
        """update slack_messages set place = place || '{"channel": "C9", "asked_for": "C9"}'"""
    )
    await bot.move(mailout, "queued", "sent", 1)
    await bot.tell(after=11)
    await bot.tell_all()
    assert len(slack.there) == 2
    assert slack.there[-1].fields["Accepted for sending"] == "2"


# -- two processes, and one that dies


async def test_two_processes_tell_each_mailout_once(
    bot: Desk, slack: SlackStandIn, arrange: Arrange, by_bot: Settings, direct_store: Store
) -> None:
    mailouts = [await bot.mailout(queued=1) for _ in range(4)]
    async with Desk(direct_store, slack, arrange, by_bot) as other:
        for _ in range(6):
            await bot.pass_time(2)
            asked = len(slack.asked)
            await asyncio.gather(bot.telling.step(), other.telling.step())
            assert len(slack.asked) <= asked + 1  # one pace for both
    assert len(slack.there) == len(mailouts)


class Dying(Store):
    """A process that is killed after Slack was told, before it has noted that."""

    async def settle_slack_message(self, due: Due, done: Settled) -> bool:
        return False


async def test_who_dies_before_noting_a_change_is_followed_and_no_second_message_made(
    bot: Desk,
    slack: SlackStandIn,
    arrange: Arrange,
    by_bot: Settings,
    postgres_database: PostgresDatabase,
) -> None:
    mailout = await bot.mailout(queued=2)
    await bot.tell_all()
    await bot.move(mailout, "queued", "sent", 1)
    async with Desk(Dying(postgres_database), slack, arrange, by_bot) as dead:
        assert await dead.tell(after=11) == 1
    await bot.move(mailout, "queued", "sent", 1)
    assert await bot.tell(after=11) == 0  # the lease still holds
    await bot.tell(after=60)
    assert slack.only.fields["Accepted for sending"] == "2"


async def test_who_dies_before_noting_a_post_may_double_it_once(
    webhook: Desk,
    slack: SlackStandIn,
    arrange: Arrange,
    by_webhook: Settings,
    postgres_database: PostgresDatabase,
) -> None:
    await webhook.mailout(queued=2)
    async with Desk(Dying(postgres_database), slack, arrange, by_webhook) as dead:
        assert await dead.tell() == 1
    assert await webhook.tell(after=61) == 1
    assert await webhook.tell(after=61) == 0
    assert len(slack.there) == 2


async def test_a_lost_answer_is_asked_for_ever_less_often(
    webhook: Desk, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try may be a message more."""
    await webhook.mailout(queued=2)
    post = webhook.way.post

    async def unheard(*arguments: Any, **named: Any) -> None:
        await post(*arguments, **named)
        raise SlackAway("Slack doesn't answer in time.", is_unsure=True)

    with monkeypatch.context() as patch:
        patch.setattr(webhook.way, "post", unheard)
        for _ in range(60):
            await webhook.tell(after=60)
    assert len(slack.there) <= 6  # in an hour


async def test_a_database_that_is_away_for_a_moment_doubles_nothing(
    webhook: Desk, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of the try is noted before anything else is done."""
    await webhook.mailout(queued=2)

    async def away(*_: Any) -> bool:
        raise DatabaseUnavailable("It is away.")

    with monkeypatch.context() as patch:
        patch.setattr(webhook.store, "settle_slack_message", away)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await webhook.tell()
    assert await webhook.tell() == 0
    assert await webhook.tell(after=120) == 0
    assert len(slack.there) == 1


async def test_what_changes_while_it_is_told_is_told_next(
    webhook: Desk, slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailout = await webhook.mailout(queued=2)
    post = webhook.way.post

    async def meanwhile(*arguments: Any, **named: Any) -> Any:
        await webhook.becomes(mailout, "sent")  # waits for nobody
        return await post(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(webhook.way, "post", meanwhile)
        assert await webhook.tell() == 1
    assert await webhook.tell() == 1
    assert ["is sent" in one.shown for one in slack.there] == [False, True]


async def test_who_finds_nothing_new_shortens_no_others_rest(
    bot: Desk, slack: SlackStandIn
) -> None:
    await bot.mailout(queued=1)
    await bot.tell_all()
    await bot.pass_time(11)
    mine = await bot.store.claim_slack_message(60, 1.1)
    assert mine is not None
    await bot.mailout(queued=1)
    slack.throttle(300)
    assert await bot.tell() == 1  # another, meanwhile
    await bot.store.settle_slack_message(mine, Settled(mine.place, mine.told, next_seconds=10))
    await bot.mailout(queued=1)
    assert await bot.tell() == 0
