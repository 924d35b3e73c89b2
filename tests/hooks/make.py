"""A stand-in for Make, as its documentation has it.

Sources: developers.make.com, "Webhooks", "Dedicated: attached" (the attach and detach procedures
are requests as other remote procedures are; `response.data` of attach is kept and is `webhook` in
detach), "RPCs", "Base" (what every request begins with); help.make.com, "Webhooks" (queue,
answers), "Fix general errors" and what users report: a webhook whose scenario is off answers 410,
"There is no scenario listening for this webhook."; "String functions": `sha256(text; encoding; key;
key encoding)` gives the HMAC.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from tests.hooks.recipes import filled
from tests.support.local_server import LocalServer, Reply


class ModuleError(Exception):
    """What a scenario's log shows."""


@dataclass
class Make(LocalServer):
    """base, attach, detach, samples: the JSON of a custom app. http: reaches the app's API."""

    base: dict[str, Any]
    attach: dict[str, Any]
    detach: dict[str, Any]
    samples: dict[str, Any]
    http: httpx.AsyncClient
    connection: dict[str, str]
    hooks: dict[str, Webhook] = field(default_factory=dict)

    async def add_webhook(self, event: str) -> Webhook:
        """Somebody opens the instant trigger and creates a webhook: it is attached at once."""
        path = f"/{secrets.token_hex(16)}"
        made = Webhook(self, self.url + path, {"event": event})
        values = {"webhook": {"url": made.url}, "parameters": made.parameters}
        body = await self.ask(self.attach, values)
        made.data = filled(self.attach["response"]["data"], {"body": body})
        self.hooks[path] = made
        return made

    async def custom_webhook(self) -> Webhook:
        """Of Make's own module "Custom webhook": somebody pastes its address elsewhere."""
        path = f"/{secrets.token_hex(16)}"
        self.hooks[path] = made = Webhook(self, self.url + path, {})
        return made

    async def ask(self, call: dict[str, Any], values: dict[str, Any]) -> Any:
        known = {"connection": self.connection, **values}
        request = {name: part for name, part in {**self.base, **call}.items() if name != "response"}
        options = filled(request, known)
        answer = await self.http.request(
            options["method"],
            options["baseUrl"] + options["url"],
            headers=options["headers"],
            json=options.get("body"),
        )
        if answer.status_code >= 400:
            message = self.base["response"]["error"]["message"]
            raise ModuleError(filled(message, {"body": answer.json()}))
        return answer.json() if answer.content else None

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        hook = self.hooks.get(path)
        if hook is None or not hook.scenario_is_on:
            return Reply(410, b"There is no scenario listening for this webhook.")
        hook.queue.append((body, {name.lower(): value for name, value in headers.items()}))
        return Reply(200, b"Accepted")


@dataclass
class Webhook:
    """queue: what came, as it came."""

    make: Make
    url: str
    parameters: dict[str, str]
    data: dict[str, Any] = field(default_factory=dict)
    scenario_is_on: bool = True
    queue: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def delete(self) -> None:
        await self.make.ask(self.make.detach, {"webhook": self.data, "parameters": self.parameters})
        self.make.hooks = {path: one for path, one in self.make.hooks.items() if one is not self}

    async def samples(self) -> list[dict[str, Any]]:
        """The bundles that the module's "samples" procedure gives."""
        found = await self.make.ask(self.make.samples, {"parameters": self.parameters})
        if not isinstance(found, list):
            raise ModuleError("iterate: {{body}} is not an array")
        return found

    def bundles(self) -> list[dict[str, Any]]:
        """What the next modules can map."""
        return [orjson.loads(body) for body, _ in self.queue]


def sha256(text: str, encoding: str = "hex", key: str = "", key_encoding: str = "text") -> str:
    """Make's function of this name."""
    read: dict[str, Callable[[str], bytes]] = {
        "text": str.encode,
        "hex": bytes.fromhex,
        "base64": base64.b64decode,
    }
    raw = read[key_encoding](key)
    digest = hmac.new(raw, text.encode(), hashlib.sha256).digest()
    return {"hex": digest.hex(), "base64": base64.b64encode(digest).decode()}[encoding]
