"""58, and 55's scan: what the program is made of is pinned and listed; no secret is in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from app.environment.strength import bits

ROOT = Path(__file__).parents[3]
LOCKS = sorted(ROOT.glob("requirements*.lock"))

# What the keys of those whom the program talks to look like, and our own.
KEYS = {
    "AWS": r"\b(?:AKIA|ASIA)([A-Z0-9]{16})\b",
    "AWS's secret": r"(?i)aws_secret_access_key['\"]?\s*[=:]\s*['\"]?([A-Za-z0-9/+]{40})\b",
    "Slack": r"\bxox[abeprs]-([0-9A-Za-z-]{20,})",
    "Slack's webhook": r"hooks\.slack\.com/services/T\w{8,}/B\w{8,}/(\w{20,})",
    "Notion": r"\b(?:ntn_([A-Za-z0-9]{40,})|secret_[A-Za-z0-9]{43}\b)",
    "SendGrid": r"\bSG\.([\w-]{22}\.[\w-]{43})",
    "Supabase": r"\bsb_secret_([\w-]{20,})",
    "a JWT": r"\beyJ[\w-]{10,}\.(eyJ[\w-]{10,}\.[\w-]{20,})",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+([A-Za-z0-9+/]{40})",
    "GitHub": r"\bgh[pousr]_([A-Za-z0-9]{36})",
    "an API key of ours": r"\bas_([\w-]{43})(?![\w-])",
    "a webhook's secret": r"\bwhsec_([A-Za-z0-9+/]{32,})",
}
PUBLISHED = {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}  # the example of Standard Webhooks
MOST_BITS = 2.2  # a character of what is written in a key's place: AKIADEMODEMODEMODEMO


def found_keys(text: str) -> list[str]:
    return [
        f"{whose}: {match[0][:12]}…"
        for whose, pattern in KEYS.items()
        for match in re.finditer(pattern, text)
        if (key := next(filter(None, match.groups()), match[0])) not in PUBLISHED
        and bits(key) > MOST_BITS * len(key)
    ]


@pytest.mark.short
def test_55_no_secret_is_in_the_repository() -> None:
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\n")
    if not any(files):
        pytest.skip("this is no checkout")
    for name in filter(None, files):
        if (path := ROOT / name).is_file():
            assert found_keys(path.read_bytes().decode(errors="replace")) == [], name


def test_55_the_scan_finds_what_there_could_be() -> None:
    key = "Zt5nBv8cKq1WxLm3RjPd7Hs9Gf2TyAo4Xe6UbQi0Vw"
    for text in (
        f"AWS_SECRET_ACCESS_KEY={key[:40]}", f"ntn_{key}", f"sb_secret_{key}",
        f"AKIA{key[:16].upper()}", f"xoxb-{key}", f"as_{key}1", f"whsec_{key}",
        f"https://hooks.slack.com/services/T01234567/B01234567/{key[:24]}",
        f"-----BEGIN PRIVATE KEY-----\n{key}", f"SG.{key[:22]}.{key}1",
    ):  # fmt: skip
        assert found_keys(text), text


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_58_every_package_is_pinned_with_its_hashes(lock: Path) -> None:
    packages = re.split(r"\n(?=\S)", re.sub(r"(?m)^ *#.*\n?", "", lock.read_text("utf-8")).strip())
    for package in packages:
        assert re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+", package), package
        assert "--hash=sha256:" in package, package


def test_58_hashes_are_asked_for_wherever_packages_are_installed() -> None:
    for name in ("Makefile", "Dockerfile"):
        for line in (ROOT / name).read_text("utf-8").replace("\\\n", " ").splitlines():
            if re.search(r"install .*-r ", line):
                assert "--require-hashes" in line, (name, line)


def test_58_containers_are_not_root_and_write_nothing() -> None:
    """What `make image-check` sees of a running one, of the files alone."""
    final = (ROOT / "Dockerfile").read_text("utf-8").split("FROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    for name, service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())[
        "services"
    ].items():
        if str(service.get("image", "")).startswith("amazonsender"):
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert not service.get("privileged"), name


def test_58_each_dependency_has_a_keeper_and_an_end() -> None:
    """docs/dependencies.md says of each who keeps it, and what happens when nobody does."""
    table = (ROOT / "docs/dependencies.md").read_text("utf-8").split("## Who keeps them")[1]
    rows = table.split("\n## ")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for requirement in project["dependencies"]:
        name = re.match(r"[A-Za-z0-9.-]+", requirement)
        assert name
        assert re.search(rf"^\|[^|]*\b{name[0]}\b", rows, re.MULTILINE), name[0]


@pytest.mark.short
def test_58_the_bill_of_materials_names_what_the_container_has(tmp_path: Path) -> None:
    """`make sbom`: CycloneDX, checked against its schema by the tool itself."""
    recipe = re.search(r"^sbom:.*\n\t.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    made = tmp_path / "sbom.json"
    words = recipe[1].replace("$(SBOM)", str(made)).split()
    tool = Path(sys.executable).parent / words[0].removeprefix("$(BIN)/")
    subprocess.run([tool, *words[1:]], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(made.read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {(each["name"], each["version"]) for each in bill["components"]}
    lock = (ROOT / "requirements-docker.lock").read_text("utf-8")
    assert listed == set(re.findall(r"(?m)^([a-z0-9.-]+)(?:\[[^\]]*\])?==([^\s;]+)", lock))
    for each in bill["components"]:
        hashes = [h for reference in each["externalReferences"] for h in reference["hashes"]]
        assert hashes, each["name"]
