"""Which file this is and how its text is encoded. Reads all of it, in flat memory."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from app.errors import AppError

_PIECE = 1 << 18
SAVE_AS_CSV = "open it in the program it comes from and save it as CSV (UTF-8)"

# How files that are no text begin, and what they are.
_NOT_CSV = {
    b"\xd0\xcf\x11\xe0": f"an old Excel workbook: {SAVE_AS_CSV}",
    b"\x1f\x8b": "compressed with gzip: unpack it first, or open it in the program it comes from "
    "and save it as CSV",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "compressed with xz: unpack it first",
    b"(\xb5/\xfd": "compressed with zstd: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it first",
    b"Rar!\x1a\x07": "a rar archive: unpack it first",
    b"%PDF": f"a PDF: {SAVE_AS_CSV}",
    b"SQLite format 3": "a database",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"RIFF": "a picture, a sound or a film",
    b"II*\x00": "a picture",
    b"MM\x00*": "a picture",
    b"\x00\x00\x01\x00": "a picture",
    b"\x04\x22\x4d\x18": "compressed with lz4: unpack it first",
    b"LZIP\x01": "compressed with lzip: unpack it first",
    b"\x1f\x9d": "compressed with compress: unpack it first",
    b"]\x00\x00": "compressed with lzma: unpack it first",
    b"\x7fELF": "a program",
    b"MZ\x90\x00": "a program",
    b"{\\rtf": f"a text document: {SAVE_AS_CSV}",
    b"\xff\xfe\x00\x00": f"text in UTF-32: {SAVE_AS_CSV}",
    b"\x00\x00\xfe\xff": f"text in UTF-32: {SAVE_AS_CSV}",
}
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<table", b"<workbook", b"<svg")


class CsvRefused(AppError):
    """The file as a whole can't be read."""

    status, code, title = 422, "csv_refused", "The CSV file can't be read"


@dataclass(frozen=True, slots=True)
class Encoding:
    """name: as people know it. codec: as Python does."""

    name: str
    codec: str

    def open(self, file: BinaryIO) -> TextIO:
        """The file from its beginning as text, its lines as they are. Bytes that can't be decoded
        are lone surrogates, but in UTF-16, where they raise UnicodeError. `file` stays open."""
        file.seek(0)
        errors = "strict" if "16" in self.codec else "surrogateescape"
        raw = io.BufferedReader(_Raw(file), _PIECE)
        return io.TextIOWrapper(raw, self.codec, errors=errors, newline="")


UTF_8 = Encoding("UTF-8", "utf-8-sig")
WINDOWS = Encoding("Windows-1252", "cp1252")


def find_encoding(file: BinaryIO) -> Encoding:
    """UTF-8 or UTF-16, with or without a byte order mark; Windows-1252 if it can't be UTF-8.

    Raises CsvRefused: no text, or text in which some lines are UTF-8 and others are not.
    """
    file.seek(0)
    beginning = file.read(4096)
    _check_is_text(beginning)
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Encoding("UTF-16", "utf-16")
    # Without a mark: nearly every other byte of text in Latin letters is zero.
    zeros = [beginning[at::2].count(0) / (len(beginning) // 2 or 1) for at in (0, 1)]
    if zeros[1] > 0.5 and zeros[0] < 0.1:
        return Encoding("UTF-16", "utf-16-le")
    if zeros[0] > 0.5 and zeros[1] < 0.1:
        return Encoding("UTF-16", "utf-16-be")
    return _utf_8_or_windows(file)


def _utf_8_or_windows(file: BinaryIO) -> Encoding:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    valid = invalid = 0  # characters beyond ASCII, and bytes that are none
    line, wrong_line = 1, 0
    file.seek(0)
    while True:
        piece = file.read(_PIECE)
        text = decoder.decode(piece, final=not piece)
        if not text.isascii():
            kept = text.encode("utf-8", "ignore").decode("utf-8")
            lost = len(text) - len(kept)
            if lost and not invalid:
                at = next(n for n, char in enumerate(text) if "\udc80" <= char <= "\udcff")
                wrong_line = line + text.count("\n", 0, at)
            invalid += lost
            valid += len(kept) - len(kept.encode("ascii", "ignore"))
        line += text.count("\n")
        if not piece:
            break
    if not invalid:
        return UTF_8
    if valid > invalid:
        raise CsvRefused(
            f"Line {wrong_line} is not valid UTF-8, while other lines are: the file was put "
            'together from two. Save it as "CSV UTF-8".'
        )
    return WINDOWS


def _check_is_text(beginning: bytes) -> None:
    for magic, what in _NOT_CSV.items():
        if beginning.startswith(magic):
            raise CsvRefused(f"The file is no CSV but {what}.")
    if beginning.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        raise CsvRefused(
            "The file is no CSV but an Excel workbook or another zip archive. If a tool exported "
            f"it so, unpack it and import the CSV files that are in it; else {SAVE_AS_CSV}."
        )
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        raise CsvRefused(
            "The file is no CSV but a web page or another markup: if it was downloaded, sign in "
            f"there and download it again; else {SAVE_AS_CSV}."
        )


class _Raw(io.RawIOBase):
    """Lets the standard library buffer and decode whatever has a `read`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
