"""What Slack is told of a mailout, and when: by a bot, and by an incoming webhook."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.slack.desk import DAY, Desk
from tests.support.slack import SlackStandIn


async def test_a_bots_one_message_follows_its_mailout_to_the_end_and_a_day_on(
    any_bot: Desk, slack: SlackStandIn
) -> None:
    bot = any_bot
    mailout = await bot.mailout(queued=60, sent=30, delivered=10)
    await bot.tell()
    message = slack.only
    assert "“June letter” is being sent" in message.shown
    assert "40 of 100 handed over (40%)" in message.shown
    assert "▰▰▰▰▰▰▰▰▱▱▱▱▱▱▱▱▱▱▱▱ 40%" in message.shown
    assert message.fields["Recipients"] == "100"
    assert message.fields["Accepted for sending"] == "40"
    assert f"http://localhost:8000/dashboard/mailouts/{mailout}" in message.links

    assert await bot.tell(after=5) == 0  # figures wait for ten seconds
    await bot.move(mailout, "queued", "sent", 10)
    assert await bot.tell(after=3) == 0
    assert await bot.tell(after=8) == 1
    assert message.fields["Accepted for sending"] == "50"
    assert await bot.tell(after=11) == 0  # nothing differs

    await bot.move(mailout, "queued", "unknown", 50)
    await bot.becomes(mailout, "sent", status_reason="50 are not known.")
    assert await bot.tell() == 1
    assert "“June letter” is sent." in message.shown
    assert "50 are not known." in message.shown
    assert "keep coming in for some days" in message.shown

    await bot.move(mailout, "sent", "delivered", 40)
    await bot.move(mailout, "delivered", "bounced", 3)
    bot.late = timedelta(hours=5)
    assert await bot.tell(after=4 * 3600) == 1
    assert (message.fields["Delivered so far"], message.fields["Bounced"]) == ("47", "3")
    assert (await bot.row(mailout))["due_in"] == pytest.approx(7200, abs=60)
    bot.late = timedelta(hours=25)
    assert await bot.tell(after=DAY) == 0
    assert (await bot.row(mailout))["due_at"] is None
    assert slack.there == [message]
    assert slack.replies == []


async def test_a_webhook_tells_the_start_and_the_end(webhook: Desk, slack: SlackStandIn) -> None:
    mailout = await webhook.mailout(queued=2, delivered=1)
    assert await webhook.tell() == 1
    await webhook.move(mailout, "queued", "delivered", 1)
    assert await webhook.tell(after=60) == 0
    await webhook.move(mailout, "queued", "delivered", 1)
    await webhook.becomes(mailout, "sent")
    assert await webhook.tell() == 1
    assert await webhook.tell(after=DAY) == 0
    start, end = slack.there
    assert "is being sent" in start.shown
    assert "is sent" in end.shown
    assert end.fields["Delivered so far"] == "3"
    assert end.text.startswith("The mailout “June letter” is sent. Sent on ")


@pytest.mark.parametrize("code", ["guard", "account", "held"])
async def test_what_needs_a_person_is_a_reply_that_the_channel_sees(
    bot: Desk, slack: SlackStandIn, code: str
) -> None:
    """A change of a message notifies nobody. It is said once, and the message says it, too."""
    mailout = await bot.mailout(queued=2)
    await bot.tell_all()
    await bot.becomes(mailout, "paused", pause_code=code, status_reason="x@example.com bounced.")
    await bot.tell_all()
    [reply] = slack.replies
    assert (reply.thread_ts, reply.arguments["reply_broadcast"]) == (slack.only.ts, True)
    for said in (reply, slack.only):
        assert "is paused" in said.shown
        assert "bounced." in said.shown
        assert "x@example.com" not in f"{said.text}{said.blocks}"
    await bot.becomes(mailout, "sending")
    await bot.tell_all()
    assert "is being sent" in slack.only.shown
    assert len(slack.replies) == 1


async def test_a_persons_pause_only_changes_the_message(bot: Desk, slack: SlackStandIn) -> None:
    mailout = await bot.mailout(queued=2)
    await bot.tell_all()
    await bot.becomes(mailout, "paused", pause_code="person", status_reason="Paused by a person.")
    await bot.tell_all()
    assert "Resume or cancel it in the dashboard" in slack.only.shown
    assert slack.replies == []


async def test_a_webhook_tells_of_each_pause_once(webhook: Desk, slack: SlackStandIn) -> None:
    mailout = await webhook.mailout(queued=2)
    await webhook.tell_all()
    await webhook.becomes(mailout, "paused", pause_code="guard", status_reason="Many bounced.")
    await webhook.tell_all()
    assert "Many bounced.\nIt waits for you" in slack.there[-1].shown
    await webhook.becomes(mailout, "sending")
    await webhook.tell_all()
    assert len(slack.there) == 2  # its start was told
    await webhook.becomes(mailout, "paused", pause_code="guard", status_reason="Again.")
    await webhook.tell_all()
    assert "Again." in slack.there[-1].shown
    await webhook.becomes(mailout, "failed", status_reason="SES refused all.")
    await webhook.tell_all()
    assert len(slack.there) == 4
    assert "has failed" in slack.there[-1].shown
    assert "resend to those who failed" in slack.there[-1].shown


async def test_an_accounts_repeated_pauses_are_told_as_often_as_by_mail(
    webhook: Desk, slack: SlackStandIn
) -> None:
    """Once in twelve hours."""
    mailout = await webhook.mailout(queued=2)
    for _ in range(3):
        await webhook.becomes(mailout, "paused", pause_code="quota", status_reason="Used up.")
        await webhook.tell_all()
        await webhook.becomes(mailout, "sending")
        await webhook.tell_all()
    assert ["is paused" in one.shown for one in slack.there] == [True, False]


async def test_a_cancelled_mailout_ends_what_was_told(webhook: Desk, slack: SlackStandIn) -> None:
    told, untold = await webhook.mailout(queued=2), await webhook.mailout(queued=1)
    await webhook.becomes(untold, "cancelled")
    await webhook.tell_all()
    await webhook.becomes(told, "cancelled")
    await webhook.tell_all()
    assert ["is cancelled" in one.shown for one in slack.there] == [False, True]


async def test_what_happened_before_slack_was_set_up_isnt_told(
    webhook: Desk, slack: SlackStandIn
) -> None:
    """Or while it was taken out of the settings, for more than a day."""
    half, old = await webhook.mailout(queued=1), await webhook.mailout(queued=1)
    await webhook.arrange.sql.execute(
        "update slack_messages set due_at = null where mailout_id = %s", [old]
    )
    await webhook.tell_all()
    for one in (half, old):
        await webhook.becomes(one, "sent")
    await webhook.pass_time(1.1 * DAY)
    new = await webhook.mailout(queued=1)
    await webhook.tell_all()
    assert [str(half) in slack.there[0].text, str(new) in slack.there[1].text] == [True, True]
    assert len(slack.there) == 2
    assert (await webhook.row(old))["due_at"] is None


async def test_drafts_and_released_mailouts_are_not_told(bot: Desk, slack: SlackStandIn) -> None:
    mailout = await bot.arrange.mailout("draft")
    await bot.arrange.sql.execute("update mailouts set status = 'ready' where id = %s", [mailout])
    await bot.tell_all()
    assert slack.asked == []


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "subject",
    [
        "<!channel> & <!here> <@U012AB3CD> <!subteam^S1|x>",
        "<https://evil.example|Open it in the dashboard>",
        "@here @channel @everyone #general",
        "a\n\n*b* `c` ~d~ &amp; &lt;!channel&gt;",
        "🎉 " + "&" * 5000,
        "",
    ],
)
async def test_no_subject_pings_anybody_or_leads_elsewhere(
    bot: Desk, webhook: Desk, slack: SlackStandIn, subject: str
) -> None:
    """The stand-in refuses what is too long for Slack."""
    mailout = await bot.mailout(queued=2)
    await bot.arrange.sql.execute(
        "update mailouts set subject = %s where id = %s", [subject, mailout]
    )
    for _ in range(2):
        await bot.tell_all()
        await bot.becomes(
            mailout, "paused", pause_code="guard", status_reason=f"{subject} <!channel> @here"
        )
    await webhook.arrange.sql.execute(
        "update slack_messages set told = '{}', place = null, due_at = now()"
    )
    await webhook.tell_all()
    assert len(slack.there) == 2
    for one in (*slack.there, *slack.replies):
        assert one.pings == []
        assert set(one.links) == {f"http://localhost:8000/dashboard/mailouts/{mailout}"}
        assert " ".join(subject.split())[:250] in one.shown
        assert one.arguments.get("link_names", False) is False


async def test_opens_and_clicks_are_a_range_once_it_is_sent(bot: Desk, slack: SlackStandIn) -> None:
    """From people who are proven to those who may have been; nothing where nothing is tracked."""
    mailout, other = await bot.mailout("sending", delivered=8), await bot.mailout(delivered=8)
    await bot.arrange.sql.execute("update mailouts set tracking = true where id = %s", [mailout])
    await bot.arrange.sql.execute(
        "insert into engagement_recipients "
        "(send_log_id, mailout_id, open_class, click_class, rules) "
        "select id, mailout_id, case when row_number() over (order by id) <= 2 then 'human' "
        "when row_number() over (order by id) <= 5 then 'unknown' else 'machine' end, "
        "case when row_number() over (order by id) = 1 then 'human' end, 1 from send_logs "
        "where mailout_id = %s",
        [mailout],
    )
    await bot.tell_all()
    assert "Opened by" not in slack.there[0].shown
    for one in (mailout, other):
        await bot.becomes(one, "sent")
    await bot.tell_all()
    tracked, untracked = slack.there
    assert "*Opened by* between 2 and 5 people (25 to 62 %)" in tracked.shown
    assert "*Clicked by* 1 person (12 %)" in tracked.shown
    assert "Opened by" not in untracked.shown
