"""A stand-in for n8n, as its documentation and source have it.

Sources: docs.n8n.io, "Webhook node" (test and production addresses; production ones answer once the
workflow is active) and "Enable modules in Code node" (NODE_FUNCTION_ALLOW_BUILTIN); n8n-io/n8n,
packages/nodes-base/nodes/Webhook (with the option `rawBody`, `binary.data.data` has the body in
Base64, and `json` has headers with small letters, params, query and body) and the triggers that
register themselves, such as Calendly's: at activation `checkExists` looks through the list of
subscriptions for one with this address and these events, else `create` registers one and keeps its
id in the node's static data; at deactivation `delete` takes it away.
"""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import playwright

from tests.support.local_server import LocalServer, Reply

NODE = Path(playwright.__file__).parent / "driver" / "node"
"""Node.js, which comes with Playwright."""


@dataclass
class N8n(LocalServer):
    active: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What the webhook nodes of active workflows gave, by path."""
    raw_body: set[str] = field(default_factory=set)

    def activate(self, path: str, *, raw_body: bool = False) -> str:
        """The production address of a webhook node."""
        self.active[path] = []
        self.raw_body |= {path} if raw_body else set()
        return f"{self.url}/webhook/{path}"

    def deactivate(self, path: str) -> None:
        del self.active[path]

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        name = path.removeprefix("/webhook/")
        if name not in self.active:
            message = f'The requested webhook "POST {name}" is not registered.'
            return Reply.json({"code": 404, "message": message}, 404)
        item: dict[str, Any] = {
            "json": {
                "headers": {name.lower(): value for name, value in headers.items()},
                "params": {},
                "query": {},
                "body": orjson.loads(body),
            }
        }
        if name in self.raw_body:
            item["binary"] = {"data": {"data": base64.b64encode(body).decode()}}
        self.active[name].append(item)
        return Reply.json({"message": "Workflow was started"})


@dataclass
class SelfRegistering:
    """A trigger node that subscribes by itself. http: of the service that it subscribes to, with
    its credential."""

    n8n: N8n
    http: httpx.AsyncClient
    path: str
    events: list[str]
    static_data: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.n8n.url}/webhook/{self.path}"

    async def activate(self) -> None:
        self.n8n.activate(self.path)
        if not await self._check_exists():
            await self._create()

    async def deactivate(self) -> bool:
        gone = await self._delete()
        self.n8n.deactivate(self.path)
        return gone

    def crash(self) -> None:
        """The process ends before it has saved its static data."""
        self.static_data.clear()

    async def _check_exists(self) -> bool:
        found = (await self.http.get("/hooks")).raise_for_status().json()
        for one in found["items"]:
            if one["url"] == self.url and sorted(one["events"]) == sorted(self.events):
                self.static_data["hookId"] = one["id"]
                return True
        return False

    async def _create(self) -> None:
        body = {"url": self.url, "events": self.events}
        made = (await self.http.post("/hooks", json=body)).raise_for_status().json()
        self.static_data |= {"hookId": made["id"], "secret": made["secret"]}

    async def _delete(self) -> bool:
        if "hookId" in self.static_data:
            answer = await self.http.delete(f"/hooks/{self.static_data['hookId']}")
            if answer.status_code >= 400:
                return False
            self.static_data.clear()
        return True


class WorkflowStopped(Exception):
    """A node threw."""


def run_code_node(source: str, items: list[dict[str, Any]]) -> Any:
    """What a Code node ("Run Once for All Items", JavaScript) gives for these items. Raises
    WorkflowStopped."""
    program = (
        "const items = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "const $input = {all: () => items, first: () => items[0]};"
        "const helpers = {getBinaryDataBuffer: async (index, name) =>"
        " Buffer.from(items[index].binary[name].data, 'base64')};"
        f"(async function () {{{source}\n}}).call({{helpers}})"
        ".then(found => console.log(JSON.stringify(found)))"
        ".catch(error => {console.error(error.message); process.exit(1);});"
    )
    done = subprocess.run(
        [NODE, "-e", program],
        input=json.dumps(items),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WorkflowStopped(done.stderr)
    return json.loads(done.stdout)
