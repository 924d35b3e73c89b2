"""Tokens that end: whoever has one may do one thing, for a while."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import InvalidToken

OLD, NEW = "o" * 40, "n" * 40
SIGNUP = UUID(int=7)
MISTAKE = Mistake(UUID(int=8), 9)


def test_the_first_secret_signs_and_all_verify() -> None:
    before = SignupTokens([OLD]).sign(SIGNUP)
    changed = SignupTokens([NEW, OLD])
    assert changed.verify(before) == SIGNUP
    assert SignupTokens([NEW]).verify(changed.sign(SIGNUP)) == SIGNUP
    with pytest.raises(InvalidToken):
        SignupTokens([NEW]).verify(before)


def test_each_ends_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now)
    signup, mistake = SignupTokens([NEW]), ResubscribeTokens([NEW])
    tokens = signup.sign(SIGNUP), mistake.sign(MISTAKE)
    now += 3_600
    assert (signup.verify(tokens[0]), mistake.verify(tokens[1])) == (SIGNUP, MISTAKE)
    now += 1
    with pytest.raises(InvalidToken):
        mistake.verify(tokens[1])
    now += 7 * 86_400 - 3_601
    assert signup.verify(tokens[0]) == SIGNUP
    now += 1
    with pytest.raises(InvalidToken):
        signup.verify(tokens[0])


@pytest.mark.parametrize("secrets", [[], [""], [NEW, ""]])
def test_without_a_secret_there_are_none(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        SignupTokens(secrets)
