"""Nothing of the sign-up is there unless SIGNUP is on."""

from __future__ import annotations

from fastapi import Depends

from app.api.http.deps import ServicesDep
from app.errors import NotFound


async def _require_signup(services: ServicesDep) -> None:
    """Raises NotFound."""
    if not services.settings.signup:
        raise NotFound


WhereOn = Depends(_require_signup)
