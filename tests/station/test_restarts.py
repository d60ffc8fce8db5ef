"""What outlives the process: transactions that it was killed in, messages that were not delivered, and the memory."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from simulator.app import JOURNAL_KINDS
from simulator.config.model import SimulatorConfig
from simulator.control.fleet import Fleet
from simulator.control.pacing import Pace
from simulator.events import TransactionStopped
from simulator.ids import MessageIds
from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.v16.enums import Reason
from simulator.ocpp.validation import PayloadValidator
from simulator.station import transaction_book
from simulator.station.memory_parts import kept_info
from simulator.station.services import StationServices
from simulator.station.station import station_random
from simulator.storage.state import State
from simulator.storage.station_files import StationFiles
from simulator.templates.identity import hash_ids, other_hash_ids
from simulator.templates.info import resolve_station
from simulator.templates.load import build_template
from simulator.timestamps import parse_timestamp
from simulator.transport.websocket import Dialer
from tests.fakes.script import refuse, withhold
from tests.fakes.transfers import FakeTransfers
from tests.station.harness import World, document, station_world

SAMPLES = {"MeterValueSampleInterval": 60}
#: The register that messages show is the one of the connector's whole life.
LIFETIME = {"meteringPerTransaction": False}


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a thread works nobody else has anything to do, and virtual time would jump."""

    async def run_here(call: Callable[[], Any]) -> Any:
        return call()

    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)


@asynccontextmanager
async def central(**options: Any) -> AsyncIterator[World]:
    """A world without stations: processes bring them."""
    async with station_world(stations=0, start=False, **options) as world:
        yield world


@asynccontextmanager
async def process(
    world: World,
    folder: Path,
    *,
    template: Mapping[str, Any] | None = None,
    keys: Mapping[str, Any] | None = None,
    in_order: bool = False,
    seed: int = 1,
    prepare: Callable[[StationFiles, str], None] = lambda files, hash_id: None,
    **others: Any,
) -> AsyncIterator[None]:
    """A process with the station CS-1 and its state in ``folder``; at the end of the block it is killed.

    :param in_order: it is stopped instead.
    :param prepare: called before the station is made.
    :param others: other members of the :class:`StationServices`.
    """
    state = State(folder, JOURNAL_KINDS)
    await state.read()
    state.journal.open(world.clock.now)
    services = StationServices(
        clock=world.clock,
        bus=world.bus,
        dialer=Dialer(open_stream=world.central.memory_dialer()),
        validator=PayloadValidator(),
        message_ids=MessageIds(),
        seed=seed,
        journal=state.journal,
        store=state.files,
        **others,
    )
    loaded = build_template(
        document({**LIFETIME, **(template or {})}, {**SAMPLES, **(keys or {})}), Path("test.station-template.json")
    )
    world.fleet = Fleet(services, SimulatorConfig(), Pace())
    prepare(state.files, "hash-1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(state.files.run)
        info = resolve_station(
            loaded,
            1,
            station_id="CS-1",
            hash_id="hash-1",
            rng=station_random(seed, "info"),
            fallback_supervision_urls=(world.central.MEMORY_URL,),
            kept=kept_info(services.store, loaded.template, "hash-1"),
        )
        world.fleet.add(info, info.supervision_urls[0])
        await nursery.start(world.fleet.run)
        yield
        if in_order:
            await world.fleet.stop()
        nursery.cancel_scope.cancel()
    if in_order:
        await state.files.finish(60)
    state.journal.close()


async def online(world: World, boots: int) -> None:
    """Wait until the station has booted so many times in all, and said what it had to say."""
    await world.wait_for("BootNotification", boots, timeout=400)
    await world.sleep(1)


def moment(text: str) -> float:
    return parse_timestamp(text)[0]


def context_of(message: Mapping[str, Any]) -> str | None:
    context: str | None = message["meterValue"][0]["sampledValue"][0].get("context")
    return context


# -- transactions ------------------------------------------------------------------------------------------------------


async def test_a_transaction_that_the_process_died_in_is_stopped_with_the_last_that_is_known(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path):
            await online(world, 1)
            transaction = await world.charge()
            await world.sleep(150)
            last = world.sent("MeterValues")[-1]["meterValue"][0]
        await world.sleep(1000)
        async with process(world, tmp_path):
            await online(world, 2)
            (stop,) = world.sent("StopTransaction")
            assert stop["reason"] == "PowerLoss"
            assert "idTag" not in stop
            assert stop["transactionId"] == transaction.transaction_id
            assert stop["timestamp"] == last["timestamp"]
            assert stop["meterStop"] == int(last["sampledValue"][0]["value"]) > 0
            boot, *statuses, last_action = world.actions()[-5:]
            assert (boot, last_action) == ("BootNotification", "StopTransaction")
            assert statuses == ["StatusNotification"] * 3  # first the present, then the past (§4.2)
            (stopped,) = world.happened(TransactionStopped)
            assert stopped.energy == stop["meterStop"] - transaction.meter_start
            again = await world.charge()
            assert again.meter_start == stop["meterStop"]  # registers never run backwards
        async with process(world, tmp_path):
            await online(world, 3)
            assert len(world.sent("StopTransaction")) == 2  # the first is not stopped again
        assert [t.reason for t in world.transactions()] == ["PowerLoss", "PowerLoss"]


@pytest.mark.parametrize("lifetime", [True, False])
async def test_a_transaction_that_the_process_died_in_goes_on_where_the_template_says_so(
    tmp_path: Path, lifetime: bool
) -> None:
    template = {"resumeTransactions": True, "meteringPerTransaction": not lifetime}
    async with central() as world:
        async with process(world, tmp_path, template=template):
            await online(world, 1)
            transaction = await world.charge()
            await world.sleep(150)
        before = len(world.sent("MeterValues"))
        await world.sleep(1000)
        async with process(world, tmp_path, template=template, in_order=True):
            await online(world, 2)
            assert world.statuses(1)[-1] == "Charging"
            await world.sleep(150)
            assert world.sent("StopTransaction") == []
            samples = world.sent("MeterValues")
            assert len(samples) >= before + 2
            assert {sample["transactionId"] for sample in samples} == {transaction.transaction_id}
            shown = [int(sample["meterValue"][0]["sampledValue"][0]["value"]) for sample in samples]
            assert shown == sorted(shown)
            assert shown[-1] > shown[before - 1]
            assert (
                await world.status_of("RemoteStopTransaction", transactionId=transaction.transaction_id) == "Accepted"
            )
            await world.wait_for("StopTransaction")
            again = await world.charge(2)
            await world.stop_charging(again)
        stop = world.sent("StopTransaction")[0]
        assert (stop["reason"], stop["transactionId"]) == ("Remote", transaction.transaction_id)
        assert stop["meterStop"] >= shown[-1]
        async with process(world, tmp_path, template=template):
            await online(world, 3)
            assert len(world.sent("StopTransaction")) == 2  # nothing is left to do


async def test_the_generator_ends_what_it_began_in_an_earlier_process(tmp_path: Path) -> None:
    section = {
        "enable": True,
        "minDuration": 300,
        "maxDuration": 300,
        "minDelayBetweenTwoTransactions": 10,
        "maxDelayBetweenTwoTransactions": 10,
    }
    template = {"resumeTransactions": True, "AutomaticTransactionGenerator": section}
    async with central() as world:
        async with process(world, tmp_path, template=template):
            await online(world, 1)
            await world.wait_for("StartTransaction", 2, timeout=400)
            await world.sleep(100)
        async with process(world, tmp_path, template=template):
            await online(world, 2)
            await world.wait_for("StopTransaction", 2, timeout=1000)
            await world.wait_for("StartTransaction", 4, timeout=1000)
        assert [payload["reason"] for payload in world.sent("StopTransaction")] == ["Local", "Local"]


@pytest.mark.parametrize("per_transaction", [True, False])
async def test_every_account_agrees_over_a_death_and_an_ordered_end(tmp_path: Path, per_transaction: bool) -> None:
    template = {
        "meteringPerTransaction": per_transaction,
        "beginEndMeterValues": True,
        "transactionDataMeterValues": True,
    }
    keys = {"StopTxnSampledData": "Energy.Active.Import.Register"}
    async with central() as world:
        for boots, in_order in enumerate([False, True, False], 1):
            async with process(world, tmp_path, template=template, keys=keys, in_order=in_order):
                await online(world, boots)
                await world.charge()
                await world.sleep(150)
        async with process(world, tmp_path, template=template, keys=keys):
            await online(world, 4)
        told: dict[int, list[int]] = {}
        for payload in world.sent("MeterValues"):
            for value in payload["meterValue"]:
                told.setdefault(payload["transactionId"], []).append(int(value["sampledValue"][0]["value"]))
        transactions = world.transactions()
        assert [transaction.reason for transaction in transactions] == ["PowerLoss", "Local", "PowerLoss"]
        register = 0
        for transaction, stop in zip(transactions, world.sent("StopTransaction"), strict=True):
            inside = [int(value["sampledValue"][0]["value"]) for value in stop["transactionData"]]
            assert inside == told[transaction.transaction_id] == sorted(inside)
            assert [inside[0], inside[-1]] == [transaction.meter_start, transaction.meter_stop]
            assert transaction.energy > 100
            assert transaction.meter_start == (0 if per_transaction else register)
            register = inside[-1]


async def test_a_transaction_without_a_sample_ends_where_it_began(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path):
            await online(world, 1)
            transaction = await world.charge()
            await world.sleep(30)
        async with process(world, tmp_path):
            await online(world, 2)
            (stop,) = world.sent("StopTransaction")
            assert stop["timestamp"] == transaction.started_at
            assert stop["meterStop"] == transaction.meter_start


@pytest.mark.parametrize("interval", [0, 900])
async def test_without_samples_a_death_costs_a_minute_of_energy(tmp_path: Path, interval: int) -> None:
    keys = {"MeterValueSampleInterval": interval}
    async with central() as world:
        async with process(world, tmp_path, keys=keys):
            await online(world, 1)
            began = world.clock.now()
            transaction = await world.charge()
            await world.sleep(830)
            world.station.settle_energy()
            meter = world.connector().meter
            assert meter is not None
            at_death = meter.lifetime_wh
            assert world.sent("MeterValues") == []
        async with process(world, tmp_path, keys=keys):
            await online(world, 2)
            (stop,) = world.sent("StopTransaction")
            assert moment(stop["timestamp"]) == pytest.approx(began + 780, abs=2)
            share = (stop["meterStop"] - transaction.meter_start) / (at_death - transaction.meter_start)
            assert share == pytest.approx(780 / 830, rel=0.1)


async def test_readings_that_were_left_out_stay_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody fetches them for hours: the queue keeps its bound, the transaction its ends, and the journal agrees."""
    monkeypatch.setattr(transaction_book, "READINGS_WAITING", 20)
    async with central() as world:
        async with process(world, tmp_path):
            await online(world, 1)
            world.go_offline()
            world.station.sessions.begin(world.connector(1), "ONE")
            world.station.sessions.begin(world.connector(2), "TWO")
            for _ in range(4):
                await world.sleep(15 * 60)
                assert world.station.lane.queued_transaction_messages <= 22
            world.station.sessions.end(world.station.sessions.running()[0], Reason.LOCAL)
            queued = [(message.action, message.transaction) for message in world.station.lane.transaction_messages()]
        world.central.network.restore()
        async with process(world, tmp_path):
            await online(world, 2)
            actions = [call.action for call in world.calls() if call.action in {name for name, _ in queued}]
            assert actions == [*(name for name, _ in queued), "StopTransaction"]
            one, two = world.transactions()
            for transaction in (one, two):
                times = [
                    moment(sent["meterValue"][0]["timestamp"])
                    for sent in world.sent("MeterValues")
                    if sent["transactionId"] == transaction.transaction_id
                ]
                began = moment(transaction.started_at)
                assert times == sorted(times)
                assert times[0] == pytest.approx(began + 60, abs=1)
                assert times[-1] == pytest.approx(began + 3600, abs=1)
                assert 4 <= transaction.meter_values < 20
            assert (one.reason, two.reason) == ("Local", "PowerLoss")
            assert one.energy > 0
            assert world.station.lane.queued_transaction_messages == 0
    assert caplog.text.count("every second one between the first and the last") == 1


async def test_what_was_queued_offline_is_delivered_by_the_next_process_in_its_order(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path, template={"AutomaticTransactionGenerator": None}):
            await online(world, 1)
            world.go_offline()
            world.station.sessions.begin(world.connector(1), "ONE")
            await world.sleep(130)
            world.station.sessions.begin(world.connector(2), "TWO")
            await world.sleep(30)
            world.station.sessions.end(world.station.sessions.running()[0], Reason.LOCAL)
            await world.sleep(60)
            assert world.sent("StartTransaction") == []
        world.central.network.restore()
        async with process(world, tmp_path):
            await online(world, 2)
            told = [call for call in world.calls() if call.action in {"StartTransaction", "MeterValues"}]
            assert [call.action for call in told] == [
                "StartTransaction",
                "MeterValues",
                "MeterValues",
                "StartTransaction",
                "MeterValues",
            ]
            one, two = world.transactions()
            assert (one.id_tag, one.reason, two.id_tag, two.reason) == ("ONE", "Local", "TWO", "PowerLoss")
            assert moment(one.started_at) < moment(two.started_at) < moment(one.stopped_at or "")
            assert one.meter_values == 2
            assert two.meter_values == 1
            assert one.energy > 0
            assert world.station.lane.queued_transaction_messages == 0


async def test_a_message_under_way_at_the_death_is_repeated_with_the_same_content(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path):
            await online(world, 1)
            world.central.on("StartTransaction", withhold(), times=1)
            assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="TAG") == "Accepted"
            await world.sleep(10)
        async with process(world, tmp_path):
            await online(world, 2)
            first, second = world.sent("StartTransaction")
            assert first == second
            (transaction,) = world.transactions()
            assert transaction.reason == "PowerLoss"


async def test_a_start_that_was_given_up_stays_so(tmp_path: Path) -> None:
    async with central(faults=True) as world:
        async with process(world, tmp_path, keys={"TransactionMessageAttempts": 1}):
            await online(world, 1)
            world.central.on("StartTransaction", refuse(ErrorCode.INTERNAL_ERROR), times=1)
            assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="TAG") == "Accepted"
            await world.sleep(70)
            assert world.sent("MeterValues")[-1]["transactionId"] == -1
        async with process(world, tmp_path):
            await online(world, 2)
            assert len(world.sent("StartTransaction")) == 1
            assert world.sent("StopTransaction")[0]["transactionId"] == -1


async def test_readings_for_the_stop_survive_the_death(tmp_path: Path) -> None:
    keys, template = {"StopTxnSampledData": "Energy.Active.Import.Register"}, {"beginEndMeterValues": True}
    async with central() as world:
        async with process(world, tmp_path, keys=keys, template=template):
            await online(world, 1)
            await world.charge()
            await world.sleep(130)
        async with process(world, tmp_path, keys=keys, template=template):
            await online(world, 2)
            (stop,) = world.sent("StopTransaction")
            contexts = [value["sampledValue"][0].get("context") for value in stop["transactionData"]]
            assert contexts[0] == "Transaction.Begin"
            assert contexts[-1] == "Transaction.End"
            assert len(contexts) == 4
            assert [context_of(sent) for sent in world.sent("MeterValues")] == [contexts[0], None, None, contexts[-1]]


async def test_readings_that_follow_the_stop_find_their_transaction_in_the_next_process(tmp_path: Path) -> None:
    template = {"beginEndMeterValues": True, "outOfOrderEndMeterValues": True, "ocppStrictCompliance": False}
    async with central(faults=True) as world:
        async with process(world, tmp_path, template=template):
            await online(world, 1)
            transaction = await world.charge()
            held = withhold()
            world.central.on("MeterValues", held)
            await world.call("RemoteStopTransaction", transactionId=transaction.transaction_id)
            await world.sleep(5)
            assert world.actions()[-1] == "MeterValues"
        world.central.on("MeterValues", {})
        async with process(world, tmp_path, template=template):
            await online(world, 2)
            ends = [sent for sent in world.sent("MeterValues") if context_of(sent) == "Transaction.End"]
            assert ends[0] == ends[1]
            assert ends[1]["transactionId"] == transaction.transaction_id
            assert len(world.sent("StopTransaction")) == 1


async def test_an_ordered_end_leaves_nothing_to_do(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path, in_order=True):
            await online(world, 1)
            await world.charge()
            await world.sleep(70)
        stops = world.sent("StopTransaction")
        assert [stop["reason"] for stop in stops] == ["Local"]
        async with process(world, tmp_path):
            await online(world, 2)
            assert world.sent("StopTransaction") == stops
            again = await world.charge()
            assert again.meter_start == stops[0]["meterStop"]


async def test_damage_where_the_end_may_have_been_stops_nothing_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with central() as world:
        async with process(world, tmp_path):
            await online(world, 1)
            transaction = await world.charge()
            await world.stop_charging(transaction)
        (file,) = (tmp_path / "journal").iterdir()
        lines = file.read_bytes().splitlines(keepends=True)
        damaged = [line.replace(b"St", b"**") if b"stopped" in line or b"ended" in line else line for line in lines]
        damaged = [line.replace(b"stopped", b"*******") for line in damaged]
        assert damaged != lines
        file.write_bytes(b"".join(damaged))
        async with process(world, tmp_path):
            await online(world, 2)
            assert len(world.sent("StopTransaction")) == 1
    assert "may have ended where the journal is damaged" in caplog.text


# -- memory ------------------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "configurations" / "hash-1.json").read_text())
    return loaded


async def test_changed_keys_stay_and_all_others_follow_the_template(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path, keys={"VendorA": "1", "VendorB": "1"}, in_order=True):
            await online(world, 1)
            assert await world.key("VendorA", "changed") == "Accepted"
            assert await world.key("ConnectionTimeOut", "99") == "Accepted"
        entry = next(key for key in content(tmp_path)["configurationKey"] if key["key"] == "VendorA")
        assert (entry["value"], entry["templateValue"]) == ("changed", "1")
        changes = {"VendorA": "2", "VendorB": "2", "VendorC": "2", "MeterValueSampleInterval": 17}
        async with process(world, tmp_path, keys=changes, in_order=True):
            keys = world.station.keys
            assert [keys.text(f"Vendor{letter}") for letter in "ABC"] == ["changed", "2", "2"]
            assert keys.number("MeterValueSampleInterval") == 17
            assert keys.number("ConnectionTimeOut") == 99
        async with process(world, tmp_path):
            keys = world.station.keys
            assert keys.text("VendorA") == "changed"  # the template does not know it any more
            assert keys.get("VendorB") is None


async def test_availability_counters_and_serial_numbers_stay(tmp_path: Path) -> None:
    template = {"chargePointSerialNumberPrefix": "AC", "numberOfConnectors": [2, 3, 4, 5]}
    async with central() as world:
        async with process(world, tmp_path, template=template, in_order=True):
            await online(world, 1)
            assert await world.status_of("ChangeAvailability", connectorId=2, type="Inoperative") == "Accepted"
            info = world.station.info
        for seed in range(2, 6):
            async with process(world, tmp_path, template=template, seed=seed, in_order=True):
                assert world.station.info.charge_point_serial_number == info.charge_point_serial_number
                assert world.station.info.number_of_connectors == info.number_of_connectors
                await online(world, seed)
                assert world.statuses(2)[-1] == "Unavailable"
        async with process(world, tmp_path, template={**template, "chargePointSerialNumberPrefix": "DC"}):
            assert (world.station.info.charge_point_serial_number or "").startswith("DC")


async def test_the_availability_of_station_and_connectors_stays_apart(tmp_path: Path) -> None:
    async with central() as world:
        async with process(world, tmp_path, in_order=True):
            await online(world, 1)
            for connector_id in 2, 0:
                status = await world.status_of("ChangeAvailability", connectorId=connector_id, type="Inoperative")
                assert status == "Accepted"
        assert content(tmp_path)["memory"]["availability"] == {"0": "Inoperative", "2": "Inoperative"}
        async with process(world, tmp_path, in_order=True):
            await online(world, 2)
            assert world.statuses()[-3:] == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")]
            assert await world.status_of("ChangeAvailability", connectorId=0, type="Operative") == "Accepted"
            await world.settle()
            assert world.statuses()[-2:] == [(0, "Available"), (1, "Available")]
        assert content(tmp_path)["memory"]["availability"] == {"2": "Inoperative"}


@pytest.mark.parametrize(("kept", "comes_back"), [([0, 1, 2], [0, 1, 2]), ([2], [])])
async def test_the_availability_of_an_older_file_is_read(
    tmp_path: Path, kept: list[int], comes_back: list[int]
) -> None:
    """There an Inoperative station had made all its connectors so."""
    (tmp_path / "configurations").mkdir()
    (tmp_path / "configurations" / "hash-1.json").write_text(
        json.dumps({"version": 1, "memory": {"inoperative": kept}})
    )
    async with central() as world, process(world, tmp_path, in_order=True):
        await online(world, 1)
        assert [connector for connector, status in world.statuses() if status == "Unavailable"] == kept
        assert await world.status_of("ChangeAvailability", connectorId=0, type="Operative") == "Accepted"
        await world.settle()
        assert [connector for connector, _ in world.statuses()[3:]] == comes_back


async def test_lists_reservations_and_profiles_stay(tmp_path: Path) -> None:
    keys = {"LocalAuthListEnabled": "true", "AuthorizationCacheEnabled": "true"}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "chargingSchedule": {
            "startSchedule": "2026-11-22T00:00:00Z",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}],
        },
    }
    async with central() as world:
        async with process(world, tmp_path, keys=keys, in_order=True):
            await online(world, 1)
            entries = [{"idTag": "KNOWN", "idTagInfo": {"status": "Accepted"}}]
            sent = await world.status_of(
                "SendLocalList", listVersion=7, updateType="Full", localAuthorizationList=entries
            )
            assert sent == "Accepted"
            reserved = await world.status_of(
                "ReserveNow", connectorId=1, expiryDate="2026-11-23T10:00:00Z", idTag="KNOWN", reservationId=5
            )
            assert reserved == "Accepted"
            installed = await world.status_of("SetChargingProfile", connectorId=2, csChargingProfiles=profile)
            assert installed == "Accepted"
        async with process(world, tmp_path, keys=keys):
            await online(world, 2)
            assert (await world.call("GetLocalListVersion"))["listVersion"] == 7
            assert world.statuses(1)[-1] == "Reserved"
            assert await world.status_of("CancelReservation", reservationId=5) == "Accepted"
            assert await world.status_of("ClearChargingProfile", id=1) == "Accepted"


async def test_a_kill_takes_back_nothing_that_was_accepted_a_second_before(tmp_path: Path) -> None:
    keys = {"LocalAuthListEnabled": "true", "AuthorizationCacheEnabled": "true"}
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 5000}]},
    }
    entries = [{"idTag": "KNOWN", "idTagInfo": {"status": "Accepted"}}]
    reservation = {"connectorId": 1, "expiryDate": "2026-11-23T10:00:00Z", "idTag": "KNOWN", "reservationId": 5}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("ChangeConfiguration", {"key": "ConnectionTimeOut", "value": "99"}),
        ("ChangeAvailability", {"connectorId": 2, "type": "Inoperative"}),
        ("SendLocalList", {"listVersion": 7, "updateType": "Full", "localAuthorizationList": entries}),
        ("ReserveNow", reservation),
        ("SetChargingProfile", {"connectorId": 2, "csChargingProfiles": profile}),
    ]
    async with central() as world:
        async with process(world, tmp_path, keys=keys):
            await online(world, 1)
            for action, payload in asked:
                assert await world.status_of(action, **payload) == "Accepted"
            await world.sleep(1)
        async with process(world, tmp_path, keys=keys):
            await online(world, 2)
            assert world.station.keys.number("ConnectionTimeOut") == 99
            assert world.statuses()[-3:] == [(0, "Available"), (1, "Reserved"), (2, "Unavailable")]
            assert (await world.call("GetLocalListVersion"))["listVersion"] == 7
            assert await world.status_of("CancelReservation", reservationId=5) == "Accepted"
            assert await world.status_of("ClearChargingProfile", id=1) == "Accepted"
            assert await world.status_of("ChangeAvailability", connectorId=2, type="Operative") == "Accepted"
            await world.sleep(1)
        async with process(world, tmp_path, keys=keys):
            await online(world, 3)
            assert world.statuses()[-3:] == [(0, "Available"), (1, "Available"), (2, "Available")]
            assert await world.status_of("ClearChargingProfile", id=1) == "Unknown"


async def test_security_events_that_wait_outlive_the_process(tmp_path: Path) -> None:
    template = {"securityEvents": True}
    async with central() as world:
        async with process(world, tmp_path, template=template):
            await online(world, 1)
            told = [(event["type"], event["timestamp"]) for event in world.sent("SecurityEventNotification")]
            world.go_offline()
            world.station.security.event("TamperDetectionActivated", "the door")
            at = world.station.log and world.station.security.log_lines()[-1][0]
            await world.sleep(20)
        world.central.network.restore()
        async with process(world, tmp_path, template=template):
            await online(world, 2)
            events = world.sent("SecurityEventNotification")[len(told) :]
            assert [event["type"] for event in events] == ["TamperDetectionActivated", "StartupOfTheDevice"]
            assert moment(events[0]["timestamp"]) == pytest.approx(at, abs=0.01)
            assert events[0]["techInfo"] == "the door"
            assert [line.split()[1] for _, line in world.station.security.log_lines()] == [
                "StartupOfTheDevice",
                "TamperDetectionActivated",
                "StartupOfTheDevice",
            ]
            await world.sleep(20)
        async with process(world, tmp_path, template=template):
            await online(world, 3)
            assert len(world.sent("SecurityEventNotification")) == len(told) + 3  # one more boot, nothing twice


async def test_an_upload_that_the_process_died_in_is_made_by_the_next_one(tmp_path: Path) -> None:
    transfers = FakeTransfers(takes=30)
    log = {"remoteLocation": "http://files/logs"}
    async with central() as world:
        async with process(world, tmp_path, transfers=transfers):
            await online(world, 1)
            assert await world.status_of("GetLog", log=log, logType="SecurityLog", requestId=7) == "Accepted"
            await world.sleep(10)
        async with process(world, tmp_path, transfers=transfers):
            await online(world, 2)
            await world.sleep(40)
            told = [(sent["status"], sent["requestId"]) for sent in world.sent("LogStatusNotification")]
            assert told == [("Uploading", 7), ("Uploading", 7), ("Uploaded", 7)]
            assert [url for url, _, _ in transfers.uploaded] == ["http://files/logs"]
        async with process(world, tmp_path, transfers=transfers):
            await online(world, 3)
            await world.sleep(60)
            assert len(world.sent("LogStatusNotification")) == 3


async def test_the_result_of_an_upload_without_a_connection_is_told_by_the_next_process(tmp_path: Path) -> None:
    transfers = FakeTransfers(takes=30)
    async with central() as world:
        async with process(world, tmp_path, transfers=transfers):
            await online(world, 1)
            assert "fileName" in await world.call("GetDiagnostics", location="http://files/logs")
            await world.settle()
            world.go_offline()
            await world.sleep(60)
        world.central.network.restore()
        async with process(world, tmp_path, transfers=transfers):
            await online(world, 2)
            told = [sent["status"] for sent in world.sent("DiagnosticsStatusNotification")]
            assert told == ["Uploading", "Uploaded"]
            assert len(transfers.uploaded) == 1


async def test_a_firmware_update_that_the_process_died_in_comes_to_its_end(tmp_path: Path) -> None:
    template = {"firmwareVersion": "1.2.9"}
    transfers = FakeTransfers(takes=30)
    async with central() as world:
        for count, then in enumerate([5.0, 35.0, 15.0, 200.0], 1):  # downloading, installing, rebooting, at the end
            async with process(world, tmp_path, template=template, transfers=transfers):
                await online(world, len(world.sent("BootNotification")) + 1)
                if count == 1:
                    asked = {"location": "http://files/new.bin", "retrieveDate": "2026-11-22T00:00:00Z"}
                    assert await world.call("UpdateFirmware", **asked) == {}
                await world.sleep(then)
        told = [sent["status"] for sent in world.sent("FirmwareStatusNotification")]
        assert told[-1] == "Installed"
        assert told.count("Installed") == 1
        assert [status for status in told if status != "Installing"] == [
            "Downloading",
            "Downloading",
            "Downloaded",
            "Installed",
        ]
        assert world.sent("BootNotification")[-1]["firmwareVersion"] == "1.2.10"


async def test_a_profile_on_trial_is_given_up_by_the_next_process_too(tmp_path: Path) -> None:
    """The central system took the change back with a new password, and would wait for the station for ever."""
    keys = {"AuthorizationKey": "ab12" * 8, "SecurityProfile": "0"}
    async with central() as world:
        async with process(world, tmp_path, keys=keys):
            await online(world, 1)
            world.central.network.refuse()  # what was open stays
            assert await world.key("AuthorizationKey", "cd34" * 8) == "Accepted"
            await world.sleep(1)
        assert content(tmp_path)["memory"]["security"]["formerKeys"] == {"AuthorizationKey": "ab12" * 8}
        async with process(world, tmp_path, keys=keys):
            assert world.station.keys.text("AuthorizationKey") == "cd34" * 8
            world.central.network.restore()
            await online(world, 2)
            await world.sleep(1)
        assert "formerKeys" not in content(tmp_path)["memory"]["security"]


@pytest.mark.parametrize("switch", ["ocppPersistentConfiguration", "stationInfoPersistentConfiguration"])
async def test_what_is_switched_off_is_neither_written_nor_read(tmp_path: Path, switch: str) -> None:
    template = {"chargePointSerialNumberPrefix": "AC"}
    async with central() as world:
        async with process(world, tmp_path, template={**template, switch: False}, in_order=True):
            await online(world, 1)
            assert await world.key("ConnectionTimeOut", "99") == "Accepted"
        written = content(tmp_path)
        assert ("configurationKey" in written) is (switch != "ocppPersistentConfiguration")
        assert ("stationInfo" in written) is (switch != "stationInfoPersistentConfiguration")
        async with process(world, tmp_path, template=template, seed=2, in_order=True):
            serial = world.station.info.charge_point_serial_number
            world.station.keys.set("ConnectionTimeOut", "98")
        async with process(world, tmp_path, template={**template, switch: False}, seed=3):
            kept = world.station.info.charge_point_serial_number == serial
            assert kept is (switch != "stationInfoPersistentConfiguration")
            assert (world.station.keys.number("ConnectionTimeOut") == 98) is (switch != "ocppPersistentConfiguration")


async def test_a_file_of_the_other_simulator_is_read_and_what_it_means_to_others_kept(tmp_path: Path) -> None:
    folder = tmp_path / "configurations"
    folder.mkdir()
    theirs = {
        "stationInfo": {"chargePointSerialNumber": "ACF00DF00DF00DF00DF00DF00DF00DF00D"},
        "configurationKey": [
            {"key": "ConnectionTimeOut", "readonly": False, "value": "77"},
            {"key": "HeartbeatInterval", "readonly": False, "value": "0", "visible": True},
            {"key": "Theirs", "readonly": False, "value": "x"},
        ],
        "connectorsStatus": [[1, {"availability": "Operative"}]],
        "configurationHash": "0",
    }
    (folder / "hash-1.json").write_text(json.dumps(theirs))
    template = {"chargePointSerialNumberPrefix": "AC"}
    async with central() as world:
        async with process(world, tmp_path, template=template, in_order=True):
            await online(world, 1)
            assert world.sent("BootNotification")[0]["chargePointSerialNumber"] == "ACF00DF00DF00DF00DF00DF00"
            assert world.station.keys.number("ConnectionTimeOut") == 77
            assert world.station.keys.text("Theirs") == "x"
            assert await world.key("ConnectionTimeOut", 78) == "Accepted"
        written = content(tmp_path)
        assert written["connectorsStatus"] == theirs["connectorsStatus"]
        assert list(written)[-1] == "configurationHash"
        assert len(written["configurationHash"]) == 96


async def test_a_file_under_their_present_name_is_read_and_written_under_ours(tmp_path: Path) -> None:
    template = {"chargePointSerialNumberPrefix": "AC", "firmwareVersion": "1.0", "iccid": "89"}
    made = build_template(document({**LIFETIME, **template}), Path("test.station-template.json")).template
    theirs = other_hash_ids(made)("CS-1")
    assert theirs != hash_ids(made)("CS-1")
    folder = tmp_path / "configurations"
    folder.mkdir()
    content_of_theirs = {
        "stationInfo": {"chargePointSerialNumber": "AC0123456789ABCDEF0123456"},
        "configurationKey": [{"key": "ConnectionTimeOut", "readonly": False, "value": "77"}],
        "connectorsStatus": [[0, {"availability": "Operative"}], [2, {"availability": "Inoperative"}]],
    }
    (folder / f"{theirs}.json").write_text(json.dumps(content_of_theirs))
    store = StationFiles(folder)
    store.look()
    store.inherit("hash-1", lambda: theirs)
    assert store.recall("hash-1") == content_of_theirs
    async with central() as world:
        inherited = functools.partial(StationFiles.inherit, other=lambda: theirs)
        async with process(world, tmp_path, template=template, in_order=True, prepare=inherited):
            await online(world, 1)
            assert world.sent("BootNotification")[0]["chargePointSerialNumber"] == "AC0123456789ABCDEF0123456"
            assert world.station.keys.number("ConnectionTimeOut") == 77
            assert [connector.operative for connector in world.station.connectors.values()] == [True, True, False]
            assert await world.status_of("ChangeAvailability", connectorId=2, type="Operative") == "Accepted"
        assert json.loads((folder / f"{theirs}.json").read_text()) == content_of_theirs
        written = json.loads((folder / "hash-1.json").read_text())
        assert written["version"] == 1
        async with process(world, tmp_path, template=template, seed=2, prepare=inherited):  # ours counts from now on
            await online(world, 2)
            assert all(connector.operative for connector in world.station.connectors.values())
            assert world.station.keys.number("ConnectionTimeOut") == 77


async def test_with_both_switches_off_only_the_generator_is_kept_and_with_all_three_there_is_no_file(
    tmp_path: Path,
) -> None:
    off = {"ocppPersistentConfiguration": False, "stationInfoPersistentConfiguration": False}
    none = {**off, "automaticTransactionGeneratorPersistentConfiguration": False}
    serial = {"chargePointSerialNumberPrefix": "AC"}
    async with central() as world:
        async with process(world, tmp_path, template={**serial, **none}, in_order=True):
            await online(world, 1)
            assert await world.key("ConnectionTimeOut", 99) == "Accepted"
            await world.stop_charging(await world.charge())
        assert not (tmp_path / "configurations").exists()
        async with process(world, tmp_path, template={**serial, **off}, in_order=True):
            await online(world, 2)
            assert await world.key("ConnectionTimeOut", 99) == "Accepted"
        assert {*content(tmp_path)} <= {"version", "memory", "configurationHash"}
        assert {*content(tmp_path).get("memory", {})} <= {"generator"}
        async with process(world, tmp_path, template=serial, in_order=True):  # everything is kept
            await online(world, 3)
            assert await world.key("ConnectionTimeOut", 98) == "Accepted"
            number = world.station.info.charge_point_serial_number
        async with process(world, tmp_path, template={**serial, **off}, seed=5):  # and nothing of it read
            await online(world, 4)
            assert world.station.info.charge_point_serial_number != number
            assert world.station.keys.number("ConnectionTimeOut") != 98


async def test_credentials_are_in_no_file(tmp_path: Path) -> None:
    template = {
        "supervisionUser": "me",
        "supervisionPassword": "top-secret-1",
        "wsOptions": {"auth": "you:top-secret-2"},
    }
    async with central(faults=True) as world, process(world, tmp_path, template=template, in_order=True):
        await world.sleep(5)
        world.station.keys.set("ConnectionTimeOut", "98")
    for file in [*(tmp_path / "journal").iterdir(), *(tmp_path / "configurations").iterdir()]:
        assert b"top-secret" not in file.read_bytes()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"configurationKey": 3}', '{"memory": {"registers": {"x": 1}}}'])
async def test_a_damaged_file_is_told_and_the_station_starts(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "configurations").mkdir()
    (tmp_path / "configurations" / "hash-1.json").write_text(text)
    async with central() as world, process(world, tmp_path):
        await online(world, 1)
    (told,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "hash-1.json" in told or "kept from an earlier run" in told
