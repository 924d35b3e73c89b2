"""What a user would write instead: loops over boto3, on the same sink, without any ledger.

`python -m bench.baselines URL OPERATION THREADS SECONDS` prints mails per second and CPU seconds
per million mails.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import boto3

from bench.parts import BODY, REGION

SUBJECT = "Hello Reader"


def client(url: str) -> Any:
    return boto3.client(
        "sesv2", endpoint_url=url, region_name=REGION,
        aws_access_key_id="AKIABENCH", aws_secret_access_key="bench",
    )  # fmt: skip


def send_email(ses: Any, number: int) -> int:
    html = BODY.replace("{{ name }}", f"Reader {number}").replace(
        "{{ unsubscribe_url }}", f"https://example.com/unsubscribe?token={number:088d}"
    )
    ses.send_email(
        FromEmailAddress="news@example.com",
        Destination={"ToAddresses": [f"reader{number}@example.com"]},
        Content={"Simple": {"Subject": {"Data": SUBJECT}, "Body": {"Html": {"Data": html}}}},
    )
    return 1


def send_bulk_email(ses: Any, number: int) -> int:
    """The ceiling of the bulk road: 50 a call, nothing written down."""
    html = BODY.replace("{{ name }}", "{{h0}}").replace("{{ unsubscribe_url }}", "{{h1}}")
    ses.send_bulk_email(
        FromEmailAddress="news@example.com",
        DefaultContent={
            "Template": {
                "TemplateContent": {"Subject": SUBJECT, "Html": html}, "TemplateData": "{}",
            }
        },
        BulkEmailEntries=[
            {
                "Destination": {"ToAddresses": [f"reader{number}-{n}@example.com"]},
                "ReplacementEmailContent": {
                    "ReplacementTemplate": {
                        "ReplacementTemplateData": '{"h0": "Reader", "h1": "https://example.com/u"}'
                    }
                },
            }
            for n in range(50)
        ],
    )  # fmt: skip
    return 50


def main(url: str, operation: str, threads: int, seconds: float) -> None:
    ses = client(url)
    send = {"send_email": send_email, "send_bulk_email": send_bulk_email}[operation]
    sent = [0] * threads
    send(ses, 0)
    started, cpu = time.monotonic(), time.process_time()

    def loop(which: int) -> None:
        number = which
        while time.monotonic() - started < seconds:
            sent[which] += send(ses, number)
            number += threads

    workers = [threading.Thread(target=loop, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took, total = time.monotonic() - started, sum(sent)
    print(total / took, (time.process_time() - cpu) / total * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
