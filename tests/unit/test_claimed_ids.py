"""Ids of people as claims bring them: the store reads their bytes; `UUID` is its model."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.tokens import UnsubscribeTokens
from app.store.sending import uuid_bytes

TOKENS = UnsubscribeTokens(["s" * 40])


@given(st.uuids(), st.uuids())
def test_an_id_is_read_as_uuid_does_and_signs_the_same_link(person: UUID, mailout: UUID) -> None:
    found = uuid_bytes(str(person))
    assert found == person.bytes
    assert TOKENS.sign_bytes(found, mailout.bytes) == TOKENS.sign(person, mailout)


@pytest.mark.parametrize("text", ["x", "12", "0" * 34, "-" * 36, "é" * 32])
def test_what_is_no_id_is_an_error_that_the_store_knows(text: str) -> None:
    with pytest.raises(ValueError):
        uuid_bytes(text)
