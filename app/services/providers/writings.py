"""Mailouts in the words of one provider, each written once: that takes some milliseconds."""

from __future__ import annotations

import threading

from app.ports import BulkWriting, FallbackSender
from app.services.sending.prepare import Prepared

KEPT = 8
"""Those that were sent last."""


class Writings:
    """Several threads may ask at once."""

    def __init__(self, sender: FallbackSender) -> None:
        self._sender = sender
        self._lock = threading.Lock()
        self._known: dict[int, tuple[Prepared, BulkWriting]] = {}

    def __call__(self, prepared: Prepared) -> BulkWriting:
        """Kept with `prepared` itself, so that no other may have its id meanwhile."""
        with self._lock:
            if (known := self._known.get(id(prepared))) is not None:
                return known[1]
            while len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))
            writing = self._sender.writing(prepared.compiled, prepared.envelope)
            self._known[id(prepared)] = (prepared, writing)
            return writing
