"""An animated GIF without what isn't seen: it stays what it is, frame by frame.

Source: CompuServe, "Graphics Interchange Format", version 89a (blocks and extensions).
"""

from __future__ import annotations

_COMMENT, _TEXT, _APPLICATION = 0xFE, 0x01, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # how often it plays


def without_metadata(data: bytes) -> bytes:
    """Its blocks but comments, and extensions of applications other than the number of loops;
    nothing that follows the end. Raises ValueError for a file that breaks off or isn't a GIF."""
    try:
        return _kept_blocks(data)
    except IndexError as exc:
        raise ValueError("the file breaks off") from exc


def _kept_blocks(data: bytes) -> bytes:
    end = 13 + _colour_table(data[10])
    kept = [data[:end]]
    while data[end] != 0x3B:
        start = end
        if data[end] == 0x2C:  # a frame
            end = _skip_blocks(data, end + 10 + _colour_table(data[end + 9]) + 1)
            kept.append(data[start:end])
        elif data[end] == 0x21:
            label, name = data[end + 1], data[end + 3 : end + 14]
            end = _skip_blocks(data, end + 2)
            if label not in (_COMMENT, _TEXT) and (label != _APPLICATION or name in _LOOPS):
                kept.append(data[start:end])
        else:
            raise ValueError("it holds what is no block of a GIF")
    return b"".join([*kept, b"\x3b"])


def _colour_table(flags: int) -> int:
    """Bytes of the table of colours that may follow."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, at: int) -> int:
    """Behind the row of sub-blocks that begins here."""
    while size := data[at]:
        at += size + 1
    return at + 1
