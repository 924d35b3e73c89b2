"""What hits every recipient alike is nobody's own fault."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sending import blame
from app.domain.sending.blame import Blame, Verdict, alike

WORDS = alike("MessageRejected", "No.")


class Story:
    """Batches of one mailout, a second apart."""

    def __init__(self) -> None:
        self.blame = Blame()
        self.now = 0.0

    def batch(
        self, refused: Iterable[int], passed: Iterable[int] = (), *, began: float | None = None
    ) -> dict[int, Verdict]:
        self.now += 1
        return self.blame.judge(
            1,
            dict.fromkeys(refused, WORDS),
            list(passed),
            began=self.now - 0.5 if began is None else began,
            now=self.now,
        )


def test_who_is_refused_beside_others_who_pass_is_at_fault() -> None:
    assert Story().batch([1, 2], [3]) == {1: "own", 2: "own"}


def test_a_whole_batch_refused_alike_is_a_shared_fault() -> None:
    assert Story().batch([1, 2]) == {1: "shared", 2: "shared"}


def test_batches_of_one_tell_it_together() -> None:
    story = Story()
    assert [story.batch([n])[n] for n in (1, 2, 3)] == ["later", "later", "shared"]


def test_an_answer_to_a_call_that_began_before_the_refusal_proves_nothing() -> None:
    """The account was closed in between, and the answers came in another order."""
    story = Story()
    story.batch([1, 2])
    story.batch([], [3], began=0.1)
    assert story.batch([1, 2]) == {1: "later", 2: "later"}
    story.batch([], [4])
    assert story.batch([1, 2]) == {1: "own", 2: "own"}


def test_who_passed_in_the_end_is_no_longer_suspected() -> None:
    story = Story()
    story.batch([1, 2])
    story.batch([], [1, 2])
    assert story.batch([1, 2]) == {1: "shared", 2: "shared"}


def test_words_of_their_own_are_believed_for_a_few_and_not_for_many() -> None:
    judge = Blame().judge
    few = {n: alike("X", f"no {n}") for n in range(4)}
    assert set(judge(1, few, [], began=0, now=1).values()) == {"own"}
    more = {n: alike("X", f"no {n}") for n in range(4, 8)}
    assert set(judge(1, more, [], began=1, now=2).values()) == {"shared"}


@given(st.lists(st.sets(st.integers(0, 40), min_size=1, max_size=10), max_size=40))
def test_a_fault_that_everybody_shares_fails_nobody(batches: list[set[int]]) -> None:
    """However the batches are cut, and however often somebody resumes."""
    story = Story()
    for refused in batches:
        assert "own" not in story.batch(refused).values()


@given(
    st.sets(st.integers(0, 30), min_size=1, max_size=12),
    st.integers(1, 8),
    st.permutations(range(31)),
)
def test_odd_recipients_fail_in_the_end_and_nobody_else(
    bad: set[int], size: int, order: list[int]
) -> None:
    """As the sender does it: who is to wait comes again behind the others; a pause is resumed."""
    story, queue, failed, passed = Story(), list(order), set[int](), set[int]()
    for _ in range(500):
        if not queue:
            break
        batch, queue = queue[:size], queue[size:]
        verdicts = story.batch(bad.intersection(batch), set(batch) - bad)
        passed |= set(batch) - bad
        failed |= {n for n, verdict in verdicts.items() if verdict == "own"}
        queue += [n for n, verdict in verdicts.items() if verdict == "later"]
        queue = [n for n, verdict in verdicts.items() if verdict == "shared"] + queue
    assert failed <= bad
    assert passed == set(order) - bad


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame, "MAX_SUSPECTS", 3)
    story = Story()
    story.batch(range(10))
    for mailout in range(2, 100):
        story.blame.judge(mailout, {1: WORDS}, [], began=0, now=1)
    assert len(story.blame._cases) <= blame.MAX_MAILOUTS


def test_memory_is_bounded_over_all_mailouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long ago forgotten first; of the mailout at hand all is known."""
    monkeypatch.setattr(blame, "MAX_REMEMBERED", 100)
    mind = Blame()
    for mailout in range(20):
        for _ in range(2):  # refused, and refused again as after a person resumed it
            verdicts = mind.judge(mailout, dict.fromkeys(range(30), WORDS), [], began=0, now=1)
        assert set(verdicts.values()) == {"later"}
        assert mind.remembered <= 100 + 60


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Rejected. Request 5f3a9c2e-11aa-4bde-9f00-0123456789ab", None, True),
        ("Expired: 20261124T120000Z", "Expired: 20261125T130501Z", True),
        ("No  such\u00a0identity", "no such identity", True),
        ("Bad address a@example.com", "Bad address b@example.com", False),
        ("Bad address reader12345678@example.com", "Bad address reader12345679@example.com", False),
        ("Line 17", "Line 18", False),
    ],
)
def test_when_words_are_the_same(one: str, other: str | None, same: bool) -> None:
    other = other or one.replace("5f3a9c2e", "99999999")
    assert (alike("X", one) == alike("X", other)) is same
    assert alike("X", one) != alike("Y", one)
