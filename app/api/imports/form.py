"""multipart/form-data (RFC 7578) with one file, read as it comes and kept nowhere.

Starlette's own parser keeps the whole file before a route sees it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.message import Message
from email.parser import HeaderParser

from app.errors import InvalidRequest

MAX_HEADER_BYTES = 8_000
MAX_FIELD_BYTES = 10_000
MAX_FIELDS = 300
MAX_NAME_CHARS = 200
_DAMAGED = "The form is damaged or not complete."


class FileForm:
    """The fields that come before the file, then the file. content_type: of the request.

    fields: by name, each with all its values. file_name: as the client calls it; None: no file
    came. Raises InvalidRequest.
    """

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        header = Message()
        header["content-type"] = content_type
        boundary = header.get_param("boundary")
        if not isinstance(boundary, str) or not 0 < len(boundary) <= 70 or not boundary.isascii():
            raise InvalidRequest(_DAMAGED)
        self._end = b"\r\n--" + boundary.encode()
        self._body = body
        self._held = bytearray(b"\r\n")
        self.fields: dict[str, list[str]] = {}
        self.file_name: str | None = None

    async def read_fields(self) -> None:
        """Up to the file."""
        await self._until(self._end, MAX_FIELD_BYTES)
        for _ in range(MAX_FIELDS):
            if (await self._until(b"\r\n", MAX_HEADER_BYTES)).startswith(b"--"):
                return
            self._held[:0] = b"\r\n"  # a part may have no header at all
            head = await self._until(b"\r\n\r\n", MAX_HEADER_BYTES)
            part = HeaderParser().parsestr(head.decode("utf-8", "replace").strip() + "\n\n")
            name = part.get_param("name", header="content-disposition")
            file_name = part.get_filename()
            if file_name is not None or name == "file":
                self.file_name = _base_name(file_name or "")
                return
            value = await self._until(self._end, MAX_FIELD_BYTES)
            self.fields.setdefault(str(name), []).append(value.decode("utf-8", "replace"))
        raise InvalidRequest(f"The form has more than {MAX_FIELDS} fields.")

    async def file(self) -> AsyncIterator[bytes]:
        """The file; nothing where none came."""
        if self.file_name is None:
            return
        keep = len(self._end) - 1
        while (at := self._held.find(self._end)) < 0:
            if len(self._held) > keep:
                yield bytes(self._held[:-keep])
                del self._held[:-keep]
            await self._more()
        yield bytes(self._held[:at])
        async for _ in self._body:  # what follows the file is of no interest
            pass

    async def _until(self, mark: bytes, limit: int) -> bytes:
        """What comes before `mark`, which is passed."""
        while (at := self._held.find(mark)) < 0:
            if len(self._held) > limit:
                raise InvalidRequest(f"A field before the file has more than {limit:,} bytes.")
            await self._more()
        found = bytes(self._held[:at])
        del self._held[: at + len(mark)]
        return found

    async def _more(self) -> None:
        async for part in self._body:
            if part:
                self._held += part
                return
        raise InvalidRequest(_DAMAGED)


def _base_name(name: str) -> str:
    """Without a folder, which some clients send, and without what can't be printed."""
    base = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in base if char.isprintable())[:MAX_NAME_CHARS]
