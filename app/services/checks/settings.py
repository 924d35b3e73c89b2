"""Are the settings there that sending needs, and do they fit together? A finding each."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID

from app.domain.content.links import is_local
from app.domain.networks import LOCAL_HOSTS
from app.domain.reports.findings import Finding
from app.domain.tokens import InvalidToken, UnsubscribeTokens
from app.settings import Settings

_GENERATOR = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
_HOW_TO_SET = {
    "SES_FROM_EMAIL": "set it to the address that the mails come from",
    "UNSUBSCRIBE_SECRET": f"make one with: {_GENERATOR}",
    "ORG_NAME": "set it to your organisation's name: the law requires it in the footer",
    "ORG_ADDRESS": "set it to your postal address: the law requires it in the footer",
    "AWS_REGION": "set it to the region of your SES account, such as eu-west-1",
}


# What is missing of these stands in no mail; the others are about the way on which it leaves.
_IN_THE_MAIL = ("SES_FROM_EMAIL", "UNSUBSCRIBE_SECRET", "ORG_NAME", "ORG_ADDRESS")


def check_sender(settings: Settings, *, tracking: bool) -> Iterator[Finding]:
    """What a mail can't do without, whenever it leaves. tracking: opens and clicks are watched."""
    for name in settings.missing_to_send():
        if name in _IN_THE_MAIL:
            yield _missing(name)
    yield from check_tracking(settings, tracking=tracking)


def check_tracking(settings: Settings, *, tracking: bool) -> Iterator[Finding]:
    if tracking and (missing := settings.missing_to_track()):
        yield Finding(
            "fail",
            f"Opens and clicks of this mailout are to be watched, and {missing} is missing.",
            "set it to a configuration set with open and click tracking, or switch tracking off "
            "for this mailout.",
        )


def _missing(name: str) -> Finding:
    return Finding("fail", f"{name} is missing.", f"{_HOW_TO_SET.get(name, 'set it')}.")


def check_settings(settings: Settings) -> Iterator[Finding]:
    missing = [name for name in settings.missing_to_send() if not name.startswith("APP_BASE_URL")]
    for name in missing:
        yield _missing(name)
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
    elsewhere = [each.endpoint_url for each in settings.ses_regions if each.endpoint_url]
    if elsewhere:
        also = " and those of single regions" if len(settings.ses_regions) > 1 else ""
        yield Finding(
            "warn",
            f"Mails go to {' and '.join(dict.fromkeys(elsewhere))}, not to Amazon SES.",
            f"remove AWS_ENDPOINT_URL_SESV2{also} to send to real people.",
        )
    yield from check_topics(settings)


def check_topics(settings: Settings, kept: str | None = None) -> Iterator[Finding]:
    """Of several regions each needs a topic of its own: SES publishes to those of its region alone.
    kept: the only region that is asked about.
    Nothing where there are no topics at all, which is said elsewhere. Source: SES developer guide,
    "Set up an Amazon SNS event destination"."""
    topics = settings.sns_allowed_topic_arns
    if topics and settings.ses_endpoint_id and len({topic.split(":")[3] for topic in topics}) < 2:
        yield Finding(
            "warn",
            "SES_ENDPOINT_ID sends from two regions, but SNS_ALLOWED_TOPIC_ARNS has topics of one, "
            "so no bounces and complaints come from the other.",
            "make a topic in the other region, too, and add it (docs/regions.md).",
        )
    if not topics or len(settings.ses_regions) < 2:
        return
    for name in settings.regions_for(kept):
        if not any(topic.split(":")[3] == name for topic in topics):
            yield Finding(
                "warn",
                f"SNS_ALLOWED_TOPIC_ARNS has no topic in {name}. SES publishes only to "
                "topics of its own region, so no bounces and complaints come from there.",
                f"make a topic in {name} and add it.",
            )


def check_signup(settings: Settings) -> Iterator[Finding]:
    """Nothing where SIGNUP is off."""
    if not settings.signup:
        return
    if settings.missing_to_send() or settings.dry_run_send:
        yield Finding(
            "warn",
            "SIGNUP is on, but no mail can leave, so nobody could confirm.",
            "set what is missing to send and remove DRY_RUN_SEND, or set SIGNUP to false.",
        )
    else:
        yield Finding("ok", f"People can sign up at {settings.app_base_url}/subscribe.")


def check_clients(settings: Settings) -> Iterator[Finding]:
    """Whether those behind a reverse proxy can be told apart, by whom limits are kept."""
    if settings.host not in LOCAL_HOSTS and settings.forwarded_allow_ips == "127.0.0.1":
        yield Finding(
            "warn",
            f"HOST is {settings.host} and FORWARDED_ALLOW_IPS is not set: behind a reverse proxy "
            "all visitors count as one client, so that sign-ups and refusals of all are limited "
            "together.",
            "set FORWARDED_ALLOW_IPS to the address from which the proxy calls this service "
            "(docs/deployment.md, Who the client is).",
        )


def check_unsubscribing(settings: Settings) -> Iterator[Finding]:
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
    local = is_local(host)
    if parts.scheme != "https" and not (host in LOCAL_HOSTS and settings.uses_sandbox):
        return Finding(
            "fail",
            f"APP_BASE_URL is {settings.app_base_url}: unsubscribe links must be https.",
            "set it to the public https address of this service.",
        )
    if local and not settings.uses_sandbox:
        return Finding(
            "warn",
            f"APP_BASE_URL is {settings.app_base_url}: readers can't reach it to unsubscribe.",
            "set it to the public https address of this service.",
        )
    return Finding("ok", f"Unsubscribe links lead to {settings.app_base_url}.")
