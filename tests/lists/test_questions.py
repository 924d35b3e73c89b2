"""What a file leaves open is asked about: nobody who left is mailed for a column's name."""

from __future__ import annotations

import pytest

from app.domain.lists.columns import ColumnsRefused
from app.domain.lists.people import Person
from tests.support.lists import opened, people, read, refused

DOUBTFUL = [
    "Unsubscribed", "Opt-out", "opted_in", "Email Marketing Consent", "Newsletter", "Abgemeldet",
    "Einwilligung", "Désabonné", "Désinscrit le", "Baja", "Suscrito", "Disiscritto", "Consenso",
    "Afgemeld", "Toestemming", "Zgoda na e-mail", "Avregistrerad", "Samtycke", "Afmeldt",
    "Peruutettu", "Souhlas", "Leiratkozott", "Dezabonat", "Do not contact", "Bounced?", "Spam",
    "Subscription status", "GDPR", "Inscrito", "Descadastrado", "Left", "Removed on",
]  # fmt: skip


@pytest.mark.parametrize("title", DOUBTFUL)
def test_a_column_that_may_say_who_left_is_asked_about(title: str) -> None:
    """It is never a field without a word: the question names it, its values and the answers."""
    content = f"email,{title}\na@example.com,yes\nb@example.com,no\n"
    [question] = opened(content).questions
    assert question.column == title
    assert question.samples == ("yes", "no")
    assert {answer.meaning for answer in question.answers} == {
        "opted_in", "opted_out", "field", "ignore",
    }  # fmt: skip
    assert f"{title}=opted_out" in question.in_full()
    with pytest.raises(ColumnsRefused, match="may say who is not to be mailed"):
        read(content)
    out, into = people(content, (title, "opted_out")), people(content, (title, "opted_in"))
    assert [person.status for person in out.values()] == ["unsubscribed", "active"]
    assert [person.status for person in into.values()] == ["active", "unsubscribed"]
    assert people(content, (title, "field"))["a@example.com"].fields == {title: "yes"}
    assert people(content, (title.lower(), "ignore"))["a@example.com"].fields == {}


@pytest.mark.parametrize(
    "value", ["Unsubscribed", "hard_bounced", "OPTED OUT", "désabonné", "spam"]
)
def test_a_value_that_says_who_left_makes_a_column_doubtful(value: str) -> None:
    """However late it comes, and whatever the column's name."""
    content = "email,Remark\n" + "a@example.com,blue\n" * 500 + f"b@example.com,{value}\n"
    [question] = opened(content).questions
    assert (question.column, question.samples) == ("Remark", (value,))


def test_a_date_that_is_yes_or_no_is_asked_about() -> None:
    """`Subscribed` is a date for one tool, and for others it says who gets mail."""
    content = "Email,Status,Subscribed\na@example.com,active,yes\nb@example.com,active,no\n"
    [question] = opened(content).questions
    assert (question.column, question.samples) == ("Subscribed", ("yes", "no"))
    found = people(content, ("Subscribed", "opted_in"))
    assert [person.status for person in found.values()] == ["active", "unsubscribed"]


def test_a_person_may_say_that_not_all_of_a_file_left() -> None:
    content = "Email Address,UNSUB_TIME\na@example.com,2024-01-01\nb@example.com,\n"
    assert [one.status for one in people(content).values()] == ["unsubscribed"] * 2
    found = people(content, ("UNSUB_TIME", "left_at"))
    assert [person.status for person in found.values()] == ["unsubscribed", "active"]
    both = content.replace("UNSUB_TIME", "UNSUB_TIME,CLEAN_TIME").replace(
        "\nb@example.com,", "\nb@example.com,,x"
    )
    assert [one.status for one in people(both).values()] == ["unsubscribed", "bounced"]


def test_addresses_under_an_unknown_title_are_asked_about() -> None:
    content = "Contact,name,Referred by\na@example.com,Anna,\nb@example.com,Bo,a@example.com\n"
    question = opened(content).questions[0]
    assert [answer.column for answer in question.answers] == ["Contact", "Referred by"]
    assert "Contact=email" in question.in_full()
    assert list(people(content, ("contact", "email"))) == ["a@example.com", "b@example.com"]


def test_a_doubtful_column_without_values_is_no_question() -> None:
    assert opened("email,Unsubscribed\na@example.com,\n").questions == ()


def test_an_unknown_state_is_a_question_answered_for_the_word() -> None:
    content = "email,Status\na@example.com,Paused\nb@example.com,active\nc@example.com,\n"
    [question] = opened(content).questions
    assert "'Paused'" in question.text
    assert ("Status:Paused", "unsubscribed") in {
        (answer.column, answer.meaning) for answer in question.answers
    }
    found = people(content, ("Status:paused", "unsubscribed"))
    assert [person.status for person in found.values()] == ["unsubscribed", "active", "active"]
    listed = opened(content, [("Status:Paused", "pending"), ("Status:(blank)", "unsubscribed")])
    assert [row.status for row in listed.rows() if isinstance(row, Person)] == [
        "pending", "active", "unsubscribed",
    ]  # fmt: skip


def test_flags_under_the_title_of_states_are_asked_about() -> None:
    content = "email,status\na@example.com,1\nb@example.com,0\n"
    assert len(opened(content).questions) == 2
    assert people(content, ("status", "opted_in"))["b@example.com"].status == "unsubscribed"


def test_of_several_states_the_strictest_counts() -> None:
    found = people(
        "email,status,Unsubscribed at\na@example.com,active,2024-01-01\nb@example.com,bounced,x\n",
        ("Unsubscribed at", "left_at"),
    )
    assert [person.status for person in found.values()] == ["unsubscribed", "unsubscribed"]


def test_a_fields_name_alone_suffices() -> None:
    content = "email,Ort,Newsletter\na@example.com,Ulm,no\n"
    [person] = people(content, ("Ort", "city"), ("Newsletter", "opted_in")).values()
    assert (person.fields, person.status) == ({"city": "Ulm"}, "unsubscribed")
    with pytest.raises(ColumnsRefused, match="'letters'"):  # it may say who has left
        opened(content, [("Newsletter", "letters")])


def test_a_persons_word_overrules_what_is_known_of_a_tool() -> None:
    content = (
        "id,email,name,subscribed_to_emails,labels,Work mail\n"
        "1,a@example.com,Ann,false,VIP,ann@work.example\n"
    )
    [person] = people(
        content, ("Work mail", "email"), ("subscribed_to_emails", "ignore"), ("labels", "fields.x")
    ).values()
    assert (person.email, person.status, person.tags) == ("ann@work.example", "active", [])
    assert person.fields == {"email": "a@example.com", "x": "VIP"}


@pytest.mark.parametrize(
    ("mapped", "words"),
    [
        (("Nothing", "email"), ["'Nothing'", "it has 'email'"]),
        (("city", "adress"), ["'adress'", "fields.NAME"]),
        (("city", "opted-inn"), ["'opted-inn'", "opted_in"]),
        (("city", "unsubscribed"), ["'unsubscribed'", "fields.NAME"]),
        (("city:ulm", "left"), ["'left'", "unsubscribed"]),
        (("city", "email"), []),
    ],
)
def test_what_a_person_says_must_make_sense(mapped: tuple[str, str], words: list[str]) -> None:
    if not words:
        assert refused("email,city\na@example.com,Ulm\n", mapped)[0][0] == 2
        return
    with pytest.raises(ColumnsRefused) as told:
        opened("email,city\na@example.com,Ulm\n", [mapped])
    assert all(word in told.value.detail for word in words)
