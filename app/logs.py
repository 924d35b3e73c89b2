"""Logging: structlog, one event a line, JSON unless on a terminal.

A line is an event name and ids. Never a secret; never a recipient's address above debug level.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from app.settings import Settings

# Libraries that would log request bodies, headers or addresses at their debug level.
_QUIET = (
    "botocore",
    "boto3",
    "urllib3",
    "httpx",
    "httpcore",
    "hpack",
    "asyncio",
    "uvicorn.access",
    "markdown_it",
)


def configure_logging(settings: Settings) -> None:
    """Route structlog and the standard library's loggers to stderr in the format asked for."""
    level = getattr(logging, settings.log_level.upper())
    as_console = settings.log_format == "console" or (
        settings.log_format is None and sys.stderr.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if not as_console:
        shared.append(structlog.processors.format_exc_info)
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if as_console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
