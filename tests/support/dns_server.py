"""A DNS resolver on 127.0.0.1, over UDP and TCP, that knows the names that a test gives it, and
answers as badly as the test wants."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections import defaultdict
from types import TracebackType
from typing import Literal, Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Manner = Literal[
    "servfail",
    "refused",
    "silent",
    "garbage",
    "wrong_id",
    "wrong_question",
    "circle",
    "cut",
    "handed_on",
    "other_name",
]
"""How a name is answered for. cut: by UDP it is truncated, and by TCP there is nothing. handed_on:
other servers are named, as by one that doesn't have the zone (lame delegation). other_name: records
of a name that wasn't asked for."""
UDP_BYTES = 1_232
Zone = dict[str, dict[str, list[str]]]


class DnsServer:
    """asked: (name, kind, udp or tcp), in their order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self, zone: Zone | None = None) -> None:
        """zone: as `zone` gave it; None: empty."""
        self._zone: Zone = defaultdict(lambda: defaultdict(list), zone or {})
        self._manners: dict[str, Manner] = {}
        self.asked: list[tuple[str, str, str]] = []

    def zone(self) -> Zone:
        """All that is there."""
        return self._zone

    def put(self, name: str, kind: str, *values: str) -> None:
        """TXT values as they are, of any length, bytes that are no text as surrogates; MX as
        `10 host`; several make several records."""
        self._zone[name.lower()][kind] += values

    def take(self, name: str, kind: str | None = None) -> None:
        """Take records away; kind: all kinds, when None."""
        if kind is None:
            self._zone.pop(name.lower(), None)
        else:
            self._zone[name.lower()].pop(kind, None)
            if not self._zone[name.lower()]:
                del self._zone[name.lower()]

    def behave(self, name: str, manner: Manner) -> None:
        self._manners[name.lower()] = manner

    @property
    def address(self) -> str:
        """As DNS_RESOLVERS takes it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        owner = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, sock = self.request
                for reply in owner._answer(data, "udp"):
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                length = struct.unpack("!H", self.request.recv(2, socket.MSG_WAITALL))[0]
                data = self.request.recv(length, socket.MSG_WAITALL)
                for reply in owner._answer(data, "tcp"):
                    self.request.sendall(struct.pack("!H", len(reply)) + reply)

        self._udp, self._tcp = _both(Udp, Tcp)
        self.port: int = self._udp.server_address[1]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.02,))
            for server in (self._udp, self._tcp)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def _answer(self, data: bytes, way: str) -> list[bytes]:
        """The packets to send back: none, where it is silent."""
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked.append((name, dns.rdatatype.to_text(asked.rdtype), way))
        reply = dns.message.make_response(query, recursion_available=True)
        match self._manners.get(name):
            case "silent":
                return []
            case "garbage":
                return [data[:2] + b"\x81\x80" + b"\xff" * 40]
            case "servfail":
                reply.set_rcode(dns.rcode.SERVFAIL)
            case "refused":
                reply.set_rcode(dns.rcode.REFUSED)
            case "cut":
                if way == "tcp":
                    return []
                reply.flags |= dns.flags.TC
            case "circle":
                reply.answer = [
                    _rrset(name, "CNAME", ["round.example."]),
                    _rrset("round.example", "CNAME", [f"{name}."]),
                ]
            case "handed_on":
                reply.authority = [_rrset("com", "NS", ["a.gtld-servers.net."])]
            case "other_name":
                reply.answer = [_rrset("other.example", "TXT", ['"v=DMARC1; p=reject"'])]
            case "wrong_id":
                # Somebody else's guess comes first; the true answer after it.
                forged = dns.message.make_response(query, recursion_available=True)
                forged.id = (query.id + 1) % 65_536
                forged.answer = [_rrset(name, "TXT", ['"v=DMARC1; p=reject"'])]
                self._fill(reply, name, asked.rdtype)
                return [forged.to_wire(), reply.to_wire()]
            case "wrong_question":
                other = dns.message.make_query("other.example.", asked.rdtype)
                other.id = query.id
                return [dns.message.make_response(other).to_wire()]
            case None:
                self._fill(reply, name, asked.rdtype)
        wire = reply.to_wire(max_size=65_535)
        if way == "udp" and len(wire) > UDP_BYTES:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return [short.to_wire()]
        return [wire]

    def _fill(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        wanted = dns.rdatatype.to_text(kind)
        for _ in range(40):
            there = self._zone.get(name, {})
            if wanted in there:
                reply.answer.append(
                    _rrset(name, wanted, [_spelt(wanted, v) for v in there[wanted]])
                )
                return
            if "CNAME" not in there or wanted == "CNAME":
                break
            target = there["CNAME"][0]
            reply.answer.append(_rrset(name, "CNAME", [f"{target}."]))
            name = target.lower()
        if not any(other == name or other.endswith(f".{name}") for other in self._zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)


def _both(
    udp: type[socketserver.BaseRequestHandler], tcp: type[socketserver.BaseRequestHandler]
) -> tuple[socketserver.ThreadingUDPServer, _TcpServer]:
    """On one port: that of the first may be somebody else's for the second."""
    for _ in range(20):
        first = socketserver.ThreadingUDPServer(("127.0.0.1", 0), udp)
        try:
            return first, _TcpServer(("127.0.0.1", first.server_address[1]), tcp)
        except OSError:
            first.server_close()
    raise OSError("no port is free for UDP and TCP alike")


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


def _spelt(kind: str, value: str) -> str:
    if kind != "TXT":
        return f"{value}." if kind in ("CNAME", "MX") else value
    data = value.encode("utf-8", "surrogateescape")
    pieces = [data[at : at + 255] for at in range(0, len(data), 255)] or [b""]
    return " ".join('"' + "".join(f"\\{byte:03d}" for byte in piece) + '"' for piece in pieces)


def _rrset(name: str, kind: str, values: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(f"{name}.", 60, "IN", kind, values)
