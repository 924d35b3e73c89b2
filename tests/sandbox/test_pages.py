"""What a person sees in the browser, and what the recipient's buttons do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from app.sandbox.server import SandboxServer
from tests.sandbox.support import Receiver, bulk, entry, single, template

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

EVIL = "<script>alert(1)</script><img src=https://evil.test/x.png>"


def page(sandbox: SandboxServer, path: str) -> str:
    answer = sandbox.control.get(path)
    assert answer.status_code == 200
    return answer.text


def test_an_empty_inbox_says_what_to_do(sandbox: SandboxServer) -> None:
    assert sandbox.url in page(sandbox, "/")


def test_the_inbox_lists_the_newest_first(ses: SESV2Client, sandbox: SandboxServer) -> None:
    for address in ("first@example.com", "second@example.com"):
        ses.send_email(**single(address))
    text = page(sandbox, "/")
    assert text.index("second@example.com") < text.index("first@example.com")


def test_the_inbox_can_be_searched_and_paged(ses: SESV2Client, sandbox: SandboxServer) -> None:
    for start in (0, 50, 100):
        ses.send_bulk_email(**bulk(*(f"r{start + n:03}@example.com" for n in range(50))))
    seen: list[str] = []
    path = "/"
    while path:
        text = page(sandbox, path)
        seen += re.findall(r"r\d{3}@example\.com", text)
        older = re.search(r'href="(/\?[^"]*after=[^"]+)"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == [f"r{n:03}@example.com" for n in range(149, -1, -1)]
    assert re.findall(r"r\d{3}@", page(sandbox, "/?to=R09")) == [
        f"r{n:03}@" for n in range(99, 89, -1)
    ]


def test_a_mail_is_shown_without_letting_it_act(ses: SESV2Client, sandbox: SandboxServer) -> None:
    content = template(Subject=EVIL, Html=EVIL, Text=EVIL)
    answer = ses.send_bulk_email(**bulk("a@example.com", DefaultContent=content))
    mail_id = answer["BulkEmailEntryResults"][0]["MessageId"]
    shown = sandbox.control.get(f"/mail/{mail_id}")
    assert EVIL not in shown.text
    assert "&lt;script&gt;" in shown.text
    assert re.search(r"<iframe[^>]* sandbox>", shown.text)
    framed = sandbox.control.get(f"/mail/{mail_id}/html")
    assert framed.text == EVIL
    policy = framed.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert re.findall(r"https?:\S+", policy) == [
        "http://localhost:*/assets/",
        "http://127.0.0.1:*/assets/;",
    ]


@pytest.mark.parametrize("path", ["/", "/mail/{id}", "/mail/none", "/style.css", "/mail/{id}/raw"])
def test_no_page_asks_for_anything_from_elsewhere(
    ses: SESV2Client, sandbox: SandboxServer, path: str
) -> None:
    mail_id = ses.send_email(**single())["MessageId"]
    answer = sandbox.control.get(path.format(id=mail_id))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"(src|href|url\()[=\"']*(https?:)?//", answer.text)
    if "html" in answer.headers["content-type"]:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert '<html lang="en">' in answer.text
        assert "<script" not in answer.text


def test_an_unknown_mail_is_a_plain_404(sandbox: SandboxServer) -> None:
    assert sandbox.control.get("/mail/none").status_code == 404
    assert sandbox.control.get("/sandbox/mails/none").status_code == 404


def test_mails_are_listed_as_json_behind_a_cursor(ses: SESV2Client, sandbox: SandboxServer) -> None:
    ses.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(5))))
    first = sandbox.control.get("/sandbox/mails", params={"limit": 3}).json()
    rest = sandbox.control.get("/sandbox/mails", params={"limit": 3, "after": first["next"]}).json()
    assert [mail["to"][0][:2] for mail in first["mails"] + rest["mails"]] == [
        f"r{n}" for n in (4, 3, 2, 1, 0)
    ]
    assert rest["next"] is None
    assert sandbox.control.get("/sandbox/mails?limit=0").status_code == 422


def with_unsubscribe(url: str) -> dict[str, Any]:
    mail = entry("a@example.com")
    mail["ReplacementHeaders"] = [
        {"Name": "List-Unsubscribe", "Value": f"<mailto:x@example.com>, <{url}?token=t>"},
        {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
    ]
    return mail


def test_one_click_unsubscribe_posts_as_a_mail_program_does(
    ses: SESV2Client, sandbox: SandboxServer, receiver: Receiver
) -> None:
    result = ses.send_bulk_email(**bulk(with_unsubscribe(receiver.url)))["BulkEmailEntryResults"]
    mail_id = result[0]["MessageId"]
    answer = sandbox.control.post(f"/sandbox/mails/{mail_id}/unsubscribe")
    assert answer.json() == {"url": f"{receiver.url}?token=t", "status": 200}
    (post,) = receiver.received
    assert post.headers["raw"] == "List-Unsubscribe=One-Click"
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "cookie" not in post.headers


def test_the_pages_button_unsubscribes_too(
    ses: SESV2Client, sandbox: SandboxServer, receiver: Receiver
) -> None:
    result = ses.send_bulk_email(**bulk(with_unsubscribe(receiver.url)))["BulkEmailEntryResults"]
    mail_id = result[0]["MessageId"]
    action = f"/mail/{mail_id}/unsubscribe"
    assert f'action="{action}"' in page(sandbox, f"/mail/{mail_id}")
    foreign = sandbox.control.post(action, headers={"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status_code, receiver.received) == (403, [])
    answer = sandbox.control.post(action, follow_redirects=True)
    assert "The unsubscribe address answered 200." in answer.text


def test_a_mail_without_the_headers_can_not_be_unsubscribed(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    mail_id = ses.send_email(**single())["MessageId"]
    answer = sandbox.control.post(f"/sandbox/mails/{mail_id}/unsubscribe")
    assert answer.status_code == 422
    assert "one-click" in answer.json()["error"]
