"""A file in the database, in compressed pieces, so that any process can go on with it.

Each piece holds PIECE_BYTES of the file (the last one fewer), so a place in the file says which
piece it is in.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from uuid import UUID

from app.store import Store

PIECE_BYTES = 1_000_000
_COMPRESSION = 3  # of 9: text shrinks to a third in a few milliseconds
_READ_SECONDS = 120.0


class Upload:
    """Stores what comes, in little memory, whatever the size of the parts it comes in."""

    def __init__(self, store: Store, import_id: UUID) -> None:
        self._store = store
        self._import_id = import_id
        self._held = bytearray()
        self._pieces = 0
        self.size = 0

    async def write(self, part: bytes) -> None:
        """Raises Unavailable."""
        self._held += part
        while len(self._held) >= PIECE_BYTES:
            await self._store_piece()

    async def close(self) -> None:
        """Store the rest. Raises Unavailable."""
        if self._held:
            await self._store_piece()

    async def _store_piece(self) -> None:
        piece = bytes(self._held[:PIECE_BYTES])
        del self._held[:PIECE_BYTES]
        self.size += len(piece)
        packed = await asyncio.to_thread(zlib.compress, piece, _COMPRESSION)
        await self._store.store_import_chunk(self._import_id, self._pieces, packed, self.size)
        self._pieces += 1


class StoredFile(io.RawIOBase):
    """Such a file, to be read in another thread than that of `loop`.

    size: in bytes. Reading raises what the store raises, and OSError when a piece is gone.
    """

    def __init__(
        self, store: Store, import_id: UUID, size: int, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._store = store
        self._import_id = import_id
        self._size = size
        self._loop = loop
        self._at = 0
        self._piece_number = -1
        self._piece = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        number, start = divmod(self._at, PIECE_BYTES)
        if number != self._piece_number:
            self._piece, self._piece_number = self._fetch(number), number
        part = self._piece[start : start + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _fetch(self, number: int) -> bytes:
        asked = asyncio.run_coroutine_threadsafe(
            self._store.read_import_chunk(self._import_id, number), self._loop
        )
        packed = asked.result(_READ_SECONDS)
        if packed is None:
            raise OSError("a piece of the file is gone")
        return zlib.decompress(packed)
