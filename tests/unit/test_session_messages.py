"""Sessions as recorded messages tell them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import simulator.docs
from simulator.energy.session_messages import ToldSession, told_sessions

RECORDINGS = Path(simulator.docs.__file__).parent / "images"


def call(number: int, action: str, **payload: Any) -> list[Any]:
    return [2, f"m-{number}", action, payload]


def at(minute: int) -> str:
    return f"2026-11-22T10:{minute:02d}:00.000Z"


def value(minute: int, *samples: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": at(minute), "sampledValue": list(samples)}


def sample(measurand: str, number: object, **members: Any) -> dict[str, Any]:
    return {"value": str(number), "measurand": measurand, **members}


def readings(number: int, minute: int, *samples: dict[str, Any], transaction: int = 7) -> list[Any]:
    return call(number, "MeterValues", connectorId=2, transactionId=transaction, meterValue=[value(minute, *samples)])


def power_and_energy(watts: float, wh: float) -> tuple[dict[str, Any], ...]:
    return (
        sample("SoC", 50, unit="Percent"),
        sample("Power.Active.Import", watts / 1000, unit="kW"),
        sample("Power.Active.Import", watts / 3, phase="L1-N"),
        sample("Power.Offered", 11_000),
        {"value": str(wh)},
    )


START = [
    call(1, "StartTransaction", connectorId=2, idTag="T", meterStart=400, timestamp=at(0)),
    [3, "m-1", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}],
]
SESSION = [
    [2, "b", "BootNotification", {"chargePointVendor": "V"}],
    *START,
    readings(2, 10, *power_and_energy(6000, 1400)),
    readings(3, 20, *power_and_energy(6000, 2400)),
    readings(3, 20, *power_and_energy(6000, 2400)),
    call(4, "StopTransaction", transactionId=7, meterStop=2900, timestamp=at(25)),
    readings(5, 30, *power_and_energy(0, 2900)),
]


def lines(frames: list[list[Any]]) -> str:
    return "\n".join(json.dumps(frame) for frame in frames)


def only(text: str) -> ToldSession:
    (session,) = told_sessions(text)
    return session


FORMS = {
    "a frame a line": lines(SESSION),
    "a list": json.dumps(SESSION),
    "listMessages": json.dumps(
        {"status": "success", "messages": [{"stationId": "CS-1", "text": json.dumps(frame)} for frame in SESSION]}
    ),
    "pushed": "\n".join(
        json.dumps(["messages", {"messages": [{"stationId": "CS-1", "text": json.dumps(f)}]}]) for f in SESSION
    ),
    "a log": "\n".join(f"[10:00] CS-1 [conn 1] sent {json.dumps(frame)} .\n[cut off, {{" for frame in SESSION),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_session_is_told_in_every_form(form: str) -> None:
    session = only(FORMS[form])
    assert (session.connector_id, session.transaction_id) == (2, 7)
    assert session.station == ("CS-1" if form in {"listMessages", "pushed"} else "")
    begin = session.points[0].time
    points = [(p.time - begin, p.power_w, p.energy_wh, p.limit_w, p.soc) for p in session.points]
    assert points == [
        (0, 6000, 0, 11_000, None),
        (600, 6000, 1000, 11_000, 50),
        (1200, 6000, 2000, 11_000, 50),
        (1500, 6000, 2500, 11_000, 50),
    ]


def test_sessions_are_kept_apart_by_station_and_transaction() -> None:
    def message(station: str, *frames: list[Any]) -> list[dict[str, str]]:
        return [{"stationId": station, "text": json.dumps(frame)} for frame in frames]

    text = json.dumps(
        [
            *message("A", *SESSION[1:4]),
            *message("B", *START, readings(9, 5, {"value": "500"})),
            *message("A", readings(4, 30, {"value": "9000"}, transaction=8), readings(5, 40, {"value": "9100"})),
            *message("A", readings(6, 50, {"value": "9900"}, transaction=8)),
        ]
    )
    told = [(s.station, s.connector_id, s.transaction_id, s.points[-1].energy_wh) for s in told_sessions(text)]
    assert told == [("A", 2, 7, 8700), ("B", 2, 7, 100), ("A", 2, 8, 900)]


def test_what_is_not_told_follows_from_what_is() -> None:
    energy_alone = only(lines([*START, readings(2, 30, {"value": "2.4", "unit": "kWh"}), readings(3, 40, {})]))
    assert [point.power_w for point in energy_alone.points] == pytest.approx([0, 4000, 0])
    assert [point.limit_w for point in energy_alone.points] == [None] * 3
    by_line = [sample("Power.Active.Import", 1000, phase=f"L{line}") for line in (1, 2, 3)]
    power_alone = only(lines([readings(2, 0, *by_line), readings(3, 30, *by_line)]))
    assert [(point.power_w, point.energy_wh) for point in power_alone.points] == [(3000, 0), (3000, 1500)]
    data = [value(0, *power_and_energy(100, 400)), value(5, *power_and_energy(100, 410))]
    stop = call(4, "StopTransaction", transactionId=7, meterStop=420, timestamp=at(9), transactionData=data)
    assert [point.energy_wh for point in only(lines([*START, stop])).points] == [0, 10, 20]


def test_a_new_limit_comes_at_once() -> None:
    low = (sample("Power.Active.Import", 4000), sample("Power.Offered", 4000), {"value": "2400"})
    points = only(lines([*START, readings(2, 10, *power_and_energy(6000, 1400)), readings(3, 20, *low)])).points
    assert [(p.power_w, p.limit_w) for p in points[1:]] == [(6000, 11_000), (6000, 11_000), (4000, 4000)]
    assert points[-1].time == points[-2].time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "17",
        "[2]",
        '[2,"a"]',
        "[" * 100_000,
        '{"text": "' + "[" * 10_000 + '"}',
        lines([[2, "a", "MeterValues", None], [2, "b", "MeterValues", {"transactionId": "7"}], [4, "c", "x", "y", {}]]),
        lines(
            [
                call(1, "StartTransaction", connectorId="x", meterStart={}, timestamp=4),
                [3, "m-1", "?"],
                call(2, "MeterValues", transactionId=1, meterValue=[1, {"timestamp": at(1), "sampledValue": [7, {}]}]),
                call(3, "MeterValues", transactionId=1, meterValue={"timestamp": None}),
                call(4, "StopTransaction", transactionId=1, timestamp=[]),
            ]
        ),
        lines([readings(1, 5, sample("Power.Active.Import", "x"), sample("Nonsense", 3), sample("SoC", 5, unit="W"))]),
        lines([readings(1, 5, {"value": "30", "format": "SignedData"}), readings(2, 6, {"value": "4", "unit": "?"})]),
    ],
)
def test_what_tells_of_no_session_is_no_session(text: str) -> None:
    assert told_sessions(text) == []


@pytest.mark.parametrize(("name", "limits"), [("session-ac", [11_000, 4830]), ("session-dc", [150_000, 30_000])])
def test_the_recordings_of_the_manual_obey_the_laws(name: str, limits: list[float]) -> None:
    points = only((RECORDINGS / f"{name}.messages.jsonl").read_text(encoding="utf-8")).points
    found = [point.limit_w for point in points if point.limit_w is not None]
    changes = [found[0], *(later for earlier, later in pairwise(found) if later != earlier)]
    assert changes == pytest.approx([limits[0], limits[1], limits[0]], abs=50)
    assert all(point.power_w <= (point.limit_w or 0) + 0.005 for point in points)
    integral = sum((a.power_w + b.power_w) / 2 * (b.time - a.time) / 3600 for a, b in pairwise(points))
    # The end of charge is between two readings.
    steps = [(b.time - a.time) / 3600 * abs(a.power_w - b.power_w) / 2 for a, b in pairwise(points)]
    assert integral == pytest.approx(points[-1].energy_wh, abs=0.5 + sum(steps))
    socs = [point.soc for point in points if point.soc is not None]
    assert socs == sorted(socs)
    assert socs[-1] == 100
