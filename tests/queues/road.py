"""A process whose way to the broker can be cut and go silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.running.loops import Loops
from tests.queues.desk import RabbitDesk, a_request
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import eventually


class Road:
    """Messages are taken in a loop."""

    def __init__(self, desk: RabbitDesk, network: TcpProxy, loops: Loops) -> None:
        self.desk, self.network, self.loops = desk, network, loops
        self._taken = 0

    async def one_more(self) -> None:
        """A message that is written now starts its mailout."""
        key = f"after {self._taken}"
        await self.desk.put(a_request(await self.desk.arrange.mailout(), key))
        self._taken += 1
        await eventually(self.taken, until=lambda count: count == self._taken)

    async def taken(self) -> int:
        return round(self.desk.fates("rabbitmq")["done"])

    async def troubles(self) -> list[str]:
        return [trouble.detail for trouble in self.loops.troubles]


@asynccontextmanager
async def a_road(desk: RabbitDesk) -> AsyncIterator[Road]:
    await desk.arrange.subscribers(1)
    await desk.made()
    await desk.taker.close(0)
    async with TcpProxy(desk.rabbit.port) as network, Loops() as loops:
        desk.open(desk.link(port=network.port))
        desk.taker.start(loops)
        road = Road(desk, network, loops)
        await road.one_more()
        yield road
        desk.taker.stop()
