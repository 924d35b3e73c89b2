"""Would sending work? Settings, database and SES account, a finding each, with its remedy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import UUID

from app.domain.findings import Finding
from app.domain.tokens import InvalidToken, UnsubscribeTokens
from app.errors import AppError, ConfigurationError
from app.ports import Database
from app.runtime import open_database
from app.services.doctor_ses import SesAccount, check_ses, ses_account
from app.settings import LOCAL_HOSTS, Settings

DATABASE_SECONDS = 20.0


async def examine(
    settings: Settings,
    open_db: Callable[[Settings], AbstractAsyncContextManager[Database]] = open_database,
    ses_factory: Callable[[Settings], SesAccount] = ses_account,
) -> list[Finding]:
    """All findings, in the order in which one would set things up. Sends and changes nothing,
    except that an embedded database is made and migrated.
    """
    return [
        *_check_settings(settings),
        *_check_unsubscribing(settings),
        await _check_database(settings, open_db),
        *await check_ses(settings, ses_factory),
    ]


# Settings

_GENERATOR = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
_HOW_TO_SET = {
    "SES_FROM_EMAIL": "set it to the address that the mails come from",
    "UNSUBSCRIBE_SECRET": f"make one with: {_GENERATOR}",
    "ORG_NAME": "set it to your organisation's name: the law requires it in the footer",
    "ORG_ADDRESS": "set it to your postal address: the law requires it in the footer",
    "AWS_REGION": "set it to the region of your SES account, such as eu-west-1",
}


def _check_settings(settings: Settings) -> Iterator[Finding]:
    missing = [name for name in settings.missing_to_send() if not name.startswith("APP_BASE_URL")]
    for name in missing:
        yield Finding("fail", f"{name} is missing.", f"{_HOW_TO_SET.get(name, 'set it')}.")
    if not missing:
        yield Finding("ok", "The settings that sending requires are there.")
    if settings.executor_secrets:
        yield Finding("ok", "EXECUTOR_SHARED_SECRET is there.")
    else:
        yield Finding(
            "fail",
            "EXECUTOR_SHARED_SECRET is missing, so the service does not start.",
            f"make one with: {_GENERATOR}.",
        )
    if settings.dry_run_send:
        yield Finding(
            "warn", "DRY_RUN_SEND is on: no mail leaves.", "remove it when you want to send."
        )
    if settings.aws_endpoint_url_sesv2:
        yield Finding(
            "warn",
            f"Mails go to {settings.aws_endpoint_url_sesv2}, not to Amazon SES.",
            "remove AWS_ENDPOINT_URL_SESV2 to send to real people.",
        )


def _check_unsubscribing(settings: Settings) -> Iterator[Finding]:
    yield _check_base_url(settings)
    if not settings.unsubscribe_secrets:
        return
    tokens = UnsubscribeTokens(settings.unsubscribe_secrets)
    nobody = UUID(int=0)
    try:
        tokens.verify(tokens.sign(nobody, nobody))
    except InvalidToken:
        yield Finding(
            "fail",
            "An unsubscribe link signed with UNSUBSCRIBE_SECRET is not valid.",
            f"make another secret with: {_GENERATOR}.",
        )
    else:
        yield Finding("ok", "Unsubscribe links can be signed and verified.")


def _check_base_url(settings: Settings) -> Finding:
    parts = urlsplit(settings.app_base_url)
    host = parts.hostname or ""
    local = _is_local(host)
    if parts.scheme != "https" and not (host in LOCAL_HOSTS and settings.aws_endpoint_url_sesv2):
        return Finding(
            "fail",
            f"APP_BASE_URL is {settings.app_base_url}: unsubscribe links must be https.",
            "set it to the public https address of this service.",
        )
    if local and not settings.aws_endpoint_url_sesv2:
        return Finding(
            "warn",
            f"APP_BASE_URL is {settings.app_base_url}: readers can't reach it to unsubscribe.",
            "set it to the public https address of this service.",
        )
    return Finding("ok", f"Unsubscribe links lead to {settings.app_base_url}.")


def _is_local(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:  # a name
        return host in LOCAL_HOSTS or "." not in host or host.endswith((".local", ".localhost"))


# Database


async def _check_database(
    settings: Settings, open_db: Callable[[Settings], AbstractAsyncContextManager[Database]]
) -> Finding:
    try:
        async with asyncio.timeout(DATABASE_SECONDS), open_db(settings):
            pass
    except TimeoutError:
        return Finding(
            "fail",
            f"The database does not answer within {DATABASE_SECONDS:.0f} seconds.",
            "check that its address is right and that this machine may reach it.",
        )
    except ConfigurationError as exc:
        return Finding("fail", exc.detail)  # it names its remedy
    except AppError as exc:
        names = "DATABASE_URL" if settings.database_url else "SUPABASE_URL and its key"
        return Finding(
            "fail",
            exc.detail,
            f"check {names}, and that the database runs and can be reached from here.",
        )
    if settings.uses_embedded_database:
        return Finding(
            "warn",
            f"The embedded database in {settings.data_dir} is used.",
            "set DATABASE_URL, or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, to use your own.",
        )
    return Finding("ok", "The database answers and has the right tables and functions.")
