"""A hand-written charge point of one page: it says what a test tells it and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.ocpp.frames import Call, CallError, CallResult, encode_call, encode_result, parse_frame
from simulator.transport.connection import Connection
from simulator.transport.websocket import Dialer

BOOT = {"chargePointVendor": "Acme", "chargePointModel": "One"}
TIME = "2026-11-22T10:00:00Z"

_ids = count(1)


def start(connector: int = 1, *, tag: str = "TAG", meter: int = 0, at: str = TIME) -> dict[str, Any]:
    """A StartTransaction."""
    return {"connectorId": connector, "idTag": tag, "meterStart": meter, "timestamp": at}


def stop(transaction: int, *, meter: int = 0, at: str = TIME, **more: Any) -> dict[str, Any]:
    """A StopTransaction."""
    return {"transactionId": transaction, "meterStop": meter, "timestamp": at, **more}


def sample(value: float, *, connector: int = 1, transaction: int | None = None, at: str = TIME) -> dict[str, Any]:
    """MeterValues with one reading of the import register."""
    message: dict[str, Any] = {
        "connectorId": connector,
        "meterValue": [{"timestamp": at, "sampledValue": [{"value": str(value)}]}],
    }
    return message if transaction is None else {**message, "transactionId": transaction}


def status(name: str, connector: int = 1) -> dict[str, Any]:
    """A StatusNotification."""
    return {"connectorId": connector, "errorCode": "NoError", "status": name}


class MiniStation:
    """The station's end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def receive(self) -> Call | CallResult | CallError:
        """The next message, which must be readable."""
        frame = parse_frame(await self.connection.receive())
        assert isinstance(frame, Call | CallResult | CallError), frame
        return frame

    def send(self, action: str, payload: Any) -> str:
        """Send a CALL without waiting; returns its id."""
        message_id = f"m-{next(_ids)}"
        self.connection.post(encode_call(message_id, action, payload))
        return message_id

    async def ask(self, action: str, payload: Any) -> CallResult | CallError:
        """Send a CALL and return its answer, whatever it is."""
        message_id = self.send(action, payload)
        answer = await self.receive()
        assert isinstance(answer, CallResult | CallError)
        assert answer.message_id == message_id
        return answer

    async def call(self, action: str, payload: Any) -> Any:
        """Send a CALL and return the payload of its CALLRESULT."""
        answer = await self.ask(action, payload)
        assert isinstance(answer, CallResult), answer
        return answer.payload

    async def refused(self, action: str, payload: Any) -> str:
        """Send a CALL and return the code of its CALLERROR."""
        answer = await self.ask(action, payload)
        assert isinstance(answer, CallError), answer
        return answer.code

    async def settle(self) -> None:
        """Return when the central system has taken everything that was sent before."""
        await self.connection.ping(5)

    async def answer_one(self, payload: Any) -> None:
        """Answer the next CALL of the central system."""
        call = await self.receive()
        assert isinstance(call, Call)
        self.connection.post(encode_result(call.message_id, payload))


@asynccontextmanager
async def mini_station(
    url: str,
    station_id: str = "CS-1",
    *,
    open_stream: Callable[[str, int], Any] | None = None,
    boot: bool = True,
    **options: Any,
) -> AsyncIterator[MiniStation]:
    """A station that is connected, and accepted if ``boot``."""
    dialer = Dialer(open_stream=open_stream)
    options.setdefault("options", WebSocketOptions())
    async with dialer.open(url + station_id, subprotocols=["ocpp1.6"], **options) as connection:
        station = MiniStation(connection)
        if boot:
            assert (await station.call("BootNotification", BOOT))["status"] == "Accepted"
        yield station
        await trio.lowlevel.checkpoint()
