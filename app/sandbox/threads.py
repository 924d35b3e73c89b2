"""A server of uvicorn in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time

import uvicorn

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ServerThread:
    """Runs from when it is made, which waits for that, until `stop`. listeners: closed at the end.

    Raises RuntimeError when the server doesn't start.
    """

    def __init__(self, server: uvicorn.Server, *listeners: socket.socket, name: str) -> None:
        self._server, self._listeners = server, listeners
        self._thread = threading.Thread(
            target=server.run, args=(list(listeners),), name=name, daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError(f"The server of {name} did not start")
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        for listener in self._listeners:
            listener.close()
