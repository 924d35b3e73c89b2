"""How often a sender asks whether something is to be dropped."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

import pytest

from app.errors import DatabaseError
from app.services.sending import drop_details
from app.services.sending.drop_details import DropDetails
from app.settings import Settings


class Calls:
    """A store that answers as told; counts."""

    def __init__(self, *answers: bool | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def _answer(self, _days: int | None) -> bool:
        self.asked += 1
        answer = self._answers.pop(0) if self._answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    drop_old_events = drop_old_batches = shrink_old_mailouts = _answer


@pytest.mark.parametrize("first", [False, DatabaseError("cut off", sqlstate="57014")])
async def test_what_found_nothing_or_failed_is_tried_again_an_hour_later(
    first: bool | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(drop_details, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    store = Calls(True, False, False, first)
    drops = DropDetails(store, Settings(_env_file=None))  # type: ignore[arg-type]
    await drops.look()
    with suppress(DatabaseError):
        await drops.look()
    asked = store.asked
    assert asked > 3
    for clock[0] in (1001.0, 1060.0, 4599.0):
        await drops.look()
    assert store.asked == asked
    clock[0] = 4601.0
    await drops.look()
    assert store.asked > asked
