"""The certificates that SNS signs with: fetched once, kept a few, fetched at a bounded pace.

Whoever knows a topic's name can invent messages of it, each with a certificate of its own at SNS's
address. That can only be found out by asking there, and mustn't keep genuine messages waiting.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from app.domain.ses.sns_message import ForbiddenSource
from app.errors import Unavailable

FETCH_TIMEOUT_SECONDS = 5.0  # SNS itself waits 15 s for our answer
CERTIFICATE_MAX_BYTES = 64 * 1024  # real ones have about 2 KB
KEPT = 16  # SNS uses one or two per region

AT_ONCE = 10
"""So many unknown certificates are fetched without a pause; others wait for their turn."""
PAUSE_SECONDS = 0.05
"""Between two turns, as long as no message from this address was genuine."""
LONG_PAUSE_SECONDS = 1.0
"""The same later: a new certificate is rare then, and an invented one likely."""
WAITING = 60
WAIT_SECONDS = 8.0
"""How long one may wait for its turn."""


class CertificateUnavailable(Unavailable):
    """The signing certificate can't be had now, so nothing is known of the message."""

    code, title = "certificate_unavailable", "The signing certificate can't be fetched"


class CertificateMissing(CertificateUnavailable):
    """There is none at its address, or too many addresses were asked for. Whoever invents messages
    invents such addresses."""

    concerns_one = True


class _Turns:
    """When a certificate at one host may be asked for.

    The newest goes first: genuine messages name one certificate again and again, invented ones
    another each time, so the genuine one soon is the newest when a turn comes. proven: a
    certificate from here has signed a message of ours.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.proven = False
        self.waiting: OrderedDict[str, asyncio.Future[None]] = OrderedDict()
        self._free, self._since = float(AT_ONCE), monotonic()
        self._calls: asyncio.Task[None] | None = None

    @property
    def _pause(self) -> float:
        return LONG_PAUSE_SECONDS if self.proven else PAUSE_SECONDS

    def take(self, url: str) -> asyncio.Future[None] | None:
        """None: now. Else what to wait for; it raises CertificateMissing when the turn is lost."""
        now = self._monotonic()
        self._free = min(float(AT_ONCE), self._free + (now - self._since) / self._pause)
        self._since = now
        if not self.waiting and self._free >= 1:
            self._free -= 1
            return None
        if len(self.waiting) == WAITING:
            self._lose(next(iter(self.waiting)))
        loop = asyncio.get_running_loop()
        turn = self.waiting[url] = loop.create_future()
        expiry = loop.call_later(WAIT_SECONDS, self._lose, url)
        turn.add_done_callback(lambda _: expiry.cancel())
        if self._calls is None:
            self._calls = loop.create_task(self._call())
        return turn

    def prove(self) -> None:
        """Whoever waits is told to come again: nobody is held up from now on."""
        if not self.proven:
            self.proven = True
            for url in list(self.waiting):
                self._lose(url)

    def _lose(self, url: str) -> None:
        turn = self.waiting.pop(url)
        if not turn.done():
            turn.set_exception(CertificateMissing("Too many unknown certificates are asked for."))

    async def _call(self) -> None:
        """One after the other, until nobody waits."""
        try:
            while self.waiting:
                await asyncio.sleep(self._pause)
                self._free, self._since = 0.0, self._monotonic()
                if self.waiting:
                    _, turn = self.waiting.popitem()
                    if not turn.done():
                        turn.set_result(None)
        finally:
            self._calls = None


class Certificates:
    """By address. Those that signed a message of ours are kept before others: there are
    certificates at SNS's addresses that anybody can name."""

    def __init__(self, http: httpx.AsyncClient, monotonic: Callable[[], float]) -> None:
        self._http = http
        self._proven: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._others: OrderedDict[str, x509.Certificate] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[x509.Certificate]] = {}
        self._turns: defaultdict[str, _Turns] = defaultdict(lambda: _Turns(monotonic))

    async def get(self, url: str) -> x509.Certificate:
        """url: was checked to be at a host of SNS. Raises CertificateUnavailable, ForbiddenSource.

        Once a certificate from the same host has proved good, nobody is held up by one that has to
        wait for its turn: it is fetched meanwhile, and SNS comes again.
        """
        for known in (self._proven, self._others):
            if (certificate := known.get(url)) is not None:
                known.move_to_end(url)
                return certificate
        turns = self._turns[urlsplit(url).netloc]
        task = self._under_way.get(url)
        if task is None:
            task = asyncio.create_task(self._fetch(url, turns.take(url)))
            self._under_way[url] = task
            task.add_done_callback(lambda done: self._settle(url, done))
        elif url in turns.waiting:
            turns.waiting.move_to_end(url)
        if turns.proven and url in turns.waiting:
            raise CertificateMissing("The certificate is unknown, and fetched in its turn.")
        # Shielded: the request that began the fetch may go away while others wait for it.
        return await asyncio.shield(task)

    def knows(self, url: str) -> bool:
        """Whether `get` gives it without asking anybody."""
        return url in self._proven or url in self._others

    def prove(self, url: str) -> None:
        """It has signed a message of ours."""
        if (certificate := self._others.pop(url, None)) is not None:
            _keep(self._proven, url, certificate)
            self._turns[urlsplit(url).netloc].prove()

    def _settle(self, url: str, done: asyncio.Task[x509.Certificate]) -> None:
        del self._under_way[url]
        # Asking for the exception also keeps asyncio quiet when every waiter has gone away.
        if not done.cancelled() and done.exception() is None:
            _keep(self._others, url, done.result())

    async def _fetch(self, url: str, turn: asyncio.Future[None] | None) -> x509.Certificate:
        if turn is not None:
            await turn
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_SECONDS):
                pem = await self._download(url)
        except (httpx.HTTPError, TimeoutError, UnicodeError) as exc:
            # UnicodeError: httpx's, for a redirect to `http://xn--/`.
            kind = CertificateMissing if _says_no(exc) else CertificateUnavailable
            raise kind("The signing certificate can't be fetched now.") from exc
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            certificate.public_key()  # parsed only by this call, which fails for an unusable key
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise CertificateMissing("The certificate's address holds none.") from exc
        return certificate

    async def _download(self, url: str) -> bytes:
        plain = {"Accept-Encoding": "identity"}
        async with self._http.stream("GET", url, headers=plain, follow_redirects=False) as answer:
            if answer.has_redirect_location:
                raise ForbiddenSource("The certificate's address leads to another one.")
            answer.raise_for_status()
            # A few packed bytes may unpack to gigabytes before anybody counts them.
            if "content-encoding" in answer.headers:
                raise CertificateMissing("The certificate came packed, though we asked not to.")
            pem = b""
            async for chunk in answer.aiter_bytes():
                pem += chunk
                if len(pem) > CERTIFICATE_MAX_BYTES:
                    raise CertificateMissing("What is at the certificate's address is too large.")
            return pem


def _keep(known: OrderedDict[str, x509.Certificate], url: str, one: x509.Certificate) -> None:
    known[url] = one
    if len(known) > KEPT:
        known.popitem(last=False)


def _says_no(exc: Exception) -> bool:
    """Whether SNS answered that there is nothing at the address, rather than that it is unwell."""
    status = exc.response.status_code if isinstance(exc, httpx.HTTPStatusError) else 0
    return 400 <= status < 500 and status not in {408, 425, 429}
