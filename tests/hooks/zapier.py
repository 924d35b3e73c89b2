"""A stand-in for Zapier, as its documentation and the checks of its platform have it.

Sources: docs.zapier.com, "Add a REST Hook trigger" (UI and CLI): the subscribe request is sent
when a Zap is turned on, with `bundle.targetUrl`, an address of that Zap alone; the answer's JSON is
kept as `bundle.subscribeData`, of which unsubscribing takes the `id`; what comes for a Zap that is
off is answered 410. zapier/zapier-platform, packages/core/src/checks: a trigger's results are an
array of objects, each with an `id` that isn't null, unique among them; a request that is answered
400 or higher throws.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from tests.hooks.recipes import filled
from tests.support.local_server import LocalServer, Reply

PERFORM = "return [bundle.cleanedRequest];"
"""The one function that this stand-in can run: what Zapier's editor begins with."""


class ZapError(Exception):
    """What Zapier's editor shows in red."""


@dataclass
class Zapier(LocalServer):
    """definition: of an app, as `zapier push` takes it. http: reaches the app's API."""

    definition: dict[str, Any]
    http: httpx.AsyncClient
    auth: dict[str, str]
    zaps: dict[str, Zap] = field(default_factory=dict)

    async def connect(self) -> None:
        """Somebody adds an account: the test request decides."""
        await self.ask(self.definition["authentication"]["test"], {})

    def zap(self, event: str, trigger: str = "event") -> Zap:
        """A new Zap with this trigger; it is off."""
        path = f"/hooks/standard/{len(self.zaps) + 1}/{secrets.token_hex(16)}/"
        operation = self.definition["triggers"][trigger]["operation"]
        [choices] = [one["choices"] for one in operation["inputFields"] if one["key"] == "event"]
        if event not in choices:
            raise ZapError(f"The dropdown has no {event}")
        self.zaps[path] = made = Zap(self, self.url + path, operation, {"event": event})
        return made

    async def ask(self, request: dict[str, Any], bundle: dict[str, Any]) -> Any:
        """z.request: JSON goes and comes; 400 and above throws."""
        options = filled(request, {"bundle": {"authData": self.auth, **bundle}})
        answer = await self.http.request(
            options["method"],
            options["url"],
            headers={"Accept": "application/json", **options["headers"]},
            json=options.get("body"),
        )
        if answer.status_code >= 400:
            raise ZapError(f"{answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        zap = self.zaps.get(path)
        if zap is None or not zap.is_on:
            return Reply.json({"status": "gone", "reason": "please unsubscribe"}, 410)
        zap.take(body, headers)
        return Reply.json({"status": "success", "id": secrets.token_hex(8), "attempt": "1"})


@dataclass
class Zap:
    """runs: the objects that started it, each once by `id`, as Zapier's perform gave them."""

    zapier: Zapier
    target_url: str
    operation: dict[str, Any]
    inputs: dict[str, str]
    subscribe_data: dict[str, Any] | None = None
    is_on: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def _bundle(self) -> dict[str, Any]:
        return {
            "inputData": self.inputs,
            "targetUrl": self.target_url,
            "subscribeData": self.subscribe_data or {},
        }

    async def turn_on(self) -> None:
        found = await self.zapier.ask(self.operation["performSubscribe"], self._bundle)
        if not isinstance(found, dict) or not found.get("id"):
            raise ZapError("The subscribe request gave no id to unsubscribe with")
        self.subscribe_data, self.is_on = found, True

    async def turn_off(self) -> None:
        self.is_on = False
        await self.zapier.ask(self.operation["performUnsubscribe"], self._bundle)

    def break_off(self) -> None:
        """It is off, and nobody could be told: an outage of the app at that moment."""
        self.is_on = False

    async def samples(self) -> list[dict[str, Any]]:
        """What "Test trigger" shows: performList, by Zapier's own checks."""
        found = await self.zapier.ask(self.operation["performList"], self._bundle)
        check_results(found)
        results: list[dict[str, Any]] = found
        return results

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        if self.operation["perform"] != {"source": PERFORM}:
            raise ZapError("no such perform here")
        if not headers["Content-Type"].startswith("application/json"):
            raise ZapError("only JSON is parsed into bundle.cleanedRequest")
        results = [orjson.loads(body)]
        check_results(results)
        self.runs += results


def check_results(results: Any) -> None:
    """triggerIsArray, triggerIsObject, triggerHasId, triggerHasUniquePrimary."""
    if not isinstance(results, list):
        raise ZapError(f"Results must be an array, got: {type(results).__name__}")
    for one in results:
        if not isinstance(one, dict):
            raise ZapError("Got a non-object result in the array")
        if one.get("id") is None:
            raise ZapError('Got a result missing the "id" property')
        if not isinstance(one["id"], str | int):
            raise ZapError('field "id" must be a primitive')
    if len({one["id"] for one in results}) < len(results):
        raise ZapError("primary key should be unique")
