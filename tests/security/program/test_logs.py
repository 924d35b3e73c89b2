"""52: no secret and nobody's address gets out of the program: not into its log, an answer, a
metric, a page, a command's output, or the processes that render."""

from __future__ import annotations

import base64
import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from app.logs import SafeValues
from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.ports import free_port
from tests.support.routes import ROUTES
from tests.support.service import Process, client, command, environment, process
from tests.support.waiting import eventually
from tests.support.wide import wide

CANARY = "Vq8Zt3"
"""A part of every secret."""


def secret(number: int) -> str:
    return f"{CANARY}wKxN5hRj2PcYm9Lb4Gd7Sf1{number:02}eUaTz6"


PERSON = "canary.person"
FORGED = "x\n2026-11-24 ERROR forged \x1b[31m"


@dataclass
class Program:
    """A running service all of whose secrets are canaries, and what it has said so far."""

    variables: dict[str, str]
    folder: Path
    running: Process
    http: httpx.AsyncClient
    sql: psycopg.Connection
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {secret(1)}"}

    async def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        answer = await self.http.request(method, path, **options)  # type: ignore[arg-type]
        self.answers[f"{method} {path} {len(self.answers)}"] = answer.text + str(answer.headers)
        return answer

    def descendants(self) -> list[int]:
        """The processes that it started, and theirs."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parents[int(folder.name)] = int(
                    (folder / "stat").read_text().rpartition(")")[2].split()[1]
                )
        found = [self.running.child.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found


@pytest.fixture(scope="module")
async def program(
    postgres_server: DatabaseServer,
    sandbox: SandboxServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Program]:
    folder = tmp_path_factory.mktemp("canaries")
    port, closed = free_port(), free_port()
    nowhere = f"http://127.0.0.1:{closed}"
    with postgres_server.database(new=True) as name:
        dsn = postgres_server.dsn(name)
        with psycopg.connect(dsn, autocommit=True) as sql:
            sql.execute(f"create role canary superuser login password '{secret(3)}'".encode())
            variables = environment(
                re.sub("//[^@]*@", f"//canary:{secret(3)}@", dsn),
                sandbox.url,
                EXECUTOR_SHARED_SECRET=f"{secret(1)},{secret(2)}",
                UNSUBSCRIBE_SECRET=secret(4),
                UNSUBSCRIBE_OLD_SECRETS=secret(5),
                AWS_SECRET_ACCESS_KEY=secret(6),
                AWS_SESSION_TOKEN=secret(7),
                NOTION_API_TOKEN=secret(8),
                NOTION_DATABASE_ID="1d2e3f40516273849a0b1c2d3e4f5061",
                NOTION_WEBHOOK_VERIFICATION_TOKEN=secret(9),
                NOTION_API_URL=nowhere,
                SLACK_BOT_TOKEN=secret(10),
                SLACK_CHANNEL="C0123456789",
                SLACK_API_URL=nowhere,
                SLACK_WEBHOOK_URL=f"{nowhere}/services/T0/B0/{secret(11)}",
                FALLBACK_PROVIDERS="mailgun",
                MAILGUN_API_KEY=secret(12),
                MAILGUN_DOMAIN="mg.example.com",
                MAILGUN_WEBHOOK_SIGNING_KEY=secret(13),
                MAILGUN_API_URL=nowhere,
                RABBITMQ_URL=f"amqp://user:{secret(14)}@127.0.0.1:{closed}/x",
                DNS_RESOLVERS="127.0.0.1",
                DNSBL_ZONES=f"{secret(15)}.zen.dq.spamhaus.net",
                OWNER_EMAIL="canary.owner@example.com",
                SIGNUP="true",
                PORT=str(port),
                APP_BASE_URL=f"http://localhost:{port}",
                LOG_LEVEL="debug",
            )
            try:
                # Python is started anew, and so is what renders: with its own command line.
                anew = variables | {"PYTHONPATH": str(Path(__file__).parents[3])}
                with process(folder, anew, "serve") as running:
                    async with client(f"http://127.0.0.1:{port}", timeout=30) as http:
                        found = Program(variables, folder, running, http, sql)
                        await eventually(lambda: answers(http, found.bearer), until=bool)
                        yield found
            finally:
                sql.execute("drop role canary")


async def answers(http: httpx.AsyncClient, bearer: dict[str, str]) -> bool:
    """Until the database is connected all is 503."""
    try:
        return (await http.get("/keys", headers=bearer)).status_code == 200
    except httpx.TransportError:
        return False


def leaks(text: str) -> list[str]:
    """Secrets in it, also in base64, and addresses, but for those that a page may show."""
    hidden = [CANARY, CANARY.lower(), base64.b64encode(CANARY.encode()).decode()[:7]]
    return [text[max(0, at - 60) : at + 40] for one in hidden if (at := text.find(one)) >= 0]


PARTS = 4
"""The suite looks at a fourth of what there is to read, `make soak SHORT=1` at the rest too."""


@pytest.mark.parametrize("part", wide(range(PARTS), 1))
async def test_52_no_answer_page_or_metric_holds_a_secret(program: Program, part: int) -> None:
    """Every route that reads, with all that it shows."""
    origin = {"Origin": str(program.http.base_url)}
    routes = ROUTES[part::PARTS]
    for route in routes:
        if route.method == "GET" and not route.path.startswith("/dashboard"):
            await program.ask("GET", route.url, headers=program.bearer)
    signed_in = await program.ask(
        "POST", "/dashboard/login", data={"secret": secret(1)}, headers=origin
    )
    assert signed_in.status_code == 303
    for route in routes:
        if route.method == "GET" and route.path.startswith("/dashboard"):
            await program.ask("GET", route.url)
    for path in ("/openapi.json", "/docs", "/metrics", "/health", "/health/live"):
        await program.ask("GET", path)
    found = {name: leaks(text) for name, text in program.answers.items()}
    assert {name: text for name, text in found.items() if text} == {}


async def test_52_no_kind_of_trouble_tells_a_secret_or_an_address(program: Program) -> None:
    """A fault in the database, refused events, values that forge lines; then its whole log."""
    program.sql.execute(
        "create or replace function find_subscriber(p_subscriber uuid default null, "
        "p_email text default null) returns jsonb language plpgsql as $$ begin raise exception "
        "'no such row: % for %', p_email, current_user; end $$"
    )
    failed = await program.ask("GET", f"/subscribers/{PERSON}@example.com", headers=program.bearer)
    assert failed.status_code == 500
    assert PERSON not in failed.text
    for value in (FORGED, "y" * 1_000_000, f"{PERSON}@example.com", secret(1), secret(6)):
        body = {"subject": value, "name": value, "mailout_id": value, "auth_token": value}
        for path in ("/send-mailout", "/mailouts", "/notion-events", "/mailgun-events"):
            for headers in ({}, program.bearer):
                with suppress(httpx.TransportError):  # too large, so cut off
                    await program.ask("POST", path, json=body, headers=headers)
        for name in ("X-Auth-Token", "User-Agent", "X-Request-Id", "X-Forwarded-For"):
            with suppress(httpx.TransportError):
                plain = value.encode("ascii", "ignore").replace(b"\n", b" ")[:2_000]
                await program.ask("GET", "/mailouts", headers={name: plain.decode()})
        with suppress(httpx.InvalidURL):
            await program.ask("GET", "/unsubscribe", params={"token": value[:2_000]})
    assert PERSON not in program.running.log
    assert leaks(program.running.log) == []
    for line in program.running.log.splitlines():
        assert json.loads(line)["level"] in {"debug", "info", "warning", "error", "critical"}
        assert len(line) < 40_000
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    assert "forged" not in {line.split()[-1] for line in program.running.log.splitlines()}


@pytest.mark.short
def test_52_commands_tell_no_secret(program: Program) -> None:
    for arguments in (("doctor",), ("migrate", "--status"), ("notion", "check"), ("keys", "list")):
        done = command(program.folder, program.variables, *arguments)
        assert leaks(done.stdout + done.stderr) == [], arguments


@pytest.mark.short
def test_52_a_refused_database_is_told_without_its_password(program: Program) -> None:
    wrong = program.variables["DATABASE_URL"].replace(secret(3), secret(3)[::-1] + CANARY)
    for dsn in (wrong, wrong.replace("127.0.0.1", "nowhere.invalid"), wrong.replace("//", "/")):
        for arguments in (("migrate",), ("doctor",)):
            done = command(program.folder, program.variables | {"DATABASE_URL": dsn}, *arguments)
            assert done.returncode == 1
            assert leaks(done.stdout + done.stderr) == []
            assert "Traceback" not in done.stderr


async def test_52_processes_show_no_secret(program: Program) -> None:
    """Their command lines to everybody on the machine; their environment to what they render."""
    mailout = await program.ask(
        "POST", "/mailouts", json={"subject": "Hi", "body_markdown": "Hi"}, headers=program.bearer
    )
    preview = f"/mailouts/{mailout.json()['id']}/preview"
    shown = await program.ask("POST", preview, json={}, headers=program.bearer)
    assert shown.status_code == 200, shown.text
    rendering = 0
    for pid in program.descendants():
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            assert leaks(line) == []
            if "fork_server" in line:
                rendering += 1
                assert leaks(Path(f"/proc/{pid}/environ").read_bytes().decode()) == []
    assert rendering


def test_52_an_address_is_masked_however_it_is_spelt() -> None:
    """As libraries quote them: in the address of a request that failed, and of odd mailboxes."""
    safe = SafeValues([])
    for text in ("https://x/v2/addresses/{}%40example.com", '"{} Jr"@example.com', "<{}@b.test>"):
        assert PERSON not in str(safe(None, "", {"event": text.format(PERSON)}))


def test_52_a_crash_leaves_no_secret(program: Program) -> None:
    """The last thing that the program says."""
    program.running.signal(signal.SIGABRT)
    program.running.child.wait(30)
    assert leaks(program.running.log) == []
    assert not list(program.folder.glob("core*"))


def test_52_what_holds_settings_shows_none(program: Program) -> None:
    from app.settings import load_settings

    settings = load_settings(
        None, **{name.lower(): value for name, value in program.variables.items()}
    )
    assert leaks(repr(settings) + str(settings)) == []
