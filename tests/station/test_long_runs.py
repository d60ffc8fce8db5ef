"""A day in seconds, runs that repeat, and central systems that send anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from simulator.csms import BootPolicy
from simulator.events import StationCrashed
from simulator.ocpp.v16.messages import REQUESTS
from tests.station.harness import World, station_world

GENERATOR = {
    "enable": True,
    "minDuration": 120,
    "maxDuration": 600,
    "minDelayBetweenTwoTransactions": 60,
    "maxDelayBetweenTwoTransactions": 300,
    "stopAfterHours": 24,
    "probabilityOfStart": 0.9,
}


async def test_a_day_of_a_station() -> None:
    async with station_world(
        template={"AutomaticTransactionGenerator": GENERATOR},
        keys={"MeterValueSampleInterval": 300, "WebSocketPingInterval": 600},
        boot=BootPolicy("Accepted", 300),
        tags=["A", "B", "C"],
    ) as world:
        await world.sleep(86_400 + 1000)
        assert world.known().connections == 1
        heartbeats = world.times("Heartbeat")
        begun = world.times("BootNotification")[0]
        assert len(heartbeats) == 291
        assert heartbeats[287] == pytest.approx(begun + 86_400)
        transactions = world.transactions()
        assert len(transactions) >= 200
        assert all(not transaction.is_open and transaction.energy > 0 for transaction in transactions)
        assert len(world.sent("StartTransaction")) == len(world.sent("StopTransaction")) == len(transactions)


async def conversation(seed: int) -> list[tuple[str, Any]]:
    """Everything that two stations say in an hour and a half with a lost connection in between."""
    async with station_world(
        template={"AutomaticTransactionGenerator": {**GENERATOR, "minDuration": 60, "idTagDistribution": "random"}},
        keys={"MeterValueSampleInterval": 60, "MeterValuesSampledData": "Voltage,Power.Active.Import,SoC"},
        tags=["A", "B", "C"],
        stations=2,
        seed=seed,
    ) as world:
        await world.sleep(1800)
        world.central.line("CS-1").cut()
        await world.sleep(3600)
        # The ids of transactions are the central system's, which serves both.
        return [
            (call.action, {name: value for name, value in call.payload.items() if name != "transactionId"})
            for station in ("CS-1", "CS-2")
            for call in world.calls(station=station)
        ]


async def test_the_same_seed_gives_the_same_conversation_and_another_seed_another_one() -> None:
    first = await conversation(7)
    assert len(first) > 200
    assert await conversation(7) == first
    assert await conversation(8) != first


# -- anything on the wire ----------------------------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_words = st.sampled_from(
    ["connectorId", "idTag", "transactionId", "type", "key", "value", "requestedMessage", "reservationId", "vendorId",
     "listVersion", "updateType", "csChargingProfiles", "location", "expiryDate", "retrieveDate", "duration"]
)  # fmt: skip
_values = st.sampled_from(
    [0, 1, 2, -1, 99, "A", "Hard", "Soft", "Operative", "Inoperative", "MeterValues", "StatusNotification", "0", "1",
     "BootNotification", "HeartbeatInterval", "MeterValueSampleInterval", "MessageTimeout", "Full", "7",
     "2030-01-01T00:00:00Z"]
)  # fmt: skip
_payloads = st.dictionaries(_words, _values | _json, max_size=4) | _json
_calls = st.builds(
    lambda action, message_id, payload: json.dumps([2, message_id, action, payload]),
    st.sampled_from(sorted(REQUESTS)) | st.text(max_size=10),
    st.text(min_size=1, max_size=36) | st.integers(),
    _payloads,
)
_answers = st.builds(lambda kind, payload: json.dumps([kind, "{id}", payload]), st.sampled_from([3, 4, 5]), _payloads)
_frames = _calls | _calls | _json.map(json.dumps) | st.text(max_size=30) | _answers


async def _listen_to(frames: list[str]) -> None:
    async with station_world(
        template={"resetTime": 1, "AutomaticTransactionGenerator": {**GENERATOR, "minDuration": 5, "maxDuration": 9}},
        keys={"MeterValueSampleInterval": 2},
        faults=True,
    ) as world:
        await world.ready()
        for frame in frames:
            await world.central.connected("CS-1", timeout=400)
            last = world.calls()[-1].message_id
            try:
                world.known().send_raw(frame.replace("{id}", last))
            except Exception:
                continue
            await world.sleep(1)
        await lives(world)


async def lives(world: World) -> None:
    assert world.happened(StationCrashed) == []
    await world.sleep(100)
    await world.central.connected("CS-1", timeout=400)
    await world.settle()
    answer = await world.call("GetConfiguration", key=["NumberOfConnectors"])
    assert answer["configurationKey"][0]["value"] == "2"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames=st.lists(_frames, min_size=1, max_size=12))
def test_no_frame_ends_a_station(frames: list[str]) -> None:
    trio.run(_listen_to, frames, clock=MockClock(autojump_threshold=0))


_answers_by_action = st.dictionaries(
    st.sampled_from(["BootNotification", "Heartbeat", "StartTransaction", "StopTransaction", "Authorize", "MeterValues",
                     "StatusNotification"]),
    st.dictionaries(
        st.sampled_from(["status", "currentTime", "interval", "idTagInfo", "transactionId"]), _values | _json
    )
    | st.sampled_from([{"idTagInfo": {"status": "Invalid"}, "transactionId": 0}, {"status": "Pending", "interval": 5}]),
    min_size=1,
)  # fmt: skip


async def _be_answered(answers: dict[str, dict[str, Any]]) -> None:
    def prepare(world: World) -> None:
        for action, answer in answers.items():
            world.central.on(action, answer, times=5)

    async with station_world(
        template={"AutomaticTransactionGenerator": {**GENERATOR, "minDuration": 5, "maxDuration": 9}},
        keys={"MeterValueSampleInterval": 2, "TransactionMessageRetryInterval": 1},
        boot=BootPolicy("Accepted", 10),
        tags=["A"],
        change=prepare,
        faults=True,
    ) as world:
        await world.sleep(400)
        assert world.happened(StationCrashed) == []
        await world.ready()
        assert (await world.call("GetConfiguration", key=["X"]))["unknownKey"] == ["X"]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers=_answers_by_action)
def test_no_answer_ends_a_station(answers: dict[str, dict[str, Any]]) -> None:
    trio.run(_be_answered, answers, clock=MockClock(autojump_threshold=0))
