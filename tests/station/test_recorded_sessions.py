"""A session from the recorded messages of a station is the one that its central system saw."""

from __future__ import annotations

import json

import msgspec
import pytest

from simulator.energy.session_messages import told_sessions
from simulator.telemetry.wire_log import WireLog
from simulator.timestamps import parse_timestamp
from tests.station.harness import station_world

MEASURANDS = "SoC,Power.Active.Import,Power.Offered,Energy.Active.Import.Register"


@pytest.mark.parametrize("per_transaction", [True, False])
async def test_a_recording_tells_what_the_central_system_saw(per_transaction: bool) -> None:
    keys = {"MeterValueSampleInterval": 60, "MeterValuesSampledData": MEASURANDS}
    template = {"meteringPerTransaction": per_transaction, "currentOutType": "DC", "power": 100}
    async with station_world(template=template, keys=keys) as world:
        wire = WireLog(world.bus, now=world.clock.now)
        await world.ready()
        for pause in (1000, 630):
            transactions = [await world.charge(connector) for connector in (1, 2)]
            await world.sleep(pause)
            for transaction in transactions:
                await world.stop_charging(transaction)
        recording = json.dumps(msgspec.to_builtins(wire.read()))
        told = {session.transaction_id: session for session in told_sessions(recording)}
        assert len(told) == 4
        for transaction in world.transactions():
            session = told[transaction.transaction_id]
            assert (session.station, session.connector_id) == ("CS-1", transaction.connector_id)
            assert session.points[-1].energy_wh == transaction.energy > 1000
            assert transaction.stopped_at is not None
            begin, end = (parse_timestamp(text)[0] for text in (transaction.started_at, transaction.stopped_at))
            assert [session.points[0].time, session.points[-1].time] == [begin, end]
            assert sum(begin < point.time < end for point in session.points) == transaction.meter_values
            assert max(point.power_w for point in session.points) > 10_000
            assert all(point.power_w <= (point.limit_w or 0.0) <= 50_000 for point in session.points)
