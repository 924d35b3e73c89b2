"""The dashboard over HTTP: who gets in, and that only its own pages can press its buttons."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.api.dashboard.session import COOKIE
from tests.support.dashboard import ORIGIN, Visitor, form_token
from tests.support.factories import Arrange
from tests.support.service import OTHER_SECRET, SECRET, Service, in_process, settings_for

NOBODY = UUID(int=7)
ACTIONS = ("pause", "resume", "cancel", "resend", "preflight")


class TestSigningIn:
    @pytest.mark.parametrize(
        "path", ["", "/account", f"/mailouts/{NOBODY}", f"/mailouts/{NOBODY}/pause"]
    )
    async def test_strangers_are_asked_for_the_secret_first(
        self, quiet: Service, path: str
    ) -> None:
        answer = await quiet.http.get(f"/dashboard{path}")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/dashboard/login?next=%2Fdashboard")

    async def test_the_secret_opens_the_page_that_was_asked_for(self, quiet: Service) -> None:
        person = Visitor(quiet)
        answer = await person.sign_in(to="/dashboard/account")
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard/account")
        assert (await person.get("/account")).status_code == 200

    async def test_the_cookie_is_for_this_site_and_no_script(self, quiet: Service) -> None:
        cookie = (await Visitor(quiet).sign_in()).headers["set-cookie"]
        assert {"HttpOnly", "Path=/dashboard", "SameSite=strict", "Max-Age=43200"} <= set(
            cookie.split("; ")
        )
        assert "Secure" not in cookie  # the service is on plain http here

    async def test_on_https_the_cookie_is_secure(self, dsn: str) -> None:
        settings = settings_for(dsn, None, APP_BASE_URL="https://mail.example.com", AWS_REGION=None)
        async with in_process(settings, with_sender=False) as service:
            assert "Secure" in (await Visitor(service).sign_in()).headers["set-cookie"]

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize("secret", ["", "x", SECRET[:-1], f"{SECRET}x", SECRET.upper()])
    async def test_another_secret_opens_nothing(self, quiet: Service, secret: str) -> None:
        answer = await Visitor(quiet).sign_in(secret)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert SECRET not in answer.text

    async def test_guessing_is_slowed_down(self, quiet: Service) -> None:
        person = Visitor(quiet)
        tries = [(await person.sign_in("wrong")).status_code for _ in range(6)]
        assert tries == [401] * 5 + [429]
        refused = await person.sign_in("wrong")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 61
        assert (await person.sign_in(SECRET)).status_code == 303

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example",
            "/dashboardx",
            "/\\evil",
            "/dashboard/\\x",
            "/dashboard/\n",
        ],
    )
    async def test_signing_in_leads_nowhere_else(self, quiet: Service, target: str) -> None:
        assert (await Visitor(quiet).sign_in(to=target)).headers["location"] == "/dashboard"

    async def test_each_secret_of_a_rotation_fits_until_it_is_taken_out(self, dsn: str) -> None:
        old, new = SECRET, OTHER_SECRET

        def settings(secrets: str) -> Any:
            return settings_for(dsn, None, EXECUTOR_SHARED_SECRET=secrets, AWS_REGION=None)

        async with in_process(settings(f"{new},{old}"), with_sender=False) as service:
            cookies = []
            for secret in (old, new):
                person = Visitor(service)
                await person.sign_in(secret)
                assert (await person.get()).status_code == 200
                cookies.append(person.cookie)
        async with in_process(settings(new), with_sender=False) as service:
            answers = [
                (
                    await service.http.get("/dashboard", headers={"Cookie": f"{COOKIE}={cookie}"})
                ).status_code
                for cookie in cookies
            ]
        assert answers == [303, 200]

    async def test_signing_out_ends_every_copy_of_the_cookie(self, visitor: Visitor) -> None:
        copy = {"Cookie": f"{COOKIE}={visitor.cookie}"}
        answer = await visitor.post("/logout")
        assert answer.headers["location"] == "/dashboard/login"
        assert COOKIE not in visitor.http.cookies
        assert (await visitor.http.get("/dashboard", headers=copy)).status_code == 303

    async def test_a_changed_cookie_is_worth_nothing(self, visitor: Visitor) -> None:
        for cookie in (visitor.cookie[:-1], visitor.cookie.replace(".", ".9", 1), "", "a.b.c", "é"):
            header = [(b"Cookie", f"{COOKIE}={cookie}".encode())]
            visitor.http.cookies.clear()
            assert (await visitor.http.get("/dashboard", headers=header)).status_code == 303


class TestForms:
    """Only the dashboard's own pages can press its buttons."""

    PATHS = ("/logout", *(f"/mailouts/{{}}/{action}" for action in ACTIONS))

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        ("headers", "token"),
        [
            ({"Origin": "https://evil.example"}, True),
            ({"Origin": "null"}, True),
            ({"Origin": ""}, True),
            ({"Sec-Fetch-Site": "cross-site"}, True),
            ({"Sec-Fetch-Site": "same-site"}, True),
            ({}, False),
        ],
        ids=["foreign", "null", "none", "cross-site", "subdomain", "no token"],
    )
    async def test_a_form_from_elsewhere_is_refused(
        self, visitor: Visitor, arrange: Arrange, headers: dict[str, str], token: bool
    ) -> None:
        mailout = await arrange.mailout("sending")
        form = {"statuses": "failed"}
        if token:
            form["form_token"] = form_token((await visitor.get()).text)
        for path in self.PATHS:
            answer = await visitor.http.post(
                f"/dashboard{path.format(mailout)}", data=form, headers=ORIGIN | headers
            )
            assert answer.status_code == 403, path
            assert "text/html" in answer.headers["content-type"], path
            assert await arrange.one("select status from mailouts") == "sending", path
            assert (await visitor.get()).status_code == 200, path

    async def test_the_token_of_another_session_is_refused(
        self, quiet: Service, visitor: Visitor, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("sending")
        other = Visitor(quiet)
        await other.sign_in()
        token = form_token((await other.get()).text)
        answer = await visitor.http.post(
            f"/dashboard/mailouts/{mailout}/pause", data={"form_token": token}
        )
        assert answer.status_code == 403

    async def test_strangers_change_nothing(self, quiet: Service, arrange: Arrange) -> None:
        mailout = await arrange.mailout("sending")
        for path in self.PATHS:
            answer = await quiet.http.post(f"/dashboard{path.format(mailout)}", headers=ORIGIN)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/dashboard/login"), path
            assert await arrange.one("select status from mailouts") == "sending", path

    async def test_a_sign_in_form_from_elsewhere_is_refused(self, quiet: Service) -> None:
        answer = await quiet.http.post(
            "/dashboard/login", data={"secret": SECRET}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers

    async def test_an_endless_form_is_refused(self, quiet: Service) -> None:
        answer = await quiet.http.post(
            "/dashboard/login", content=b"secret=" + b"x" * 20_000, headers=ORIGIN
        )
        assert answer.status_code == 413
