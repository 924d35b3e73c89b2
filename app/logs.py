"""Logging: structlog, one event a line, JSON unless on a terminal.

A line is an event name and ids. Never a secret, never a recipient's address. The program's own
lines keep to that; what comes from elsewhere (an exception's text, SES's words, a library) passes
the same filter: secrets of the settings and anything that looks like an address are replaced,
control characters are escaped, long texts are cut.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from contextlib import suppress
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.environment.secrets import texts_to_hide
from app.settings import Settings
from app.telemetry.log_bounds import LINES

log = structlog.get_logger(__name__)

TEXT_MAX_CHARS = 4_000
EXCEPTION_MAX_CHARS = 16_000
ITEMS_MAX = 50

# Only these loggers may write lines below warning. Other libraries log bodies, headers and
# addresses at such levels, and an upgrade may add more of that.
_TALKATIVE = ("app", "uvicorn")

# What stands before the @ of an address, or of the host in `scheme://user:password@host`. At most
# 64 characters (RFC 5321, 4.5.3.1.1), which also bounds the search in a hostile text.
_WORD = r"[^\s@<>()\[\],;:\"\\]{1,64}"
_LOCAL_PART = re.compile(rf'(?:{_WORD}|"[^"\n@]{{1,64}}")(@|%40)')
_CUT_WORD = re.compile(rf"{_WORD}\Z")
# C0 and C1 (terminals obey them), line separators, and marks that reverse the direction of text.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_IN_A_LINE = re.compile(rf"[{_CONTROLS}\n]")
_IN_A_TEXT = re.compile(rf"[{_CONTROLS}]")


def configure_logging(settings: Settings) -> None:
    """Route structlog, the standard library's loggers, warnings and crashes to stderr, in the
    format asked for."""
    level = getattr(logging, settings.log_level.upper())
    as_console = settings.log_format == "console" or (
        settings.log_format is None and sys.stderr.isatty()
    )
    context: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
    ]
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        SafeValues(sorted(texts_to_hide(settings), key=len, reverse=True)),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if as_console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*context, LINES, *shared, renderer],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*context, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    logging.captureWarnings(True)
    sys.excepthook = _log_crash
    threading.excepthook = _log_thread_crash


class _Lines:
    """Writes our own lines to stderr; through the standard library's handlers each would cost twice
    as much.

    Like those handlers it drops a line that can't be written (a full disk, a closed pipe), so that
    the work goes on.
    """

    def __init__(self, name: str) -> None:
        self.name = name  # for add_logger_name

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: stderr is closed
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = write


class SafeValues:
    """Processor: makes each value of a line safe to write, whoever chose it."""

    def __init__(self, secrets: list[str]) -> None:
        """secrets: longest first, so that none is replaced in part."""
        self._secrets = secrets

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if key in {"exception", "stack"}:  # of several lines, for people
                event[key] = _IN_A_TEXT.sub(_escaped, self._text(str(value), EXCEPTION_MAX_CHARS))
            elif not key.startswith("_"):  # structlog's own, taken off foreign lines before writing
                event[key] = self._value(value)
        return event

    def _value(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            pairs = list(value.items())[:ITEMS_MAX]
            return {self._line(str(name)): self._value(item) for name, item in pairs}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item) for item in list(value)[:ITEMS_MAX]]
        return self._line(str(value))

    def _line(self, text: str) -> str:
        return _IN_A_LINE.sub(_escaped, self._text(text, TEXT_MAX_CHARS))

    def _text(self, text: str, limit: int) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        if len(text) > limit:
            # the word at the cut may be a part of an address
            whole = _CUT_WORD.sub("", text[:limit])
            text = f"{whole}… ({len(text):,} characters)"
        return _LOCAL_PART.sub(r"…\1", text) if "@" in text or "%40" in text else text


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("crashed", exc_info=(kind, error, trace))


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        log.critical(
            "crashed", exc_info=crash.exc_value, thread=getattr(crash.thread, "name", None)
        )
