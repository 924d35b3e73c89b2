"""What schemathesis makes of `/openapi.json`, asked of the service in the same event loop.

schemathesis would call an ASGI application in a loop of its own, where the service's connections
aren't. So its cases are made in a thread, and each is sent from the test's loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast
from uuid import UUID

import httpx
import hypothesis
import hypothesis.errors
import requests
import schemathesis
from hypothesis import HealthCheck
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, CheckFunction, load_all_checks
from schemathesis.schemas import APIOperation

from app.api.hooks.routes import DELIVERY_STATES
from app.domain.access import OWNER, SCOPES
from tests.security.fortress import BEARER, Fortress
from tests.support.factories import start

Operation: TypeAlias = APIOperation[Any, Any, Any, Any]
load_all_checks()
CHECKS_OF_ANSWERS = [
    cast("CheckFunction", CHECKS.get_one(name))
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    )
]
REFUSED = CHECKS_OF_ANSWERS[-1]
TAKES_ANYTHING = {
    "POST /send-mailout",  # refusals in Notion's form are answered 200
    "GET /subscribe",  # pages take whatever others add to their addresses
    "POST /subscribe",
}
ROLES = ("stranger", *SCOPES, "owner")
PICTURE = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)
MAY_SAY_503 = {"ses_not_configured", "notion_not_configured", "provider_not_configured"}


@dataclass
class Things:
    """What there is, by the name of a path's parameter."""

    ids: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, *values: object) -> None:
        self.ids.setdefault(name, []).extend(str(value) for value in values)


async def arranged(fortress: Fortress) -> Things:
    """One of everything, in each of its states."""
    things, arrange, http = Things(), fortress.arrange, fortress.http
    tag = random.randbytes(6).hex()

    async def made(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await http.post(path, json=body, headers=BEARER)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    for status in ("active", "unsubscribed", "bounced", "complained"):
        address = f"{status}-{tag}@example.com"
        await arrange.subscriber(address, status=status, tags=["news"], fields={"city": "Lisbon"})
        things.add("email", address)
    sent = await arrange.mailout(notion_page_id=str(UUID(bytes=random.randbytes(16))))
    await start(fortress.services.store, sent)
    await arrange.sql.execute(
        "update send_logs set status = 'delivered', message_id = 'm-' || id where mailout_id = %s",
        [sent],
    )
    await arrange.sql.execute("update mailouts set status = 'sent' where id = %s", [sent])
    going = await arrange.mailout(audience={"tags": ["news"]})
    await start(fortress.services.store, going)
    things.add("mailout_id", sent, going)
    for status in ("draft", "ready", "paused", "failed", "cancelled"):
        things.add("mailout_id", await arrange.mailout(status, body_markdown="Hi {{ name }}"))
    template = await made("/templates", {"name": f"t {tag}", "body_html": "<p>{{ content }}</p>"})
    things.add("template_id", template["id"])
    things.add("version", 1)
    segment = await made("/segments", {"name": f"s {tag}", "audience": {"tags": ["news"]}})
    things.add("segment_id", segment["id"])
    hook = await made(
        "/hooks", {"url": f"https://crm.example.com/{tag}", "events": ["subscriber.unsubscribed"]}
    )
    things.add("hook_id", hook["id"])
    for state in DELIVERY_STATES:
        await arrange.sql.execute(
            "insert into hook_deliveries (hook_id, event_id, type, subject, data, state) values "
            "(%s, 'evt_' || gen_random_uuid(), 'subscriber.unsubscribed', gen_random_uuid(), "
            "'{}', %s)",
            [hook["id"], state],
        )
    things.add("event", "subscriber.unsubscribed", "mailout.finished")
    file = await http.post(
        "/subscribers/import?dry_run=true",
        content=b"email,name\na@example.com,A\n",
        headers=BEARER | {"content-type": "text/csv"},
    )
    things.add("import_id", file.json()["id"])
    for state in ("waiting", "done", "failed", "cancelled"):
        job = await arrange.one(
            "insert into jobs (kind, state, finished_at) values ('nothing', %s, "
            "case %s when 'waiting' then null else now() end) returning id",
            state,
            state,
        )
        things.add("job_id", job)
    key = await fortress.services.keys.create(f"k {tag}", ["read"], OWNER)
    things.add("key_id", key["id"])
    sha = random.randbytes(32).hex()
    await arrange.sql.execute(
        "insert into assets (sha256, media_type, extension, width, height, size, content, store) "
        "values (%s, 'image/gif', 'gif', 1, 1, %s, %s, 'database')",
        [sha, len(PICTURE), PICTURE],
    )
    things.add("name", f"{sha}.gif")
    things.add("route", "us-east-1", "sendgrid")
    return things


@dataclass
class Fuzzed:
    """The API over a service, and the credentials of each role."""

    http: httpx.AsyncClient
    document: dict[str, Any]
    roles: dict[str, dict[str, str]]

    def __post_init__(self) -> None:
        document = deepcopy(self.document)
        for operations in document["paths"].values():
            for operation in operations.values():
                operation.pop("security", None)  # credentials are given here
        self.schema = schemathesis.openapi.from_dict(document)
        self.asked = 0

    def operations(self) -> Iterator[Operation]:
        for found in self.schema.get_all_operations():
            yield found.ok()  # type: ignore[union-attr]

    def may(self, operation: Operation, role: str) -> bool:
        """Whether a role may call an operation at all."""
        described = self.document["paths"][operation.path][operation.method.lower()]
        scopes = _scopes(described)
        return not scopes or role == "owner" or role in scopes

    async def try_one(self, operation: Operation, things: Things, role: str, examples: int) -> None:
        """Ask an operation so many times: half of them as it should be asked, half not. Raises
        what schemathesis finds."""
        loop = asyncio.get_running_loop()
        may = self.may(operation, role)

        def send(case: Case[Any]) -> httpx.Response:
            answer = asyncio.run_coroutine_threadsafe(self.send(case, role), loop).result(60)
            if not may:
                refusal = 401 if role == "stranger" else 403
                assert answer.status_code in {refusal, 404, 405}, answer.text
            return answer

        both = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        for mode in both if may else both[:1]:  # a refusal is the same for each
            cases = operation.as_strategy(generation_mode=mode)
            replaced = things if mode is GenerationMode.POSITIVE else Things()
            try:
                await asyncio.to_thread(_ask, cases, replaced, send, max(1, examples // 2))
            except hypothesis.errors.Unsatisfiable:
                if mode is GenerationMode.POSITIVE:
                    raise
                # there is nothing in it that could be wrong

    async def send(self, case: Case[Any], role: str) -> httpx.Response:
        asked = requests.Request(**case.as_transport_kwargs(base_url="http://service")).prepare()
        body = asked.body.encode() if isinstance(asked.body, str) else asked.body
        assert body is None or isinstance(body, bytes)
        request = self.http.build_request(
            str(asked.method),
            str(asked.url),
            headers=dict(asked.headers.items()) | self.roles[role],  # type: ignore[arg-type]
            content=body or b"",
        )
        self.asked += 1
        return await self.http.send(request)


def _scopes(operation: Mapping[str, Any]) -> set[str]:
    return {
        scope
        for way in operation.get("security", ())
        for scopes in way.values()
        for scope in scopes
    }


def _ask(
    cases: st.SearchStrategy[Case[Any]],
    things: Things,
    send: Callable[[Case[Any]], httpx.Response],
    examples: int,
) -> None:
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[hypothesis.Phase.generate],
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.seed(random.getrandbits(64))
    @hypothesis.given(case=cases, dice=st.randoms(use_true_random=False))
    def ask(case: Case[Any], dice: random.Random) -> None:
        for name in list(case.path_parameters or {}):
            if name in things.ids and dice.random() < 0.6:
                case.path_parameters[name] = dice.choice(things.ids[name])
        try:
            answer = send(case)
        except httpx.InvalidURL:  # too long for httpx
            hypothesis.reject()
        if answer.status_code == 503 and answer.json()["code"] in MAY_SAY_503:
            return
        checks = CHECKS_OF_ANSWERS
        if case.operation.label in TAKES_ANYTHING:
            checks = [check for check in checks if check is not REFUSED]
        case.validate_response(answer, checks=checks)

    ask()
