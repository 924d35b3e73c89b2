"""What a person sees of the fallback to other providers, and may do: open and close it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.providers.words import consequences, provider_name
from app.errors import FallbackNotConfigured, InvalidRequest
from app.settings import Settings
from app.store import Store


@dataclass(frozen=True)
class Fallback:
    store: Store
    settings: Settings

    async def show(self, provider: str | None = None) -> dict[str, Any]:
        """`open`, `provider`, `since`, `by` (None: the rule), `reason`; `providers` in order, what
        `consequences` it has to open it; `waiting` recipients; the last `changes`.

        provider: whose consequences; when None, of whoever sends now or is the first. Raises
        InvalidRequest.
        """
        name = self._next(provider, required=False)
        return self._shown(await self.store.fallback_state(name), name)

    async def in_place(self) -> dict[str, Any] | None:
        """The state, where somebody sends in SES's place; None: nobody does."""
        if not self.settings.fallback_providers:
            return None
        state = await self.show()
        return state if state["open"] else None

    async def open(self, provider: str | None, reason: str | None, *, by: str) -> dict[str, Any]:
        """Let a provider send, the first in order where none is named; `changed`: it didn't before.

        Raises FallbackNotConfigured, InvalidRequest.
        """
        name = self._next(provider, required=True)
        assert name is not None
        return self._shown(
            await self.store.open_fallback(name, reason or "Opened by a person.", by)
        )

    async def close(self, reason: str | None, *, by: str) -> dict[str, Any]:
        """Let SES alone send. Calls under way are still recorded."""
        return self._shown(await self.store.close_fallback(reason or "Closed by a person.", by))

    def _next(self, provider: str | None, *, required: bool) -> str | None:
        known = self.settings.fallback_providers
        if not known and required:
            raise FallbackNotConfigured(
                "FALLBACK_PROVIDERS names nobody who could send in SES's place: set it and "
                "restart (docs/fallback.md)."
            )
        if provider is not None and provider not in known:
            raise InvalidRequest(
                f"provider: FALLBACK_PROVIDERS doesn't name it; it names {', '.join(known)}."
            )
        return provider or (known[0] if known else None)

    def _shown(self, state: dict[str, Any], asked: str | None = None) -> dict[str, Any]:
        name = state["provider"] or asked or self._next(None, required=False)
        after = self.settings.fallback_after_seconds
        return state | {
            "name": provider_name(name) if name else None,
            "providers": list(self.settings.fallback_providers),
            "after_seconds": after or None,
            "consequences": (
                consequences(name, waiting=state["waiting"], rate=state["rate"]) if name else []
            ),
        }
