"""The addresses of services that the settings name. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from app.domain.networks import is_web_address


def queue_url(value: str) -> str:
    """As SQS's console shows it. Raises ValueError."""
    path = r"/[0-9]{12}/[A-Za-z0-9_-]{1,80}(\.fifo)?"
    value = value.rstrip("/")
    if not is_web_address(value) or not re.fullmatch(path, urlsplit(value).path):
        raise ValueError(
            "must be a queue's URL like https://sqs.eu-west-1.amazonaws.com/123456789012/NAME"
        )
    return value


def amqp_url(value: str) -> str:
    """RabbitMQ's address, without blanks around it. It holds a password, so no error repeats it.
    Raises ValueError."""
    if not _is_amqp(url := value.strip()):
        raise ValueError(
            "must be an address like amqps://USER:PASSWORD@rabbit.example.com/VHOST; in the "
            "password write @ as %40, / as %2F, ? as %3F, # as %23, % as %25"
        )
    return url


def _is_amqp(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port  # reading it checks it
    except ValueError:  # whose words quote the address
        return False
    return bool(
        parts.scheme in {"amqp", "amqps"}
        and parts.hostname
        and parts.path.count("/") <= 1
        and not re.search(r"[\s#]", value)
        and value.isprintable()
        and value.isascii()
    )
