"""Mail addresses and display names in the form that SES takes. Pure.

SES wants one mailbox per entry, the local part in 7-bit ASCII, the domain in Punycode and a
display name with other characters in MIME encoded-words:
https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from email.header import Header

import idna

from app.domain.given.lines import has_encoded_word, require_line

ADDRESS_MAX_CHARS = 254  # RFC 5321 4.5.3.1.3: a path of 256 with its angle brackets
LOCAL_PART_MAX_CHARS = 64  # RFC 5321 4.5.3.1.1
ENCODED_WORD_MAX_CHARS = 75  # RFC 2047 section 2

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_DOT_ATOM = rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*"
_LABEL_END = r"(?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"(?:[A-Za-z0-9]{_LABEL_END}\.)+[A-Za-z]{_LABEL_END}"  # no address ends in a number
_MAILBOX = re.compile(
    rf"(?=.{{1,{LOCAL_PART_MAX_CHARS}}}@)(?![^@]*=\?[^@]*\?=){_DOT_ATOM}@{_DOMAIN}", re.ASCII
)
_DOMAIN_ALONE = re.compile(_DOMAIN, re.ASCII)
# Of addresses, one a line: all characters, and what is wrong (or an encoded word) though they are.
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-.@\n"
_NOT_PLAIN = re.compile(r"\.[.@]|\n[.@]|=\?")
_REMEMBERED = 10_000  # domains

_ATOMS = re.compile(rf"[{_ATEXT}]+(?: [{_ATEXT}]+)*", re.ASCII)
# Control characters, line and paragraph separators, halves of surrogate pairs.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})

# Full stops of East Asian keyboards, which separate labels as a dot does (UTS 46, section 2.3).
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")

# Characters that show nothing: Unicode's property Default_Ignorable_Code_Point. They come with
# what is copied from web pages and spreadsheets.
_INVISIBLE_RANGES = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_INVISIBLE = frozenset(chr(n) for first, last in _INVISIBLE_RANGES for n in range(first, last + 1))
# In some scripts the two joiners make another domain of it.
_INVISIBLE_IN_DOMAIN = _INVISIBLE - {"\u200c", "\u200d"}
_BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_AROUND = _BLANKS + "".join(_INVISIBLE)


class InvalidAddress(ValueError):
    """The text says why in plain words, without repeating the address."""


class InvalidName(ValueError):
    """A display name that could smuggle a header, or be read as something else."""


def ascii_address(address: str) -> str:
    """The one mailbox `address`, ready for the wire: ASCII, its domain lower-case Punycode.

    A host name that is ASCII is taken as it is, `xn--` or not: there are names in use that IDNA's
    rules refuse. Reserved domains such as example.com and .test are fine; whether a domain takes
    mail is not asked. Raises InvalidAddress for everything that SES refuses or could read as more
    than one mailbox: line breaks, lists, display names, quoted or non-ASCII local parts, address
    literals.
    """
    if _MAILBOX.fullmatch(address) and len(address) <= ADDRESS_MAX_CHARS:
        local, _, domain = address.partition("@")
        return f"{local}@{domain.lower()}"
    if problem := _problem(address):
        raise InvalidAddress(problem)
    local, _, domain = address.partition("@")
    try:
        encoded = f"{local}@{'.'.join(map(_ascii_label, domain.translate(_DOTS).split('.')))}"
    except UnicodeError as exc:  # idna's errors are subclasses
        raise InvalidAddress("the part after the @ is not a valid domain") from exc
    if len(encoded) > ADDRESS_MAX_CHARS:
        raise InvalidAddress(f"it is longer than {ADDRESS_MAX_CHARS} characters in Punycode")
    if not _MAILBOX.fullmatch(encoded):
        raise InvalidAddress("the part after the @ is not a valid domain")
    return encoded


def canonical_address(address: str) -> str:
    """The one form of a mailbox: equal for every spelling of it, and what is put on the wire.

    As `ascii_address`, without surrounding blanks and invisible characters, and all in lower
    case: no provider of note tells Ann@ from ann@. The database does the same for each subscriber
    (`migrations/functions/subscribers/addresses.sql`); a test compares the two. Raises
    InvalidAddress.
    """
    if address.isascii():
        return ascii_address(address.strip()).lower()
    local, at, domain = trimmed(address).rpartition("@")
    local = "".join(char for char in local if char not in _INVISIBLE)
    domain = "".join(char for char in domain if char not in _INVISIBLE_IN_DOMAIN)
    return ascii_address(f"{local}{at}{domain}").lower()


def typed_address(text: str) -> str:
    """An address as a person or a file gives it: `ascii_address` of what is `trimmed`.

    An invisible character within is refused and named rather than dropped: it may stand where
    another one was meant. Raises InvalidAddress.
    """
    address = trimmed(text)
    if address.isascii():  # so there is none
        return ascii_address(address)
    local, _, domain = address.rpartition("@")
    found = [char for char in local if char in _INVISIBLE]
    found += [char for char in domain if char in _INVISIBLE_IN_DOMAIN]
    if found:
        name = unicodedata.name(found[0], "")
        raise InvalidAddress(
            f"it holds an invisible character (U+{ord(found[0]):04X}{name and f' {name}'}); "
            "type it again without it"
        )
    return ascii_address(address)


class TypedAddresses:
    """`typed_address` of many at once: where all are plain, by one look at all, 0.4 µs less."""

    def __init__(self) -> None:
        self._domains: set[str] = set()

    def read(self, texts: Iterable[str]) -> list[str | None]:
        """None: no address."""
        texts = list(texts)
        cells = list(map(str.strip, texts))
        lines = "\n".join(cells)
        if not self._are_plain(cells, lines):
            return list(map(_typed_or_none, texts))
        if lines.islower():
            return [*cells]
        return [
            f"{local}@{domain.lower()}"
            for local, _, domain in [cell.partition("@") for cell in cells]
        ]

    def _are_plain(self, cells: list[str], lines: str) -> bool:
        """Whether each is surely an address, as `_MAILBOX` has it. Some that are may be none."""
        if (
            not lines.isascii()
            or lines.encode().translate(None, _PLAIN)
            or lines.count("@") != len(cells)
            or lines.count("\n") != len(cells) - 1
            or _NOT_PLAIN.search(f"\n{lines}")
            or max(map(len, cells), default=0) > LOCAL_PART_MAX_CHARS
        ):
            return False
        domains = {cell.partition("@")[2] for cell in cells}
        new = domains - self._domains
        if not all(map(_DOMAIN_ALONE.fullmatch, new)):
            return False
        if len(self._domains) > _REMEMBERED:
            self._domains.clear()
        self._domains |= new
        return True


def _typed_or_none(text: str) -> str | None:
    try:
        return typed_address(text)
    except InvalidAddress:
        return None


def trimmed(text: str) -> str:
    """Without the blanks and invisible characters around it."""
    return text.strip() if text.isascii() else text.strip(_AROUND)


def format_mailbox(name: str | None, address: str) -> str:
    """`Name <address>` for a From, To or Reply-To (RFC 5322 section 3.4), in ASCII on one line.

    Runs of spaces in the name count as one. A name with other than ASCII characters becomes
    encoded-words (RFC 2047) of at most 75 characters. Raises InvalidAddress, and InvalidName for
    a name with control characters, line breaks or something that looks like an encoded-word: a
    reader would decode it, and what it hides was never checked.
    """
    mailbox = ascii_address(address)
    if name is None:
        return mailbox
    try:
        require_line(name)
    except ValueError as exc:
        raise InvalidName(str(exc)) from exc
    words = " ".join(name.split())
    return f"{_phrase(words)} <{mailbox}>" if words else mailbox


def mask_address(address: str) -> str:
    """`a•••@e•••.com` for anna@example.com: enough to recognise, too little to use."""
    local, at, domain = address.rpartition("@")
    if not at:
        return "•••"
    host, dot, tld = domain.rpartition(".")
    return f"{local[:1]}•••@{(host or domain)[:1]}•••{dot}{tld if dot else ''}"


def _ascii_label(label: str) -> str:
    """Raises UnicodeError for what no domain may hold."""
    if not label.isascii():
        label = idna.uts46_remap(label, std3_rules=True)
        if "." in label:
            raise UnicodeError("a character that stands for several")
    return label.lower() if label.isascii() else idna.alabel(label).decode("ascii")


def _phrase(name: str) -> str:
    if _ATOMS.fullmatch(name):
        return name
    if name.isascii():
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    # Folded lines begin with a space, so putting them back on one line separates the words.
    encoded = Header(name, "utf-8", maxlinelen=ENCODED_WORD_MAX_CHARS).encode()
    return "".join(encoded.splitlines())


def _problem(address: str) -> str | None:
    """What is plainly wrong with an address, in words; None when only its domain may be."""
    local, at, domain = address.rpartition("@")
    if any(unicodedata.category(char) in _FORBIDDEN_CATEGORIES for char in address):
        return "it holds a line break or another control character"
    if not at or not local or not domain:
        return "it needs a name, an @ and a domain"
    if len(address) > ADDRESS_MAX_CHARS:
        return f"it is longer than {ADDRESS_MAX_CHARS} characters"
    if "<" in address or ">" in address:
        return "write the address alone, without a display name or angle brackets"
    if '"' in local:
        return "Amazon SES refuses a quoted part before the @"
    if "@" in local or "," in address or ";" in address:
        return "it is more than one address"
    if any(char.isspace() for char in address):
        return "it holds a space"
    if domain.startswith("["):
        return "the part after the @ is a network address, not a domain"
    if not local.isascii():
        return "the part before the @ has characters that Amazon SES refuses (ASCII only)"
    if len(local) > LOCAL_PART_MAX_CHARS:
        return f"the part before the @ is longer than {LOCAL_PART_MAX_CHARS} characters"
    if has_encoded_word(local):  # some programs decode it, and deliver to what it hides
        return "the part before the @ looks like an encoded header (=?…?=)"
    if not re.fullmatch(_DOT_ATOM, local, re.ASCII):
        return "the part before the @ has characters or dots in places that mail doesn't allow"
    return None
