"""The readers of the mails: after its delivery each is given the mail, and acts."""

from __future__ import annotations

import asyncio

from app.sandbox.config import SandboxConfig
from app.sandbox.sns.publish import Publisher
from app.sandbox.store import Mail, Store
from app.sandbox.tracking.readers import Act, acts_of, kind_of
from app.sandbox.tracking.rewriting import Tracker
from app.sandbox.tracking.visits import publish_click, publish_open


class Audience:
    """figures of it are the publisher's: every act is an event."""

    def __init__(
        self, config: SandboxConfig, store: Store, publisher: Publisher, tracker: Tracker
    ) -> None:
        self._config, self._store = config, store
        self._publisher, self._tracker = publisher, tracker
        self._round = 0

    def forget(self) -> None:
        """Whoever has a mail now does nothing more with it."""
        self._round += 1

    def delivered(self, mail: Mail, address: str, *, delay: float) -> None:
        """Let the reader of `address` have the mail in `delay` seconds, when it is delivered.

        Only tracked mail is seen by anybody. Until then no more than the mail's id is kept.
        """
        if not (mail.call.tracked.opens or mail.call.tracked.clicks):
            return
        kind = kind_of(address, self._config.readers)
        if kind is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(delay, self._read, kind, address, mail.message_id, self._round)

    def _read(self, kind: str, address: str, message_id: str, round_: int) -> None:
        mail = self._store.get(message_id)
        if round_ != self._round or mail is None:  # no longer kept
            return
        delivered = self._tracker.delivered(mail)
        if delivered is None:
            return
        links = delivered.tracked_links
        for act in acts_of(kind, address, links, self._config.reader_seconds):
            self._publish(mail, act, opens=delivered.pixel is not None)

    def _publish(self, mail: Mail, act: Act, *, opens: bool) -> None:
        if act.link:
            publish_click(self._publisher, mail, act.link, act.by, delay=act.after_seconds)
        elif opens:
            publish_open(self._publisher, mail, act.by, delay=act.after_seconds)
