"""The control API under `/sandbox/notion/`: what a person does, and what goes wrong.

Every call is a POST with a JSON object of named arguments; the answer is `{"result": …}`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.notion.config import CAPABILITIES
from app.sandbox.notion.errors import NotionError
from app.sandbox.notion.guard import Fault
from app.sandbox.notion.person import Person
from app.sandbox.notion.webhooks import Automation

if TYPE_CHECKING:
    from app.sandbox.notion.standin import NotionStandIn

PREFIX = "/sandbox/notion"


def routes(standin: NotionStandIn) -> list[Route]:
    def person(name: str) -> Callable[..., Any] | None:
        return Person(standin.space).acts().get(name)

    def ruled(name: str) -> Callable[..., Any] | None:
        return Controls(standin).acts().get(name)

    return [
        Route(PREFIX + "/person/{act}", _calls(person), methods=["POST"]),
        Route(PREFIX + "/{act}", _calls(ruled), methods=["POST"]),
    ]


def _calls(find: Callable[[str], Callable[..., Any] | None]) -> Callable[..., Any]:
    async def handle(request: Request) -> Response:
        name = request.path_params["act"]
        act = find(name)
        if act is None:
            return _answer({"error": f"There is no act {name}."}, 404)
        try:
            arguments = orjson.loads(await request.body() or b"{}")
            result = act(**arguments)
            if inspect.isawaitable(result):
                result = await result
        except (NotionError, TypeError, ValueError, LookupError) as error:
            return _answer({"error": f"{name}: {error}"}, 400)
        return _answer({"result": result})

    return handle


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


class Controls:
    """What the person doesn't do: faults, limits, webhooks, and what was asked."""

    def __init__(self, standin: NotionStandIn) -> None:
        self._standin = standin

    def acts(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in dir(type(self))
            if not name.startswith("_") and name != "acts"
        }

    def reset(self) -> None:
        self._standin.reset()

    def about(self) -> dict[str, Any]:
        space = self._standin.space
        return {
            "token": self._standin.config.token,
            "workspace_id": space.id,
            "bot_id": space.bot.id,
            "person_id": space.person.id,
            "home_page_id": space.home.id,
        }

    # Faults

    def fail(self, **fault: Any) -> None:
        """See Fault: status, times, path, method, retry_after, html, after, slow."""
        self._standin.guard.faults.append(Fault(**fault))

    def heal(self) -> None:
        """No fault any more, the token valid, all capabilities, no limit."""
        guard = self._standin.guard
        guard.faults.clear()
        guard.revoked, guard.rate = False, self._standin.config.rate
        guard.capabilities = set(CAPABILITIES)

    def revoke_token(self) -> None:
        self._standin.guard.revoked = True

    def capabilities(self, without: list[str]) -> None:
        """Take some; one that isn't named is there."""
        unknown = set(without) - set(CAPABILITIES)
        if unknown:
            raise ValueError(f"no capability: {', '.join(sorted(unknown))}")
        self._standin.guard.capabilities = set(CAPABILITIES) - set(without)

    def rate(self, requests: int) -> None:
        """How many requests in a window of the configuration; 0: no limit."""
        self._standin.guard.rate = requests

    def expire_files(self) -> None:
        self._standin.space.files.expire()

    def file_lifetime(self, seconds: float) -> None:
        self._standin.space.files.lifetime = seconds

    def synced_copies(self, show: bool) -> None:
        """Whether a synced block's copy answers the original's children."""
        self._standin.space.copies_show = show

    def requests(self) -> list[dict[str, Any]]:
        return list(self._standin.guard.requests)

    def forget_requests(self) -> None:
        self._standin.guard.requests.clear()

    # Webhooks

    async def subscribe(self, url: str, token: str | None = None) -> dict[str, Any]:
        status = await self._standin.webhooks.subscribe(url, token)
        return {"status": status, "token": self._standin.webhooks.token}

    def verify(self, token: str) -> bool:
        return self._standin.webhooks.verify(token)

    def automation(self, url: str, headers: dict[str, str], **more: Any) -> str:
        made = Automation(url, headers, **more)
        self._standin.webhooks.automations.append(made)
        return made.id

    def automations(self) -> dict[str, bool]:
        """Whether each is paused, by its id."""
        return {made.id: made.paused for made in self._standin.webhooks.automations}

    def resume_automation(self, automation_id: str) -> None:
        for made in self._standin.webhooks.automations:
            made.paused = made.paused and made.id != automation_id

    def hold_webhooks(self) -> None:
        self._standin.webhooks.held = True

    def release_webhooks(self, **how: Any) -> int:
        return self._standin.webhooks.release(**how)

    async def settle_webhooks(self) -> list[dict[str, Any]]:
        """Once none is under way: all that were posted, the oldest first."""
        await self._standin.webhooks.settle()
        return self._standin.webhooks.log()
