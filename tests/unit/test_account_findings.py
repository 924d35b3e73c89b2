"""The account page's warnings: in a person's words, each once."""

from __future__ import annotations

from typing import Any

from app.domain.reports.findings import Finding
from app.services.dashboard.views import findings
from tests.support.service import settings_for


def warnings_of(**checks: dict[str, Any]) -> list[Finding]:
    settings = settings_for("postgresql://nowhere/none", "http://127.0.0.1:9")
    return list(findings(settings, {}, {"checks": checks}))


def test_a_part_has_the_name_that_the_page_gives_it() -> None:
    (told,) = warnings_of(ses={"status": "warn", "detail": "eu-west-1: SES does not answer"})
    assert told.what == "Amazon SES: eu-west-1: SES does not answer."
    assert told.remedy == "it is tried again by itself."


def test_what_has_a_page_of_its_own_is_told_by_the_link_to_it_alone() -> None:
    ill = {"status": "warn", "detail": "Something vanished."}
    assert warnings_of(standing=ill, domain=ill) == []


def test_nobody_is_told_to_wait_for_what_does_not_mend_itself() -> None:
    (told,) = warnings_of(fallback={"status": "warn", "detail": "SendGrid sends in SES's place"})
    assert told.what == "SendGrid sends in SES's place."
    assert told.remedy == "it ends once SES can send again."
