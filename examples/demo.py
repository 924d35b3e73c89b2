"""`make demo`: a mailout on one machine, from the import to the last event.

An embedded PostgreSQL, a sandbox that plays Amazon SES, SNS and Notion, and the service run as
real processes. A CSV is imported; a person writes a newsletter in Notion, sets its Status and reads
in the row what became of it; the sandbox's signed events come back, and its invented readers and
machines open and click; at the end every recipient is accounted for, and what is known of who read.
"""

from __future__ import annotations

import csv
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.remote import NotionRemote
from examples import letter
from examples.telling import DemoFailed, progress, say, show_engagement, step, summarise

SUBSCRIBERS = 3_000
RATE = 500
TOPIC = "arn:aws:sns:us-east-1:123456789012:amazonsender"
SIMULATOR = "simulator.amazonses.com"
DEADLINE_SECONDS = 75.0
"""Without any progress. How long all of it takes depends on the machine."""
READERS = "mix"
READER_SECONDS = ("10.5", "13")
"""From the delivery until a person opens the mail: quicker than people are, but not so quick that
nobody could tell them from a machine (docs/engagement.md)."""
LONGEST_READING_SECONDS = 12.0
"""That the demo waits for them once all is delivered; who reads later isn't in its table."""
CITIES = ("Lisbon", "Kraków", "Århus", "Zürich", "")


def main() -> None:
    keep = os.environ.get("KEEP", "") not in {"", "0"}
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: all processes are stopped
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as stack:
            run_demo(stack, keep=keep)
    except (DemoFailed, httpx.HTTPError, subprocess.CalledProcessError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def run_demo(stack: ExitStack, *, keep: bool) -> None:
    started = time.monotonic()
    # A folder and a database of its own: its invented people must never be in anybody's list.
    folder = Path(os.environ.get("DATA_DIR", ".data")).resolve() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    port, sandbox_port = free_port(8000), free_port(8025)
    service, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    environment = demo_environment(folder, port, service, sandbox)

    step("Starting PostgreSQL (embedded), the sandbox of SES, SNS and Notion, and the service")
    stack.enter_context(
        process("sandbox", folder, environment, sandbox_arguments(sandbox, service))
    )
    # No connection is kept: a server ends an idle one, perhaps just when it is used again.
    limits = httpx.Limits(max_keepalive_connections=0)
    http = stack.enter_context(httpx.Client(timeout=10, limits=limits))
    command(environment, "migrate")
    wait_until(lambda: answers(http, f"{sandbox}/"), f"the sandbox (see {folder})")
    notion = NotionRemote()
    notion.connect(sandbox)
    stack.callback(notion.control.close)
    environment |= connect_notion(notion, environment)
    stack.enter_context(process("service", folder, environment, ["serve"]))
    wait_until(
        lambda: answers(http, f"{service}/health"), f"the service to be healthy (see {folder})"
    )

    csv_file = folder / "subscribers.csv"
    write_subscribers(csv_file)
    step(f"Importing {csv_file.name} with {SUBSCRIBERS} subscribers")
    say(command(environment, "subscribers", "import", str(csv_file)))

    step("A person writes a newsletter in Notion, with a picture, and asks for a test")
    page = write_newsletter(notion)
    send_webhooks(notion, service, environment)
    notion.set(page, Status="Send test")
    await_delivery(notion, page, "Test sent")
    test = inbox(http, sandbox, environment["TEST_EMAILS"])[0]
    say(f"test mail: {test['subject']}")
    mailout = str(notion.values(page)["Mailout"]).rpartition("/")[2]
    secret = environment["EXECUTOR_SHARED_SECRET"]
    headers = {"Authorization": f"Bearer {secret}"}
    track(http, f"{service}/mailouts/{mailout}", headers)
    say("opens and clicks of this one are to be watched (off unless asked for)")

    step("The person sets Status to “Send”; the row says how it goes")
    notion.set(page, Status="Send")
    await_delivery(notion, page, "Sent")
    repeat = http.post(f"{service}/send-mailout", json={"mailout_id": mailout}, headers=headers)
    say(f"a second start: {repeat.status_code} {repeat.json()['code']}")

    step("One recipient clicks unsubscribe in the mail client (RFC 8058)")
    say(unsubscribe_one(http, sandbox))
    report = await_events(http, f"{service}/mailouts/{mailout}", headers)
    await_figures(notion, page, report)
    engagement = await_readers(http, f"{service}/mailouts/{mailout}/engagement", headers)
    summarise(
        report,
        notion.values(page),
        http.get(f"{sandbox}/sandbox/stats").json(),
        time.monotonic() - started,
    )
    show_engagement(engagement)
    if keep:
        print(
            f"\nStill running; Ctrl-C ends it.\n   dashboard      {service}/dashboard"
            f"\n   shared secret  {secret}\n   inbox          {sandbox}/"
            f"\n   Notion         {sandbox}/notion/{page}"
            f"\n   API            {service}/docs",
            flush=True,
        )
        with suppress(KeyboardInterrupt):
            signal.pause()


def demo_environment(folder: Path, port: int, service: str, sandbox: str) -> dict[str, str]:
    """A complete configuration, and of the caller's environment what programs need to run."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ
    }
    return kept | {
        "EXECUTOR_SHARED_SECRET": secrets.token_urlsafe(32),
        "UNSUBSCRIBE_SECRET": kept_secret(folder / "unsubscribe.secret"),
        "DATA_DIR": str(folder),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "APP_BASE_URL": service,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIADEMODEMODEMODEMO",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_ENDPOINT_URL_SESV2": sandbox,
        "AWS_ENDPOINT_URL_SNS": sandbox,
        "SES_FROM_EMAIL": "letters@news.example.com",
        "FROM_NAME": "Studio Ærø, Letters",
        "SES_CONFIGURATION_SET": "sandbox",
        "SES_TRACKING_CONFIGURATION_SET": "sandbox-tracking",
        "SNS_ALLOWED_TOPIC_ARNS": TOPIC,
        "TEST_EMAILS": f"success@{SIMULATOR}",
        "NOTION_API_URL": sandbox,
        "NOTION_API_TOKEN": NotionConfig().token,
        "NOTION_WEBHOOK_VERIFICATION_TOKEN": f"secret_{secrets.token_urlsafe(32)}",
        "ORG_NAME": "Studio Ærø",
        "ORG_ADDRESS": "1 Harbour Street, 5970 Ærøskøbing, Denmark",
        # Some addresses bounce or complain on purpose; they must not pause the mailout.
        "BOUNCE_RATE_PAUSE": "0.5",
        "COMPLAINT_RATE_PAUSE": "0.5",
    }


def sandbox_arguments(sandbox: str, service: str) -> list[str]:
    options = {
        "--port": sandbox.rpartition(":")[2],
        "--rate": str(RATE),
        "--quota": "-1",
        "--events": f"{service}/ses-events",
        "--topic": TOPIC,
        "--bounce-share": "0.01",
        "--complaint-share": "0.001",
        "--readers": READERS,
    }
    times = ["--reader-seconds", *READER_SECONDS]
    return ["sandbox", "--notion", *times, *(part for option in options.items() for part in option)]


def kept_secret(file: Path) -> str:
    """The secret of the first run, so that links of earlier runs go on working."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return file.read_text(encoding="ascii")


def write_subscribers(file: Path) -> None:
    """A list as people have them: accents, capitals, plus-addresses, a few broken rows; and SES's
    mailbox simulator, which bounces and complains on purpose (with new labels on every run)."""
    run = secrets.token_hex(3)
    special = [
        *(f"bounce+{run}-{n}@{SIMULATOR}" for n in range(12)),
        f"complaint+{run}@{SIMULATOR}",
        f"suppressionlist+{run}@{SIMULATOR}",
        f"ooto+{run}@{SIMULATOR}",
    ]
    names = ("Ann", "Björn", "Chloé, Dr.", 'Dan "D" Doe', "Ελένη", "", "Frank", "Gül")
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("Email", "Name", "Tags", "City"))
        for n in range(SUBSCRIBERS - len(special)):
            address = f"reader{n}{'+letter' if n % 7 == 0 else ''}@example{n % 20}.org"
            rows.writerow(
                (address, names[n % len(names)], "autumn;paper" if n % 3 else "", CITIES[n % 5])
            )
        for address in special:
            rows.writerow((address, "Simon Ulator", "", ""))
        rows.writerow(("not an address", "Nobody", "", ""))
        rows.writerow(("two@example.org, three@example.org", "Nobody", "", ""))


def connect_notion(notion: NotionRemote, environment: dict[str, str]) -> dict[str, str]:
    """Make the database in Notion, as its owner does; give what stands in `.env` then."""
    home = notion.act("about")["home_page_id"]
    made = command(environment, "notion", "init", "--parent", home)
    found = re.search(r"^NOTION_DATABASE_ID=(\S+)", made, re.MULTILINE)
    if found is None:
        raise DemoFailed(f"notion init names no database: {made}")
    return {"NOTION_DATABASE_ID": found[1]}


def write_newsletter(notion: NotionRemote) -> str:
    """The id of its row."""
    picture = notion.upload("harbour.png", letter.picture(), "image/png")
    return notion.make_page(letter.properties(), letter.blocks(picture))


def send_webhooks(notion: NotionRemote, service: str, environment: dict[str, str]) -> None:
    """Both that Notion has: an automation's, and the events of the connection. Neither is needed,
    together they do no harm."""
    token = {"X-Auth-Token": environment["EXECUTOR_SHARED_SECRET"]}
    notion.automation(f"{service}/send-mailout", token, values=["Send test", "Send"])
    notion.subscribe(f"{service}/notion-events", environment["NOTION_WEBHOOK_VERIFICATION_TOKEN"])


def await_delivery(notion: NotionRemote, page: str, delivery: str) -> None:
    """Wait until the row says so, and show what it says until then."""

    def is_so() -> bool | str:
        row = notion.values(page)
        if row["Delivery"] in {"Failed", "Problem"}:
            raise DemoFailed(f"Notion says {row['Delivery']}: {row['Problem']}")
        so_far = f"Delivery {row['Delivery'] or '–'}  {row['Progress']}"
        progress(so_far)
        return row["Delivery"] == delivery or so_far

    wait_until(is_so, f"Delivery to be “{delivery}”")
    row = notion.values(page)
    print()
    say(f"Delivery {row['Delivery']}  {row['Progress']}")
    say(f"Problem  {row['Problem']}" if row["Problem"] else "")


def await_figures(notion: NotionRemote, page: str, report: dict[str, Any]) -> None:
    """Wait until the row has the figures of the report."""
    counts = report["counts"]
    figures = {
        "Recipients": report["recipients"],
        "Delivered": counts["delivered"] + counts["complained"],
        "Bounced": counts["bounced"],
        "Complained": counts["complained"],
        "Unsubscribed": report["unsubscribed"],
    }

    def is_so() -> bool | str:
        row = notion.values(page)
        return {name: row[name] or 0 for name in figures} == figures or str(row)

    wait_until(is_so, f"these figures in Notion: {figures}")


@contextmanager
def process(
    name: str, folder: Path, environment: dict[str, str], arguments: Sequence[str]
) -> Iterator[None]:
    """`amazonsender …` as a process with its log in `folder`; at the end it is stopped."""
    with (folder / f"{name}.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-m", "app.cli", *arguments],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            start_new_session=True,
        )
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def command(environment: dict[str, str], *arguments: str) -> str:
    """The output of `amazonsender …`. It runs in DATA_DIR, where it finds no `.env`."""
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment,
        cwd=environment["DATA_DIR"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"amazonsender {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(look: Callable[[], bool | str], what: str) -> None:
    """look: gives True when it is so; before, it may tell how far it has come."""
    seen: bool | str = False
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (now := look()) is not True:
        if now != seen:
            seen, deadline = now, time.monotonic() + DEADLINE_SECONDS
        if time.monotonic() > deadline:
            raise DemoFailed(f"waited {DEADLINE_SECONDS:.0f} s in vain for {what}; now: {seen}")
        time.sleep(0.1)


def inbox(http: httpx.Client, sandbox: str, to: str) -> list[dict[str, Any]]:
    """The newest mails to an address, or to those that contain it."""
    mails = http.get(f"{sandbox}/sandbox/mails", params={"to": to, "limit": 1}).json()["mails"]
    if not mails:
        raise DemoFailed(f"no mail to {to}")
    found: list[dict[str, Any]] = mails
    return found


def unsubscribe_one(http: httpx.Client, sandbox: str) -> str:
    mail = inbox(http, sandbox, "reader")[0]
    done = http.post(f"{sandbox}/sandbox/mails/{mail['message_id']}/unsubscribe")
    if done.status_code != 200:
        raise DemoFailed(f"the one-click unsubscribe failed: {done.text}")
    return f"one-click POST answered {done.json()}"


def await_events(http: httpx.Client, url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Wait until each accepted mail has its delivery, bounce or complaint; give the report."""
    report: dict[str, Any] = {}

    def is_settled() -> bool | str:
        nonlocal report
        report = http.get(url, headers=headers).json()
        waiting: int = report["counts"]["sent"]
        so_far = f"{waiting} mails without an event yet"
        progress(so_far)
        return (waiting == 0 and report["counts"]["complained"] > 0) or so_far

    wait_until(is_settled, "the events of the sandbox")
    print()
    return report


def track(http: httpx.Client, url: str, headers: dict[str, str]) -> None:
    """Switch tracking on; the mailout as it was read tells by its ETag that nobody else did."""
    tag = http.get(url, headers=headers).headers["ETag"]
    done = http.patch(url, json={"tracking": True}, headers={**headers, "If-Match": tag})
    if done.status_code != 200:
        raise DemoFailed(f"tracking can't be switched on: {done.text}")


def await_readers(http: httpx.Client, url: str, headers: dict[str, str]) -> dict[str, Any]:
    """The report on opens and clicks, once it grows no more, or when that takes too long: a demo
    doesn't wait for everybody who reads."""
    step("People read, and machines do as if")
    report: dict[str, Any] = {}
    seen, last = "", time.monotonic()
    deadline = last + LONGEST_READING_SECONDS
    while time.monotonic() < min(deadline, last + 3):
        report = http.get(url, headers=headers).raise_for_status().json()
        opens, clicks = report["opens"], report["clicks"]
        now = (
            f"opened by {opens['human']:,} for certain, perhaps {opens['unknown']:,} more; "
            f"clicked by {clicks['human']:,}, perhaps {clicks['unknown']:,} more"
        )
        if now != seen or report["waiting"] or not report["clicks"]["human"]:
            seen, last = now, time.monotonic()
        progress(now)
        time.sleep(0.3)
    print()
    return report


def free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoFailed("no free port on 127.0.0.1")


if __name__ == "__main__":
    main()
