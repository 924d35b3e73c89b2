"""Debian's Chromium on the running service and sandbox, over real sockets."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import psycopg
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect
from psycopg.rows import dict_row

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.browser.places import Staged
from tests.browser.stage import (
    stage_access,
    stage_every_state,
    stage_fallback,
    stage_jobs,
    stage_senders,
)
from tests.browser.stage_domain import stage_domain
from tests.browser.stage_engagement import stage_engagement
from tests.browser.stage_hooks import stage_hooks
from tests.browser.stage_imports import stage_imports
from tests.browser.stage_pacing import stage_pacing
from tests.browser.stage_people import stage_people
from tests.browser.stage_schedules import stage_schedules
from tests.browser.stage_segments import stage_segments
from tests.browser.stage_standing import stage_standing
from tests.browser.stage_templates import stage_templates
from tests.browser.support import Site, Visit, elsewhere
from tests.sandbox.support import ses_client
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.ports import free_port
from tests.support.service import SECRET, client, environment, process
from tests.support.waiting import eventually
from tests.support.world import provider_variables, run_world

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

HERE = Path(__file__).parent
# The same engine without the windows around it takes a third less of the processor: 1.15 s less for
# each context.
CHROMIUM = (
    shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
    or shutil.which("/usr/bin/chromium")
)
FLAGS = [
    "--no-sandbox",  # Chromium's own sandbox doesn't start as root, and only our pages are shown
    "--disable-gpu",
    # A sixth less of the processor: what draws needs no process of its own, nor does each tab.
    "--in-process-gpu",
    "--renderer-process-limit=1",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Nothing but this machine can be reached, whatever a page tries.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]

PATIENCE = 30_000
"""Milliseconds for what has to come some time: a machine that has much to do may take long."""
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those of the dashboard in one worker, the others in another one: so each service is started
    once, two Chromiums are, and no worker is left with all of them at the end."""
    for item in items:
        if item.path.parent == HERE:
            group = "dashboard" if item.path.stem == "test_dashboard" else "browser"
            item.add_marker(pytest.mark.xdist_group(group))


WINDOW = {"width": 1280, "height": 800}


class Tabs:
    """A new tab takes Chromium seven times as long as a page does, so tabs are used again, also in
    another size and other colours."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._idle: dict[str, list[Page]] = {}

    @asynccontextmanager
    async def visit(self, settings: dict[str, Any], *, new: bool) -> AsyncIterator[Visit]:
        settings = {"java_script_enabled": True, "viewport": WINDOW, **settings}
        size, colors = settings.pop("viewport"), settings.pop("color_scheme", "light")
        idle = self._idle.setdefault(repr(sorted(settings.items())), [])
        visit = Visit(idle.pop() if idle and not new else await self._opened(settings))
        await visit.page.set_viewport_size(size)
        await visit.page.emulate_media(color_scheme=colors)
        yield visit
        if await visit.leave():
            idle.append(visit.page)
        else:
            await visit.page.context.close()

    async def _opened(self, settings: dict[str, Any]) -> Page:
        context = await self._browser.new_context(**settings)
        context.set_default_timeout(PATIENCE)
        return await context.new_page()


OpenVisit: TypeAlias = Callable[..., Awaitable[Visit]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser, headless, with a new profile that goes with it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium (on Debian: apt-get install chromium-headless-shell)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def tabs(chromium: Browser) -> Tabs:
    """Tabs that nobody looks at."""
    return Tabs(chromium)


@pytest.fixture
async def visit(tabs: Tabs) -> AsyncIterator[OpenVisit]:
    """Open a tab of a new visitor, without cookies, with Playwright's settings for a context.

    new: not one that was used before, whose blank page may not ask this machine for anything.
    """
    async with AsyncExitStack() as stack:

        async def opened(*, new: bool = False, **settings: Any) -> Visit:
            return await stack.enter_async_context(tabs.visit(settings, new=new))

        yield opened


@pytest.fixture(scope="session")
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    """One database for the session, since one service runs on it."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(scope="session")
async def site(
    chromium: Browser,  # first, so that nothing is started where it is absent
    postgres_server: DatabaseServer,
    database_name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Site]:
    """`amazonsender serve` and the sandbox, which posts its events to it."""
    async with run_world(
        postgres_server.dsn(database_name),
        tmp_path_factory.mktemp("service"),
        sandbox={"event_delay": (0.0, 0.0)},
        FROM_NAME="Example Org",
        SIGNUP="true",
        SIGNUP_TAGS="news",
    ) as world:
        yield Site(world.variables["APP_BASE_URL"], world.sandbox, world.http)


@pytest.fixture
def ses(site: Site) -> SESV2Client:
    """Puts any mail into the sandbox."""
    return ses_client(site.sandbox.url)


@pytest.fixture
def other_origin() -> Iterator[tuple[str, list[str]]]:
    """A server that no page of ours has anything to do with, and what it was asked for."""
    with elsewhere() as found:
        yield found


@pytest.fixture(scope="module")
async def staged(
    chromium: Browser,  # first, so that nothing is started where it is absent
    postgres_server: DatabaseServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Staged]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = SandboxConfig(max_send_rate=14, max_24h_send=50_000)
    with postgres_server.database() as name, SandboxServer(config) as sandbox:
        dsn = postgres_server.dsn(name)
        variables = environment(
            dsn, sandbox.url, PORT=str(port), APP_BASE_URL=url, RATE_LIMIT_PER_SEC="14",
            **provider_variables(sandbox.url),
        )  # fmt: skip
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        )
        folder = tmp_path_factory.mktemp("service")
        with process(folder, variables, "serve", "--no-sender") as service:
            async with connection, client(url) as http:

                async def answers() -> bool:
                    assert service.child.poll() is None, service.log
                    try:
                        return (await http.get("/health")).status_code == 200
                    except httpx.TransportError:
                        return False

                await eventually(answers, until=bool)
                arrange = Arrange(connection)
                await stage_senders(arrange)
                await stage_fallback(arrange)
                await stage_jobs(arrange)
                mailouts = await stage_every_state(arrange)
                await stage_access(arrange, mailouts["sending"])
                imports = await stage_imports(arrange)
                person = await stage_people(arrange, mailouts["sent"])
                schedules = await stage_schedules(arrange)
                template = await stage_templates(arrange)
                segments = await stage_segments(arrange)
                engaged = await stage_engagement(arrange)
                await stage_domain(arrange)
                await stage_standing(arrange)
                await stage_pacing(arrange, mailouts["sending"])
                hooks = await stage_hooks(arrange, mailouts["sent"])
                yield Staged(
                    url, dsn, arrange, mailouts, imports, person, schedules, template, segments,
                    engaged, hooks,
                )  # fmt: skip


@pytest.fixture(scope="module")
def session() -> list[Any]:
    """The cookie of somebody who signed in, once a test has."""
    return []


@pytest.fixture
async def signed_in(staged: Staged, visit: OpenVisit, session: list[Any]) -> Any:
    """Open a page in a tab of somebody who signed in."""

    async def opened(path: str = "/dashboard", **settings: Any) -> Visit:
        tab = await visit(base_url=staged.url, **settings)
        await tab.page.context.add_cookies(session)
        await tab.page.goto(path)
        if "/dashboard/login" in tab.page.url:
            await tab.page.fill("#secret", SECRET)
            await tab.page.click("button")
            await tab.page.wait_for_url(f"**{path}")
            session[:] = await tab.page.context.cookies()
        return tab

    return opened
