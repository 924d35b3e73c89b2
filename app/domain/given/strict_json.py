"""JSON as somebody wrote it, read so that no two readers can differ on it. Pure.

With `{"test": true, "test": false}` one reader takes the first and another the last; `NaN`, numbers
that no database keeps and halves of a surrogate pair are read by some and refused by others
(RFC 8259 leaves all of it to the reader). So none of it is read here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jiter
import orjson

from app.domain.people import fits_json
from app.domain.untrusted import plain, read_oddities

MAX_NAME_CHARS = 100
"""Of a key, in the words that name it."""

_DOUBLED = re.compile(r'Detected duplicate key "(.*)" at line \d+ column \d+', re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_TOO_DEEP = "it is nested too deeply"


class NotStrictJson(ValueError):
    """words: what is wrong. place: the name of the value, where it is known."""

    def __init__(self, words: str, place: str = "") -> None:
        super().__init__(f"{place}: {words}" if place else words)
        self._words, self._place = words, place

    def named(self, what: str) -> str:
        """The words behind the name of the value, or `what`."""
        return f"{self._place or what}: {self._words}"


class DoubledKey(NotStrictJson):
    def __init__(self, key: str) -> None:
        super().__init__(
            f'"{plain(key, MAX_NAME_CHARS)}" stands there twice; leave one of both out'
        )


def read_strict(text: str | bytes) -> Any:
    """JSON in UTF-8 without a byte order mark, at most 200 levels deep, each key of an object once,
    each number one that comes back from the database as it was.

    The effort grows with the length and nothing else. Raises NotStrictJson, DoubledKey.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        value = _read(data, float_mode="lossless-float")
    except ValueError as exc:
        raise _described(data, str(exc)) from None
    if _has_only_small_numbers(value):
        return value
    value = _read(data, float_mode="float")
    if found := next(_oddities(value), None):
        raise found
    return value


def _read(data: bytes, **more: Any) -> Any:
    return jiter.from_json(
        data, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys", **more
    )


def _has_only_small_numbers(value: Any) -> bool:
    """As nearly everything that is posted, so that it needn't be looked through. orjson refuses
    whole numbers of more than 53 bits, and jiter's lossless floats; in a tenth of the time in which
    an expression finds the digits."""
    if isinstance(value, dict) and all(isinstance(member, str) for member in value.values()):
        return True  # as an envelope is
    try:
        orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except TypeError:
        return False
    return True


def read_posted(text: str | bytes) -> Any:
    """What a service posts of its own accord (an event, say), which must not be lost for an oddity:
    as read_strict, but what untrusted.read_json mends is mended. A doubled key stays an error.

    Raises ValueError, DoubledKey among them, and RecursionError as read_json.
    """
    try:
        value = orjson.loads(text)
        # What orjson writes just so itself has no key twice and no number that changes: so it is
        # strict, and read sooner: of an event 7 of 26 µs are saved.
        if orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == _stripped(text):
            return value
    except (ValueError, TypeError, RecursionError):
        pass  # perhaps it can be mended, or it is told what is wrong
    try:
        return read_strict(text)
    except DoubledKey:
        raise
    except NotStrictJson:
        return read_oddities(text, object_pairs_hook=once_each)


def _stripped(text: str | bytes) -> bytes:
    """Without the blanks of JSON around it, a line's end for one."""
    return (text if isinstance(text, bytes) else text.encode()).strip(b" \t\r\n")


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook` of the standard library's reader. Raises DoubledKey."""
    found = dict(pairs)
    if len(found) != len(pairs):
        times = Counter(key for key, _ in pairs)
        raise DoubledKey(times.most_common(1)[0][0])
    return found


def _described(data: bytes, said: str) -> NotStrictJson:
    """What jiter didn't read. The standard library's reader reads more: so it tells where what
    stands that isn't strict."""
    if doubled := _DOUBLED.fullmatch(said):
        return DoubledKey(doubled[1])
    try:
        value = json.loads(data.decode(), object_pairs_hook=once_each)
    except DoubledKey as exc:
        return exc
    except RecursionError:
        return NotStrictJson(_TOO_DEEP)
    except ValueError:
        return NotStrictJson("it isn't JSON")
    return next(_oddities(value), NotStrictJson(_TOO_DEEP))


def _oddities(value: Any, place: str = "") -> Iterator[NotStrictJson]:
    """What can't be kept as it is, by its place, such as `fields.age`."""
    if isinstance(value, dict):
        for name, member in value.items():
            if _HALF.search(name):
                yield NotStrictJson("the name of a field holds half of a character", place)
            yield from _oddities(member, _inside(place, name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _oddities(member, _inside(place, str(number)))
    elif isinstance(value, str):
        if _HALF.search(value):
            yield NotStrictJson("half of a surrogate pair can't stand here", place)
    elif isinstance(value, int | float) and not fits_json(value):
        yield NotStrictJson("this number is too large: write it as a text", place)


def _inside(place: str, name: str) -> str:
    name = plain(name, MAX_NAME_CHARS)
    return f"{place}.{name}" if place else name
