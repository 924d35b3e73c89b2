"""Asks a resolver as receivers do, and tells "nothing is there" from "it didn't say"."""

from __future__ import annotations

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TXT
import dns.resolver
from dns.rdata import Rdata

from app.domain.dns.names import SYSTEM, server_address
from app.domain.dns.questions import NODATA, NXDOMAIN, Answer, Question, unknown

TRY_SECONDS = 2.0
"""For one try at one server."""
QUESTION_SECONDS = 6.0
"""For a question, with all tries and servers, and again by TCP where an answer was cut."""
_EDNS_BYTES = 1_232
"""What fits into one packet everywhere (DNS flag day 2020); a larger answer comes by TCP."""


class DnsResolver:
    def __init__(self, servers: tuple[str, ...]) -> None:
        """servers: `system` alone for those of this machine, or `ADDRESS` and `ADDRESS:PORT`."""
        self._servers = servers
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises nothing: what goes wrong is `unknown`, with a sentence's end."""
        try:
            found = await self._open().resolve(
                question.name,
                question.kind,
                raise_on_no_answer=False,
                search=False,
                lifetime=QUESTION_SECONDS,
            )
        except dns.resolver.NXDOMAIN as exc:
            return Answer("nxdomain", end=_end(question, exc.canonical_name))
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
            return NXDOMAIN  # such a name can't be there
        except dns.resolver.NoResolverConfiguration:
            return unknown("this machine has no DNS resolver")
        except dns.exception.Timeout:
            return unknown(f"DNS didn't answer within {QUESTION_SECONDS:.0f} seconds")
        except dns.resolver.NoNameservers as exc:
            return unknown(_refusal(exc))
        except (dns.exception.DNSException, OSError, ValueError, EOFError):
            return unknown("the answer of DNS can't be read")
        end = _end(question, found.canonical_name)
        if found.rrset is None:
            if why := _no_answer(found.response, found.qname):
                return unknown(why)
            return Answer("nodata", end=end) if end else NODATA
        return Answer("found", tuple(sorted(map(_text, found.rrset))), end=end)

    def _open(self) -> dns.asyncresolver.Resolver:
        """Raises NoResolverConfiguration. This machine's own are read each time: it may have moved
        to another network."""
        if self._resolver is None or self._servers == (SYSTEM,):
            self._resolver = _open(self._servers)
        return self._resolver


def _open(servers: tuple[str, ...]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=servers == (SYSTEM,))
    if servers != (SYSTEM,):
        resolver.nameservers = [_nameserver(server) for server in servers]
    resolver.timeout = TRY_SECONDS
    resolver.use_edns(0, 0, _EDNS_BYTES)
    resolver.flags = dns.flags.RD
    return resolver


def _nameserver(server: str) -> dns.nameserver.Do53Nameserver:
    host, port = server_address(server)
    return dns.nameserver.Do53Nameserver(host, port)


def _end(question: Question, canonical: dns.name.Name) -> str:
    end = canonical.to_text(omit_final_dot=True).lower()
    return "" if end == question.name else end


def _no_answer(response: dns.message.Message, asked: dns.name.Name) -> str:
    """Why a reply without the record that was asked for doesn't say that there is none; empty: it
    says so (RFC 2308, section 2.2)."""
    names = {rrset.name for rrset in response.answer}
    if names and asked not in names and not any(asked.is_subdomain(name) for name in names):
        return "DNS tells of another name than the one that was asked for"
    kinds = {rrset.rdtype for rrset in response.authority}
    if dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds:
        return "the server that answers doesn't know the domain, and names others"
    return ""


def _text(rdata: Rdata) -> str:
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        text = b"".join(rdata.strings).decode("utf-8", "replace")
        return text.replace("\0", "\ufffd")  # PostgreSQL keeps none
    if isinstance(rdata, dns.rdtypes.ANY.MX.MX):
        return f"{rdata.preference} {rdata.exchange.to_text(omit_final_dot=True).lower()}"
    return rdata.to_text().lower().removesuffix(".")


def _refusal(exc: dns.resolver.NoNameservers) -> str:
    """Why no server gave an answer: of the last that was asked."""
    reasons = [error[3] for error in exc.kwargs.get("errors") or ()]
    if any(isinstance(reason, dns.message.ChainTooLong) for reason in reasons):
        return "its CNAMEs lead in a circle, or through too many names"
    last = reasons[-1] if reasons else ""
    if last == "SERVFAIL":
        return "the name servers of the domain fail (SERVFAIL)"
    if isinstance(last, str) and last.isupper():
        return f"the DNS server doesn't answer this question ({last})"
    if isinstance(last, OSError):
        return "no DNS server can be reached"
    return "the answer of DNS can't be read"
