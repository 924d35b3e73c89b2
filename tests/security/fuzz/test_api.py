"""59: schemathesis over every route and every role: no 5xx, and no answer that `/openapi.json`
doesn't have (tests/security/fuzz/api.py)."""

from __future__ import annotations

import ipaddress
import os
import random
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.domain.access import OWNER, SCOPES
from app.main import create_app
from tests.security.fortress import BEARER, Fortress
from tests.security.fuzz.api import ROLES, Fuzzed, arranged
from tests.support.wide import wide

FEW = {"owner": 2}
"""Examples of each operation in the suite, one as it should be and one not; others in every run."""
MANY = int(os.environ.get("PYTEST_FUZZ_EXAMPLES", "500"))


@pytest.fixture(scope="module")
async def fuzzed(fortress: Fortress) -> AsyncIterator[Fuzzed]:
    app = create_app(fortress.services)
    roles: dict[str, dict[str, str]] = {"stranger": {}, "owner": BEARER}
    for scope in SCOPES:
        key = await fortress.services.keys.create(f"only {scope}", [scope], OWNER)
        roles[scope] = {"Authorization": f"Bearer {key['key']}"}

    async def from_everywhere(scope: Scope, receive: Receive, send: Send) -> None:
        """Each request is another client's, so that refusals don't lead to a 429 for the next."""
        address = ipaddress.IPv4Address(random.getrandbits(32))
        await app({**scope, "client": (str(address), 1)}, receive, send)

    transport = httpx.ASGITransport(from_everywhere, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://service", timeout=60
    ) as http:
        with pytest.MonkeyPatch.context() as patch:
            # Nobody delivers here, so the answer to a hook's test would be waited for in vain.
            patch.setattr("app.services.hooks.trying.ANSWER_SECONDS", 0.01)
            yield Fuzzed(http, app.openapi(), roles)


PARTS = 3
"""The suite asks a third of the routes, `make soak SHORT=1` the others too."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", wide(range(PARTS), 1))
async def test_59_a_few_requests_of_every_kind_to_every_route(
    fortress: Fortress, fuzzed: Fuzzed, part: int
) -> None:
    things = await arranged(fortress)
    operations = list(fuzzed.operations())[part::PARTS]
    before = fuzzed.asked
    for operation in operations:
        for role, examples in FEW.items():
            await fuzzed.try_one(operation, things, role, examples)
    assert fuzzed.asked - before > len(operations)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
async def test_59_many_requests_of_every_kind_to_every_route(
    fortress: Fortress, fuzzed: Fuzzed
) -> None:
    """PYTEST_FUZZ_EXAMPLES: of each operation by each role who may call it; of one who may not, a
    tenth, since all get the same answer."""
    failed: list[BaseException] = []
    for operation in fuzzed.operations():
        for role in ROLES:
            things = await arranged(fortress)
            examples = MANY if fuzzed.may(operation, role) else MANY // 10
            before = fuzzed.asked
            try:
                await fuzzed.try_one(operation, things, role, examples)
            except (Exception, BaseExceptionGroup) as found:  # noqa: BLE001  the others are to be seen
                failed.append(found)
                print("FOUND", operation.label, role, found, getattr(found, "exceptions", ""))
            print(operation.label, role, fuzzed.asked - before)
    print(f"{fuzzed.asked:,} requests")
    assert failed == []
