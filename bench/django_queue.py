"""What a user would glue together: django-post_office's queue on PostgreSQL, sent by django-ses.

Run with an environment made from django_queue.txt: `python bench/django_queue.py DSN SINK_URL
MAILS`. Prints mails per second from queueing to the last log row, and CPU seconds per million.
"""

from __future__ import annotations

import sys
import time
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command

BODY = (
    "<p>Hi {name}</p>\n"
    + ("<p>" + "Lorem ipsum dolor sit amet. " * 40 + "</p>\n") * 26
    + '<p><a href="{url}">No more letters</a></p>'
)


def configure(dsn: str, sink: str) -> None:
    server = urlsplit(dsn)
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": server.path.lstrip("/"),
                "HOST": server.hostname,
                "PORT": server.port,
                "USER": server.username,
                "PASSWORD": server.password,
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        EMAIL_BACKEND="post_office.EmailBackend",
        POST_OFFICE={
            "BACKENDS": {"default": "django_ses.SESBackend"},
            "BATCH_SIZE": 1000,
            "THREADS_PER_PROCESS": 10,
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_SES_V2=True,
        AWS_SES_REGION_NAME="us-east-1",
        AWS_SES_REGION_ENDPOINT_URL=sink,
        AWS_SES_AUTO_THROTTLE=None,
        AWS_ACCESS_KEY_ID="AKIABENCH",
        AWS_SECRET_ACCESS_KEY="bench",
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)


def main(dsn: str, sink: str, mails: int) -> None:
    configure(dsn, sink)
    from post_office import mail
    from post_office.models import STATUS, Email

    Email.objects.all().delete()
    started, cpu = time.monotonic(), time.process_time()
    for first in range(0, mails, 1000):
        mail.send_many(
            [
                {
                    "sender": "news@example.com",
                    "recipients": [f"reader{n}@example.com"],
                    "subject": f"Hello Reader {n}",
                    "html_message": BODY.format(
                        name=f"Reader {n}", url=f"https://example.com/unsubscribe?token={n:088d}"
                    ),
                }
                for n in range(first, min(first + 1000, mails))
            ]
        )
    while Email.objects.filter(status=STATUS.queued).exists():
        mail.send_queued()
    took = time.monotonic() - started
    sent = Email.objects.filter(status=STATUS.sent).count()
    assert sent == mails, f"{sent} of {mails} sent"
    print(mails / took, (time.process_time() - cpu) / mails * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
