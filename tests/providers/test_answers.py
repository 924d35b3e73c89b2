"""What the providers' words mean, by their documentation."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.providers.answers import Reply, mailgun_answers, sendgrid_answers


def errors(message: str, field: str | None = None) -> str:
    return json.dumps({"errors": [{"message": message, "field": field, "help": None}]})


@pytest.mark.parametrize(
    ("status", "text", "outcome", "halt"),
    [
        (400, errors("The subject is required.", "subject"), "failed", "split"),
        (401, errors("Permission denied, wrong credentials"), "requeue", "configuration"),
        (401, errors("Maximum credits exceeded"), "requeue", "quota"),
        (403, errors("access forbidden"), "requeue", "configuration"),
        (403, errors("Your account has been suspended"), "requeue", "account"),
        (413, errors("content too large"), "failed", "split"),
        (404, errors("not found"), "requeue", "configuration"),
        (429, errors("too many requests"), "requeue", "throttled"),
        (500, errors("internal server error"), "unknown", "unreachable"),
        (400, "<html>proxy</html>", "requeue", "not_ses"),
        (413, "<html>proxy</html>", "failed", "split"),
        (429, "slow", "requeue", "throttled"),
        (302, "", "requeue", "not_ses"),
        (200, "{}", "unknown", "unreachable"),
    ],
)
def test_sendgrid(status: int, text: str, outcome: str, halt: str | None) -> None:
    answers = sendgrid_answers(Reply(status, text), 3)
    assert [(answer.outcome, answer.halt) for answer in answers] == [(outcome, halt)] * 3


@pytest.mark.parametrize(
    ("status", "text", "outcome", "halt"),
    [
        (400, '{"message": "to parameter is not a valid address"}', "failed", "split"),
        (401, "Forbidden", "requeue", "configuration"),
        (402, '{"message": "Request failed"}', "requeue", "account"),
        (
            403,
            '{"message": "Domain x is not allowed to send: account disabled"}',
            "requeue",
            "account",
        ),
        (403, '{"message": "Activate your domain"}', "requeue", "configuration"),
        (404, '{"message": "Domain not found: x"}', "requeue", "configuration"),
        (413, '{"message": "too large"}', "failed", "split"),
        (429, '{"message": "Too many requests"}', "requeue", "throttled"),
        (429, '{"message": "recipient limit exceeded"}', "requeue", "quota"),
        (200, "Mailgun Magnificent API", "requeue", "configuration"),
        (200, '{"message": "Queued. Thank you."}', "unknown", "unreachable"),
        (200, '{"id": "", "message": "Queued. Thank you."}', "unknown", None),
        (500, '{"message": "Internal Server Error"}', "unknown", "unreachable"),
        (403, "<html>proxy</html>", "requeue", "not_ses"),
    ],
)
def test_mailgun(status: int, text: str, outcome: str, halt: str | None) -> None:
    answers = mailgun_answers(Reply(status, text), 2)
    assert [(answer.outcome, answer.halt) for answer in answers] == [(outcome, halt)] * 2


def test_a_place_beyond_the_call_blames_nobody() -> None:
    answers = sendgrid_answers(Reply(400, errors("odd", "personalizations.7.to")), 2)
    assert [(answer.outcome, answer.halt) for answer in answers] == [("failed", "split")] * 2


statuses = st.integers(100, 599)
said = st.one_of(
    st.text(max_size=30),
    st.recursive(
        st.one_of(st.none(), st.integers(), st.text(max_size=5)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["errors", "message", "id", "field"]), inner),
        ),
        max_leaves=8,
    ).map(json.dumps),
)


@given(status=statuses, text=said, people=st.integers(1, 4))
def test_whatever_they_say_each_person_has_an_answer(status: int, text: str, people: int) -> None:
    """And nobody is called accepted or refused by a 5xx."""
    for read in (sendgrid_answers, mailgun_answers):
        answers = read(Reply(status, text), people)
        assert len(answers) == people
        if status >= 500 or status < 200:
            assert {answer.outcome for answer in answers} == {"unknown"}
