"""The central system over real loopback sockets."""

from __future__ import annotations

import ssl
from functools import partial
from urllib.parse import quote

import pytest
import trio
import trustme

from simulator.cli.central import LINES_PER_STATION, tell_violation
from simulator.config.ws_options import WebSocketOptions
from simulator.csms import CentralSystem, passwords, run_csms, station_id_of
from simulator.csms.run import standalone
from simulator.csms.violations import ViolationKind
from simulator.ocpp.frames import CallError
from simulator.transport.connection import ConnectionClosed, HandshakeRejected, SubprotocolRefused
from simulator.transport.websocket import Dialer
from tests.csms.mini_station import BOOT, mini_station, sample, start, stop
from tests.fakes.scripted import scripted_central


@pytest.mark.parametrize(
    ("path", "station_id"),
    [
        ("/CS-1", "CS-1"),
        ("/any/prefix/RDAM%20123", "RDAM 123"),
        ("/ocpp/a%2Fb", "a/b"),
        ("/ocpp/CS-1?token=a/b", "CS-1"),
        ("/ocpp/%C3%A9", "é"),
        ("/ocpp/", ""),
    ],
)
def test_the_identity_is_the_last_segment_of_the_path(path: str, station_id: str) -> None:
    assert station_id_of(path) == station_id


async def test_a_session_under_an_identity_that_must_be_encoded(nursery: trio.Nursery) -> None:
    central = CentralSystem()
    url = await nursery.start(partial(central.serve, "127.0.0.1", 0))
    assert url.startswith("ws://127.0.0.1:")
    name = "RDAM 1/ö"
    async with mini_station(url + "steve/", quote(name, safe="")) as station:
        assert central.stations[name].connected
        assert await station.call("Heartbeat", {})
        transaction = (await station.call("StartTransaction", start(meter=100)))["transactionId"]
        await station.call("MeterValues", sample(150, transaction=transaction))
        await station.call("StopTransaction", stop(transaction, meter=2100))
        nursery.start_soon(station.answer_one, {"status": "Accepted"})
        assert await central.stations[name].call("Reset", {"type": "Soft"}) == {"status": "Accepted"}
    assert central.violations == []
    summary = central.summary()
    assert summary["stations"]["accepted"] == 1
    assert summary["received"]["StopTransaction"] == 1
    assert summary["transactions"]["energyWh"] == 2000
    nursery.cancel_scope.cancel()


async def test_when_it_ends_its_stations_are_told_so() -> None:
    central = CentralSystem()
    codes: list[int] = []

    async def stay(url: str, name: str, ready: trio.Event) -> None:
        async with mini_station(url, name) as station:
            ready.set()
            with pytest.raises(ConnectionClosed) as closed:
                await station.receive()
            codes.append(closed.value.code)

    async with trio.open_nursery() as stations, trio.open_nursery() as nursery:
        url = await nursery.start(central.serve)
        for number in range(20):
            ready = trio.Event()
            stations.start_soon(stay, url, f"CS-{number}", ready)
            await ready.wait()
        begun = trio.current_time()
        nursery.cancel_scope.cancel()
    assert codes == [1001] * 20
    assert trio.current_time() - begun < 2
    assert not any(station.connected for station in central.stations.values())


async def test_the_newer_of_two_connections_of_one_station_counts() -> None:
    async with scripted_central() as central:
        url = await central.listen()
        async with mini_station(url) as old, mini_station(url, boot=False) as new:
            with pytest.raises(ConnectionClosed) as closed:
                await old.receive()
            assert closed.value.code == 1000
            known = await central.connected("CS-1", 2)
            assert await new.call("Heartbeat", {})
            assert known.connected
            assert central.violations == []


async def test_other_subprotocols_are_refused(nursery: trio.Nursery) -> None:
    central = CentralSystem()
    url = await nursery.start(central.serve)
    with pytest.raises(SubprotocolRefused):
        async with Dialer().open(url + "CS-1", subprotocols=["ocpp2.0.1"], options=WebSocketOptions()):
            pass
    assert central.stations == {}
    nursery.cancel_scope.cancel()


async def test_a_path_without_identity_is_refused(nursery: trio.Nursery) -> None:
    url = await nursery.start(CentralSystem().serve)
    async with Dialer().open(url, subprotocols=["ocpp1.6"], options=WebSocketOptions()) as connection:
        with pytest.raises(ConnectionClosed) as closed:
            await connection.receive()
        assert closed.value.code == 1008
    nursery.cancel_scope.cancel()


async def test_as_a_program_of_its_own_it_serves_stations_that_booted_elsewhere(nursery: trio.Nursery) -> None:
    url = await nursery.start(partial(run_csms, "127.0.0.1", 0, "Accepted", 7))
    async with mini_station(url, boot=False) as station:
        assert await station.call("Heartbeat", {})
        assert (await station.call("BootNotification", BOOT))["interval"] == 7
    nursery.cancel_scope.cancel()


async def test_what_a_station_began_with_an_earlier_run_of_it_is_no_fault(nursery: trio.Nursery) -> None:
    central = standalone()
    url = await nursery.start(central.serve)
    async with mini_station(url, boot=False) as station:
        await station.call("MeterValues", sample(1, transaction=0))
        await station.call("StopTransaction", stop(0, meter=5))
        assert central.violations == []
        begun = (await station.call("StartTransaction", start(meter=5)))["transactionId"]
        await station.call("StopTransaction", stop(begun, meter=6))
        await station.call("MeterValues", sample(6, connector=2, transaction=begun))
        assert [violation.kind for violation in central.violations] == [ViolationKind.UNKNOWN_TRANSACTION]
    nursery.cancel_scope.cancel()


async def test_a_message_id_that_is_a_number_is_answered(nursery: trio.Nursery) -> None:
    url = await nursery.start(CentralSystem().serve)
    async with mini_station(url) as station:
        station.connection.post('[2,17,"Heartbeat",{}]')
        refusal = await station.receive()
        assert isinstance(refusal, CallError)
        assert (refusal.message_id, refusal.code) == ("17", "FormationViolation")
    nursery.cancel_scope.cancel()


def test_violations_are_told_in_a_line_each_and_only_so_many(capsys: pytest.CaptureFixture[str]) -> None:
    central = standalone()
    central.on_violation = tell_violation
    station = central.station("CS-1")
    for number in range(LINES_PER_STATION + 50):
        central.note(station, ViolationKind.UNKNOWN_ACTION, f"number {number}\n\x1b[2J", action="Foo")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "violation: CS-1: unknown action (Foo): number 0 \ufffd[2J"
    assert len(lines) == LINES_PER_STATION + 1
    assert lines[-1] == "violation: CS-1: what else it does wrong is counted only"
    assert central.summary()["violations"] == {"unknown action": LINES_PER_STATION + 50}


async def test_a_port_in_use_is_an_oserror(nursery: trio.Nursery) -> None:
    url = await nursery.start(CentralSystem().serve)
    port = int(url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ExceptionGroup) as caught:
        async with trio.open_nursery() as other:
            await other.start(CentralSystem().serve, "127.0.0.1", port)
    assert caught.group_contains(OSError)
    nursery.cancel_scope.cancel()


async def test_passwords_and_certificates_are_checked(nursery: trio.Nursery) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    central = CentralSystem()
    check = passwords({"CS-1": "secret", "CS-2": b"\x00\xff"})
    url = await nursery.start(partial(central.serve, "127.0.0.1", 0, ssl_context=context, authorize=check))
    assert url.startswith("wss://127.0.0.1:")
    url = url.replace("127.0.0.1", "localhost")
    options = WebSocketOptions(ca=(authority.cert_pem.bytes().decode(),))
    async with mini_station(url, options=options, basic_auth=("CS-1", "secret")) as station:
        assert await station.call("Heartbeat", {})
    async with mini_station(url, "CS-2", options=options, basic_auth=("CS-2", b"\x00\xff")):
        pass
    for name, credentials, status in [
        ("CS-1", None, 401),
        ("CS-1", ("CS-1", "wrong"), 401),
        ("CS-1", ("CS-2", b"\x00\xff"), 401),
        ("CS-9", ("CS-9", "secret"), 404),
    ]:
        with pytest.raises(HandshakeRejected) as rejected:
            async with mini_station(url, name, options=options, basic_auth=credentials):
                pass
        assert rejected.value.status == status
    nursery.cancel_scope.cancel()
