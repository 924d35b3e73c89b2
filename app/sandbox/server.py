"""A sandbox on a free port for tests, the demo and benchmarks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

from app.sandbox.config import SandboxConfig
from app.sandbox.main import listen, local_url, server_for
from app.sandbox.threads import STOP_SECONDS, ServerThread


class Remote:
    """One region's sandbox, wherever it runs, by its control API.

    `url` is its address and `control` an HTTP client for it.
    """

    url: str
    control: httpx.Client

    def reach(self, url: str) -> None:
        """Talk to the one at `url` from now on."""
        self.url = url
        self.control = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def stats(self) -> dict[str, Any]:
        """`GET /sandbox/stats`."""
        return self._json("GET", "/sandbox/stats")

    def mails(self, to: str = "", limit: int = 1000) -> list[dict[str, Any]]:
        """The newest mails whose address contains `to`, newest first."""
        query = httpx.QueryParams(to=to, limit=limit)
        mails: list[dict[str, Any]] = self._json("GET", f"/sandbox/mails?{query}")["mails"]
        return mails

    def mail(self, message_id: str) -> dict[str, Any]:
        """One mail with its parts, headers, events and raw source."""
        return self._json("GET", f"/sandbox/mails/{message_id}")

    def accepted(self) -> list[dict[str, Any]]:
        """The accept log of all regions and providers: one item for every accepted recipient."""
        body = self.control.get("/sandbox/accepted").raise_for_status().content
        return [orjson.loads(line) for line in body.splitlines()]

    def faults(self, **plan: Any) -> None:
        """Let calls fail as `plan` says from now on; without arguments no call fails."""
        self._json("PUT", "/sandbox/faults", plan)

    def account(self, **change: Any) -> None:
        """Change rate, quota or status (`PUT /sandbox/account`)."""
        self._json("PUT", "/sandbox/account", change)

    def configuration_set(self, name: str, **change: Any) -> None:
        """Change a set and its event destination (`PUT /sandbox/configuration-sets/{name}`)."""
        self._json("PUT", f"/sandbox/configuration-sets/{name}", change)

    def standing(self, **told: Any) -> None:
        """What SES says of the sender's standing from now on (`PUT /sandbox/standing`)."""
        self._json("PUT", "/sandbox/standing", told)

    def reset(self) -> None:
        self._json("POST", "/sandbox/reset")

    def _json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = self.control.request(method, path, json=body)
        if response.is_error:
            raise RuntimeError(f"{method} {path}: {response.text}")
        answer: dict[str, Any] = response.json()
        return answer


class SandboxServer(Remote):
    """A context manager: a running sandbox, in a thread or (`process=True`) a process.

    Inside, it is the Remote of the home region; `regions` has the further ones by name.
    Raises RuntimeError when it doesn't start.
    """

    def __init__(self, config: SandboxConfig | None = None, *, process: bool = False) -> None:
        self.config = config or SandboxConfig()
        self.regions: dict[str, Remote] = {}
        self._in_process = process
        self._process: subprocess.Popen[str] | None = None
        self._running: ServerThread | None = None

    def __enter__(self) -> Self:
        url, *urls = self._start_process() if self._in_process else self._start_thread()
        self.reach(url)
        for name, each in zip(self.config.regions, urls, strict=True):
            self.regions[name] = Remote()
            self.regions[name].reach(each)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for remote in (self, *self.regions.values()):
            remote.control.close()
        if self._process:
            self._stop_process(self._process)
        if self._running:
            self._running.stop()

    # Starting and stopping

    def _start_thread(self) -> list[str]:
        listeners = [listen("127.0.0.1", 0) for _ in range(1 + len(self.config.regions))]
        server = server_for(listeners, self.config)
        self._running = ServerThread(server, *listeners, name="the sandbox")
        return [local_url(listener) for listener in listeners]

    def _start_process(self) -> list[str]:
        """The child finds its ports and tells them in its ready lines, the home region's last."""
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "app.sandbox", "127.0.0.1", "0", self.config.to_json()],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert self._process.stdout is not None
        urls: list[str] = []
        for name in (*self.config.regions, "sandbox"):
            line = self._process.stdout.readline()  # ends when the child does
            if not line.startswith(f"{name} ready on "):
                self._stop_process(self._process)
                raise RuntimeError("The sandbox did not start")
            urls.append(line.removeprefix(f"{name} ready on ").strip())
        return [urls[-1], *urls[:-1]]

    def _stop_process(self, process: subprocess.Popen[str]) -> None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
