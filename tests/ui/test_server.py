"""The UI server on real sockets: what it answers, and what it survives."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

import msgspec
import pytest
import trio

from simulator.transport.connection import HandshakeRejected, OpenFailed
from simulator.ui_server import serve
from simulator.ui_server.listeners import CannotListen
from simulator.ui_server.settings import UiSettings
from tests.ui.hostile import MALFORMED, request_frame, upgrade
from tests.ui.house import ANYWHERE, PATIENCE, House, UiServer, exchange, ui_house

LOCKED = msgspec.structs.replace(ANYWHERE, username="admin", password="p:ä")


def basic(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def as_subprotocol(credentials: str) -> str:
    return f"authorization.basic.{base64.b64encode(credentials.encode()).decode().rstrip('=')}"


async def alive(house: House, server: UiServer) -> None:
    """The server serves both ways, and the fleet talks."""
    assert (await server.post("heartbeat", {})).status == 200
    async with server.session() as session:
        assert (await session.ask("heartbeat"))["hashIdsSucceeded"] == house.hash_ids


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def test_http_tells_success_from_failure_by_its_status() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server:
            good = await server.post("heartbeat", {"hashIds": house.hash_ids[:1]})
            assert (good.status, good.json()) == (200, {"status": "success", "hashIdsSucceeded": house.hash_ids[:1]})
            assert good.headers["content-type"] == "application/json"
            bad = await server.post("heartbeat", {"hashIds": []})
            assert (bad.status, bad.json()["status"]) == (400, "failure")
            unknown = await server.post("nothing", {})
            assert (unknown.status, unknown.json()["status"]) == (400, "failure")


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"{}"])
async def test_a_body_may_be_left_out(body: bytes) -> None:
    async with ui_house() as house, house.serving() as server:
        assert (await server.http("POST", "/ui/0.0.1/listTemplates", body)).status == 200


async def test_what_is_no_json_is_answered() -> None:
    async with ui_house() as house, house.serving() as server:
        for body in (b"{", b"\xff\xfe", b"[" * 100_000, b"{'a': 1}"):
            answer = await server.http("POST", "/ui/0.0.1/heartbeat", body)
            assert answer.status == 400
            assert "not JSON" in answer.json()["errorMessage"]


async def test_other_paths_and_methods_are_refused_in_json() -> None:
    async with ui_house() as house, house.serving() as server:
        for method, path, status in (
            ("GET", "/ui/0.0.1/heartbeat", 405),
            ("PUT", "/ui/0.0.1/heartbeat", 405),
            ("POST", "/ui/9.9.9/heartbeat", 404),
            ("POST", "/", 405),
            ("GET", "/nothing.html", 404),
            ("GET", "/../http.py", 404),
            ("GET", "/%2e%2e/http.py", 404),
        ):
            answer = await server.http(method, path)
            assert (answer.status, answer.json()["status"]) == (status, "failure"), (method, path)
        assert (await server.http("POST", "/ui/0.0.1/listTemplates/further/parts?and=more", b"{}")).status == 200


async def test_pages_are_served() -> None:
    async with ui_house() as house, house.serving() as server:
        page = await server.http("GET", "/")
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in page.headers["content-security-policy"]
        again = await server.http("GET", "/", headers={"If-None-Match": page.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        assert (await server.http("GET", "/healthz")).body == b"ok\n"
        metrics = await server.http("GET", "/metrics")
        assert b"simulator_stations" in metrics.body
        document = (await server.http("GET", "/openapi.json")).json()
        assert document["openapi"].startswith("3.1")
        assert "/ui/0.0.1/startTransaction" in document["paths"]


async def test_a_body_that_is_too_large_is_refused() -> None:
    small = msgspec.structs.replace(ANYWHERE, max_message_size=1000)
    async with ui_house() as house, house.serving(small) as server:
        answer = await server.http("POST", "/ui/0.0.1/heartbeat", b" " * 1001)
        assert (answer.status, answer.json()["status"]) == (413, "failure")
        await alive(house, server)


# -- WebSocket ---------------------------------------------------------------------------------------------------------


async def test_requests_are_answered_as_they_are_ready() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session:
            assert session.connection.subprotocol == "ui0.0.1"
            house.central.on("Heartbeat", lambda station, payload: {"currentTime": "2026-01-01T00:00:00Z"})
            assert (await session.ask("heartbeat"))["status"] == "success"
            assert (await session.ask("nothing"))["status"] == "failure"
            assert (await session.ask("heartbeat", [1]))["status"] == "failure"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "{}",
        "[]",
        '["a", "heartbeat", {}]',
        f'["{uuid.UUID(int=1)}", "heartbeat"]',
        f'["{uuid.UUID(int=1)}", 7, {{}}]',
        f'["{uuid.UUID(int=1)}", "heartbeat", {{}}, 1]',
        "[" * 100_000,
    ],
)
async def test_what_is_no_request_ends_the_connection_with_1007(text: str) -> None:
    async with ui_house() as house, house.serving() as server:
        async with server.session() as session:
            session.connection.post(text)
            assert await session.close_code() == 1007
        await alive(house, server)


async def test_a_null_payload_is_an_empty_one() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session:
            identity = str(uuid.uuid4())
            session.connection.post(json.dumps([identity, "heartbeat", None]))
            with trio.fail_after(PATIENCE):
                assert await session.receive() == [identity, {"status": "success", "hashIdsSucceeded": house.hash_ids}]


async def test_a_client_of_another_protocol_is_closed_with_1002() -> None:
    async with ui_house() as house, house.serving() as server:
        async with await server.stream() as stream:
            await stream.send_all(upgrade().replace(b"Sec-WebSocket-Protocol: ui0.0.1\r\n", b""))
            received = b""
            with trio.fail_after(PATIENCE):
                while chunk := await stream.receive_some():
                    received += chunk
            assert received.startswith(b"HTTP/1.1 101")
            assert b"\x03\xea" in received  # 1002
        with pytest.raises(OpenFailed):
            async with server.session("ui9.9.9"):
                pass


async def test_an_identity_that_is_in_use_is_refused() -> None:
    async with ui_house() as house:
        await house.ready()
        release = trio.Event()

        async def wait(station: object, payload: object) -> dict[str, str]:
            await release.wait()
            return {"currentTime": "2026-01-01T00:00:00Z"}

        house.central.on("Heartbeat", wait)
        async with house.serving() as server, server.session() as session:
            request = json.dumps([str(uuid.UUID(int=5)), "heartbeat", {}])
            session.connection.post(request)
            session.connection.post(request)
            answers: list[dict[str, object]] = []
            with trio.fail_after(PATIENCE):
                while len(answers) < 2:
                    message = await session.receive()
                    if len(message) == 2:
                        answers.append(message[1])
                        release.set()
            assert [answer["status"] for answer in answers] == ["failure", "success"]


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    small = msgspec.structs.replace(ANYWHERE, max_message_size=1000)
    async with ui_house() as house, house.serving(small) as server:
        async with server.session() as session:
            session.connection.post(json.dumps([str(uuid.uuid4()), "heartbeat", {"x": "y" * 1000}]))
            assert await session.close_code() == 1009
        await alive(house, server)


# -- hostile clients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locked", [False, True], ids=["open", "locked"])
@pytest.mark.parametrize("opening", list(MALFORMED.values()), ids=list(MALFORMED))
async def test_a_malformed_opening_ends_its_connection_and_nothing_else(opening: bytes, locked: bool) -> None:
    async with ui_house(stations={"keba": 1}) as house, house.serving(LOCKED if locked else ANYWHERE) as server:
        async with await server.stream() as stream:
            try:
                await stream.send_all(opening)
                await stream.send_eof()
                with trio.fail_after(PATIENCE):
                    while await stream.receive_some():
                        pass
            except trio.BrokenResourceError:
                pass
        assert (await server.http("GET", "/healthz")).status == 200


async def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SEND_WITHIN", 0.3)
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, await server.stream() as stream:
            await stream.send_all(upgrade())
            await stream.receive_some()
            # 2,000 answers of 16 kB that nobody takes.
            frame = request_frame("listChargingStations")
            await alive(house, server)
            with trio.move_on_after(PATIENCE) as patience:
                try:
                    for _ in range(2000):
                        await stream.send_all(frame)
                    while True:  # closed for us: writing fails in the end
                        await stream.send_all(frame)
                        await trio.sleep(0.01)
                except trio.BrokenResourceError:
                    pass
            assert not patience.cancelled_caught
            await alive(house, server)


async def test_a_client_that_does_not_read_does_not_hold_up_the_end() -> None:
    async with ui_house() as house:
        await house.ready()
        with trio.fail_after(PATIENCE):
            async with house.serving() as server:
                stream = await server.stream()
                await stream.send_all(upgrade())
                await stream.receive_some()
                frame = request_frame("listChargingStations")
                with trio.move_on_after(0.5):
                    while True:
                        await stream.send_all(frame)
                begun = trio.current_time()
            assert trio.current_time() - begun < serve.GOODBYE_WITHIN + 1.5
            await stream.aclose()


async def test_a_burst_of_requests_is_answered_while_the_fleet_goes_on() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, server.session() as session:
            asked = [str(uuid.UUID(int=number)) for number in range(10_000)]
            page = {"limit": 1, "fields": ["started"]}
            slowest = 0.0

            async def post() -> None:
                for number, identity in enumerate(asked):
                    session.connection.post(json.dumps([identity, "listChargingStations", page]))
                    if number % 50 == 0:
                        await trio.lowlevel.checkpoint()

            async def probe() -> None:
                nonlocal slowest
                while True:
                    begun = trio.current_time()
                    await trio.sleep(0.01)
                    slowest = max(slowest, trio.current_time() - begun)

            answered: set[str] = set()
            with trio.fail_after(40):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(probe)
                    nursery.start_soon(post)
                    while len(answered) < len(asked):
                        message = await session.receive()
                        if len(message) == 2:
                            assert message[1]["status"] == "success"
                            answered.add(message[0])
                    nursery.cancel_scope.cancel()
            assert answered == set(asked)
            assert slowest < 0.5
        await house.call("heartbeat")


async def test_many_requests_on_one_http_connection() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving() as server, await server.stream() as stream:
            with trio.fail_after(30):
                for _ in range(1200):
                    assert (await exchange(stream, "GET", "/healthz")).status == 200


# -- credentials -------------------------------------------------------------------------------------------------------


async def test_without_the_password_nothing_but_health_is_told() -> None:
    async with ui_house() as house, house.serving(LOCKED) as server:
        assert (await server.http("GET", "/healthz")).status == 200
        for path in ("/", "/openapi.json", "/metrics", "/nothing"):
            answer = await server.http("GET", path)
            assert answer.status == 401, path
            assert answer.headers["www-authenticate"].startswith("Basic ")
        assert (await server.post("listTemplates", {})).status == 401
        with pytest.raises(HandshakeRejected) as refused:
            async with server.session():
                pass
        assert refused.value.status == 401


async def test_the_right_password_opens_by_header_and_by_sub_protocol() -> None:
    async with ui_house() as house:
        await house.ready()
        async with house.serving(LOCKED) as server:
            assert (await server.post("heartbeat", {}, basic("admin:p:ä"))).status == 200
            async with server.session(headers=basic("admin:p:ä")) as session:
                assert (await session.ask("heartbeat"))["status"] == "success"
            async with server.session("ui0.0.1", as_subprotocol("admin:p:ä")) as session:
                assert session.connection.subprotocol == "ui0.0.1"
                assert (await session.ask("heartbeat"))["status"] == "success"


async def test_wrong_passwords_are_refused_and_then_not_even_looked_at() -> None:
    async with ui_house() as house, house.serving(LOCKED) as server:
        statuses = [(await server.post("listTemplates", {}, basic(f"admin:{n}"))).status for n in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        late = await server.post("listTemplates", {}, basic("admin:p:ä"))
        assert late.status == 429
        assert 1 <= int(late.headers["retry-after"]) <= 6
        with pytest.raises(HandshakeRejected) as refused:
            async with server.session("ui0.0.1", as_subprotocol("admin:p:ä")):
                pass
        assert refused.value.status == 429


async def test_pages_of_other_sites_are_refused() -> None:
    async with ui_house() as house, house.serving() as server:
        evil = {"Origin": "https://evil.example"}
        assert (await server.post("listTemplates", {}, evil)).status == 403
        with pytest.raises(HandshakeRejected) as refused:
            async with server.session(headers=evil):
                pass
        assert refused.value.status == 403
        async with server.session(headers={"Origin": "http://localhost:5173"}) as session:
            assert (await session.ask("listTemplates"))["status"] == "success"
        assert (await server.http("GET", "/", headers={"Host": "rebound.example"})).status == 403


async def test_cors_is_off_but_for_origins_that_are_allowed() -> None:
    allowed = msgspec.structs.replace(LOCKED, allowed_origins=("https://tool.example",))
    async with ui_house() as house, house.serving(allowed) as server:
        origin = {"Origin": "https://tool.example"}
        preflight = await server.http("OPTIONS", "/ui/0.0.1/heartbeat", headers=origin)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://tool.example"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert (await server.post("listTemplates", {}, origin)).status == 401
        assert (await server.post("listTemplates", {}, {**origin, **basic("admin:p:ä")})).status == 200
        local = await server.post("listTemplates", {}, {"Origin": "http://localhost:1", **basic("admin:p:ä")})
        assert local.status == 200
        assert "access-control-allow-origin" not in local.headers


# -- listening ---------------------------------------------------------------------------------------------------------


async def test_localhost_is_both_loopback_addresses_on_one_port() -> None:
    async with ui_house(stations={"keba": 1}) as house, house.serving(UiSettings(port=0)) as server:
        assert server.urls[0].startswith("http://127.0.0.1:")
        for url in server.urls[1:]:
            assert url == f"http://[::1]:{server.port}"
            async with await trio.open_tcp_stream("::1", server.port) as stream:
                assert (await exchange(stream, "GET", "/healthz")).status == 200


async def test_a_port_that_is_taken_is_one_clear_line() -> None:
    async with ui_house(stations={"keba": 1}) as house, house.serving() as server:
        taken = UiSettings(host="127.0.0.1", port=server.port)
        with pytest.raises(BaseExceptionGroup) as caught:
            async with house.serving(taken):
                pass
        problem = caught.value.exceptions[0]
        assert isinstance(problem, CannotListen)
        assert f"127.0.0.1:{server.port}: the UI server cannot listen here" in str(problem)


async def test_a_unix_socket_serves_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "ui.sock"
    async with ui_house(stations={"keba": 1}) as house:
        async with house.serving(UiSettings(path=str(path))):
            assert path.stat().st_mode & 0o777 == 0o600
            async with await trio.open_unix_socket(path) as stream:
                assert (await exchange(stream, "GET", "/healthz")).status == 200
        assert not path.exists()


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_sessions_are_told_goodbye_and_http_goes_on() -> None:
    async with ui_house() as house, house.serving() as server:
        async with server.session() as session:
            await session.ask("listTemplates")
            house.control.say_goodbye()
            assert await session.close_code() == 1001
        assert (await server.post("listTemplates", {})).status == 200


async def test_a_cancelled_server_closes_its_sessions_with_1001_within_a_moment() -> None:
    async with ui_house() as house, trio.open_nursery() as nursery:
        async with house.serving() as server:
            sessions = [await nursery.start(_hold, server) for _ in range(20)]
            begun = trio.current_time()
        assert trio.current_time() - begun < 1.0
        with trio.fail_after(PATIENCE):
            for codes in sessions:
                assert await codes.receive() == 1001


async def _hold(
    server: UiServer, *, task_status: trio.TaskStatus[trio.MemoryReceiveChannel[int]] = trio.TASK_STATUS_IGNORED
) -> None:
    tell, codes = trio.open_memory_channel[int](1)
    async with server.session() as session:
        await session.ask("listTemplates")
        task_status.started(codes)
        tell.send_nowait(await session.close_code())
