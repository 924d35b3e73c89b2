"""Which addresses a file had so far, in little memory."""

from __future__ import annotations

from array import array

_START_SLOTS = 1 << 12
_FULLEST = 0.6
_MASK = (1 << 64) - 1


class SeenAddresses:
    """A set of Python's own 64-bit hashes in one array: some 14 to 27 bytes for each address, a
    sixth of what a set of texts takes. Two of a million addresses have the same hash by a chance of
    1 in 40 million; its key differs in each process, so nobody can make such two.
    """

    def __init__(self) -> None:
        self._count = 0
        self._slots = array("Q", bytes(8 * _START_SLOTS))
        self._most = int(_FULLEST * _START_SLOTS)

    def add(self, address: str) -> bool:
        """False: it was there."""
        value = hash(address) & _MASK or 1
        slots = self._slots
        at = value & (len(slots) - 1)
        while found := slots[at]:
            if found == value:
                return False
            at = (at + 1) & (len(slots) - 1)
        slots[at] = value
        self._count += 1
        if self._count > self._most:
            self._grow()
        return True

    def add_all(self, addresses: list[str]) -> list[bool]:
        """`add` of each, in half the time."""
        while self._count + len(addresses) > self._most:
            self._grow()
        slots, last, added = self._slots, len(self._slots) - 1, []
        for each in map(hash, addresses):
            value = each & _MASK or 1
            at = value & last
            while (found := slots[at]) and found != value:
                at = (at + 1) & last
            slots[at] = value
            added.append(not found)
        self._count += sum(added)
        return added

    def _grow(self) -> None:
        old = self._slots
        self._slots = slots = array("Q", bytes(16 * len(old)))
        self._most = int(_FULLEST * len(slots))
        mask = len(slots) - 1
        for value in old:
            if value:
                at = value & mask
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = value
