"""Sign-ups: asked for, mailed, confirmed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.store.calls import Calls, require


class SignupCalls(Calls):
    async def ask_signup(
        self,
        *,
        client: str,
        client_limit: int,
        address: str,
        name: str | None,
        tags: list[str],
        page: str | None,
    ) -> dict[str, Any]:
        """Gives `taken`, and `seconds` to wait where the client asked too often. address:
        canonical."""
        row: dict[str, Any] = await self._call(
            "ask_signup",
            p_client=client,
            p_client_limit=client_limit,
            p_address=address,
            p_name=name,
            p_tags=tags,
            p_page=page,
        )
        require(row, "taken")
        return row

    async def find_signup(self, signup_id: UUID) -> dict[str, Any] | None:
        """Gives `email`, `used`, `status` (of the subscriber, who may not be there); None when it
        is unknown or over."""
        row: dict[str, Any] | None = await self._call("find_signup", p_signup=str(signup_id))
        return row

    async def confirm_signup(self, signup_id: UUID, text: str) -> dict[str, Any] | None:
        """As find_signup, afterwards. text: what the person agrees to."""
        row: dict[str, Any] | None = await self._call(
            "confirm_signup", p_signup=str(signup_id), p_text=text
        )
        if row is not None:
            require(row, "email", "status")
        return row

    async def claim_signup_mail(self, region: str) -> dict[str, Any] | None:
        """Gives `id` and `to`, or `wait`, the seconds until the rate lets one go; None when no mail
        is due, or none may be sent."""
        row: dict[str, Any] | None = await self._call("claim_signup_mail", p_region=region)
        return row

    async def settle_signup_mail(
        self, signup_id: str, outcome: str | None, *, detail: str | None, retry_seconds: float
    ) -> None:
        """outcome: None for a mail that was certainly not accepted."""
        await self._call(
            "settle_signup_mail",
            p_signup=signup_id,
            p_outcome=outcome,
            p_detail=detail,
            p_retry_seconds=retry_seconds,
        )
