"""The web application alone, with the framework's test client: no socket, no server."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import trio

from simulator.ui_server.http import build_app
from simulator.ui_server.settings import UiSettings
from simulator.ui_server.srpc import MOST_IN_FLIGHT, Session
from tests.ui.house import PATIENCE, House, ui_house
from ui_protocol.frames import FrameError, parse_request


def app_of(house: House, settings: UiSettings | None = None) -> Any:
    return build_app(settings or UiSettings(), house.control)


async def test_procedures_answer_over_http() -> None:
    async with ui_house() as house:
        await house.ready()
        client = app_of(house).test_client()
        answer = await client.post("/ui/0.0.1/heartbeat", data=b"{}", headers={"Host": "localhost"})
        assert answer.status_code == 200
        assert json.loads(await answer.get_data())["hashIdsSucceeded"] == house.hash_ids
        assert answer.headers["Cache-Control"] == "no-store"


async def test_a_session_answers_over_a_websocket() -> None:
    async with ui_house() as house:
        await house.ready()
        client = app_of(house).test_client()
        identity = str(uuid.uuid4())
        scope = {"subprotocols": ["ui0.0.1"]}
        async with client.websocket("/any/path", headers={"Host": "localhost"}, scope_base=scope) as socket:
            await socket.send(json.dumps([identity, "heartbeat", {}]))
            with trio.fail_after(PATIENCE):
                while (message := json.loads(await socket.receive()))[0] != identity:
                    pass
            assert message[1]["status"] == "success"


async def test_metrics_can_be_switched_off() -> None:
    async with ui_house(stations={"keba": 1}) as house:
        client = app_of(house, UiSettings(metrics=False)).test_client()
        assert (await client.get("/metrics", headers={"Host": "localhost"})).status_code == 404


async def test_strict_transport_security_is_sent_only_over_tls() -> None:
    async with ui_house(stations={"keba": 1}) as house:
        client = app_of(house, UiSettings(strict_transport_security="max-age=1")).test_client()
        plain = await client.get("/healthz", headers={"Host": "localhost"})
        assert "Strict-Transport-Security" not in plain.headers
        secure = await client.get("/healthz", headers={"Host": "localhost"}, scheme="https")
        assert secure.headers["Strict-Transport-Security"] == "max-age=1"


class FakeSocket:
    """A WebSocket whose two ends are lists."""

    def __init__(self) -> None:
        self.put, self._messages = trio.open_memory_channel[str](1000)
        self.sent: list[str] = []
        self.closed: tuple[int, str | None] | None = None

    async def receive(self) -> str:
        return await self._messages.receive()

    async def send(self, data: str) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(data)

    async def close(self, code: int, reason: str | None = None) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = (code, reason)


async def test_a_crash_closes_the_session_with_1011_and_tells_no_details(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ui_house(stations={"keba": 1}) as house:
        socket = FakeSocket()

        async def crash(*_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(house.control, "call", crash)
        socket.put.send_nowait(json.dumps([str(uuid.uuid4()), "heartbeat", {}]))
        with trio.fail_after(PATIENCE):
            await Session(socket, house.control, trio.Event()).run()
        assert socket.closed == (1011, "internal error")
        assert socket.sent == []


async def test_a_client_has_only_so_many_requests_under_way() -> None:
    async with ui_house() as house, trio.open_nursery() as nursery:
        socket = FakeSocket()
        running = most = 0
        release = trio.Event()

        async def call(*_: object) -> dict[str, str]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1
            return {"status": "success"}

        house.control.call = call  # type: ignore[assignment, method-assign]
        for number in range(200):
            socket.put.send_nowait(json.dumps([str(uuid.UUID(int=number)), "heartbeat", {}]))
        nursery.start_soon(Session(socket, house.control, trio.Event()).run)
        await trio.testing.wait_all_tasks_blocked()
        assert most == MOST_IN_FLIGHT
        release.set()
        await trio.testing.wait_all_tasks_blocked()
        assert len([text for text in socket.sent if "success" in text]) == 200
        nursery.cancel_scope.cancel()


async def test_an_error_in_a_procedure_is_answered_without_its_details(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ui_house() as house:
        await house.ready()

        def crash(*_: object) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(house.control.snapshots, "station", crash)
        answer = await house.call("listChargingStations")
        assert answer["status"] == "failure"
        assert answer["errorMessage"] == "internal error, see the log"


@pytest.mark.parametrize("identity", ["", "x", "12345678-1234-1234-1234-12345678901", 7, None])
def test_what_has_no_uuid_is_no_request(identity: object) -> None:
    with pytest.raises(FrameError):
        parse_request(json.dumps([identity, "heartbeat", {}]))
