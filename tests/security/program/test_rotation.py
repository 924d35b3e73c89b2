"""Secrets are changed while two instances serve on one database: nobody is refused meanwhile."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.domain.tokens import UnsubscribeTokens
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.ports import free_port
from tests.support.service import client, environment, process
from tests.support.waiting import eventually

OLD, NEW = "Rk7wXz2mQb9TnVc4LgHs8Jd3Fp6YaEu1", "Zt5nBv8cKq1WxLm3RjPd7Hs9Gf2TyAo4"
OLD_LINKS, NEW_LINKS = "Hc3yLp8wNq2VbTk6XzRm9Sd4Jf7Ga1Eu", "Mw6rTx1kZb4QnJv9PcLh2Ys5Dg8Ff3Ao"

# What both have at first; then how each of them is restarted, one after the other, step by step.
STEPS = ("{old},{new}", "{new},{old}")


@pytest.mark.short
async def test_rotation_step_by_step_refuses_nobody(
    dsn: str, tmp_path: Path, sandbox: SandboxServer, arrange: Arrange
) -> None:
    subscriber = await arrange.subscriber("reader@example.com")
    ports = [free_port(), free_port()]
    listed = ["{old}", "{old}"]
    running: list[ExitStack] = [ExitStack(), ExitStack()]
    cookies: list[str] = []

    async def restart(number: int, wanted: str) -> None:
        running[number].close()
        listed[number] = wanted
        variables = environment(
            dsn,
            sandbox.url,
            PORT=str(ports[number]),
            EXECUTOR_SHARED_SECRET=wanted.format(old=OLD, new=NEW),
            UNSUBSCRIBE_SECRET=wanted.format(old=OLD_LINKS, new=NEW_LINKS),
        )
        running[number].enter_context(process(tmp_path, variables, "serve", "--no-sender"))
        await eventually(lambda: lives(ports[number]), until=bool)

    async def nobody_is_refused() -> None:
        """What any instance gave out, or takes now, holds at each of them."""
        common = [s for s in ("{old}", "{new}") if all(s in each for each in listed)]
        signing = {each.split(",")[0] for each in listed}
        assert common
        for port in ports:
            async with client(f"http://127.0.0.1:{port}") as http:
                for each in common:
                    bearer = {"Authorization": f"Bearer {each.format(old=OLD, new=NEW)}"}
                    assert (await http.get("/mailouts", headers=bearer)).status_code == 200
                for each in signing:
                    token = UnsubscribeTokens([each.format(old=OLD_LINKS, new=NEW_LINKS)]).sign(
                        subscriber, None
                    )
                    shown = await http.get("/unsubscribe", params={"token": token})
                    assert shown.status_code == 200, (port, each, listed)
                for cookie in cookies:
                    page = await http.get("/dashboard/account", headers={"Cookie": cookie})
                    assert page.status_code == 200
                signed_in = await http.post(
                    "/dashboard/login",
                    data={"secret": common[0].format(old=OLD, new=NEW)},
                    headers={"Origin": f"http://127.0.0.1:{port}"},
                )
                assert signed_in.status_code == 303
                cookies.append("; ".join(f"{k}={v}" for k, v in signed_in.cookies.items()))

    try:
        for number in (0, 1):
            await restart(number, "{old}")
        for wanted in STEPS:
            for number in (0, 1):
                await restart(number, wanted)
                await nobody_is_refused()
        # The end: the old one is taken out, but of the links', which are in mails of long ago.
        cookies.clear()
        old_link = UnsubscribeTokens([OLD_LINKS]).sign(subscriber, None)
        running[0].close()
        variables = environment(
            dsn,
            sandbox.url,
            PORT=str(ports[0]),
            EXECUTOR_SHARED_SECRET=NEW,
            UNSUBSCRIBE_SECRET=f"{NEW_LINKS},{OLD_LINKS}",
        )
        running[0].enter_context(process(tmp_path, variables, "serve", "--no-sender"))
        await eventually(lambda: lives(ports[0]), until=bool)
        async with client(f"http://127.0.0.1:{ports[0]}") as http:
            for secret, status in ((OLD, 401), (NEW, 200)):
                bearer = {"Authorization": f"Bearer {secret}"}
                assert (await http.get("/mailouts", headers=bearer)).status_code == status
            assert (await http.get("/unsubscribe", params={"token": old_link})).status_code == 200
    finally:
        for each in running:
            each.close()


async def lives(port: int) -> bool:
    try:
        async with client(f"http://127.0.0.1:{port}") as http:
            return (await http.get("/health")).status_code == 200
    except httpx.TransportError:
        return False
