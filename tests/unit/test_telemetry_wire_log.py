"""The frames that a user can look at afterwards."""

from __future__ import annotations

import json

import pytest

from simulator.events import EventBus, FrameReceived, FrameSent
from simulator.telemetry.wire_log import WireLog

A, B = ("a" * 96, "CS-A"), ("b" * 96, "CS-B")


def call(message_id: str, action: str, **payload: object) -> str:
    return json.dumps([2, message_id, action, payload])


def test_frames_of_a_station_are_read_in_order_with_what_they_are_about() -> None:
    bus = EventBus()
    moments = iter((10.0, 20.0, 30.0, 40.0, 50.0, 60.0))
    wire = WireLog(bus, now=lambda: next(moments))
    bus.publish(FrameSent(*A, call("1", "BootNotification")))
    bus.publish(FrameSent(*B, call("1", "Heartbeat")))
    bus.publish(FrameReceived(*A, '[3, "1", {"status": "Accepted"}]'))
    bus.publish(FrameReceived(*A, call("1", "Reset", type="Soft")))
    bus.publish(FrameSent(*A, '[4,"1","NotSupported","",{}]'))
    bus.publish(FrameReceived(*A, "not OCPP"))
    frames = wire.read(A[0])
    assert [(frame.time, frame.direction, frame.kind, frame.message_id, frame.action) for frame in frames] == [
        (10.0, "sent", "call", "1", "BootNotification"),
        (30.0, "received", "result", "1", "BootNotification"),
        (40.0, "received", "call", "1", "Reset"),
        (50.0, "sent", "error", "1", "Reset"),
        (60.0, "received", "other", None, None),
    ]
    assert {frame.station_id for frame in frames} == {"CS-A"}
    assert frames[1].text == '[3, "1", {"status": "Accepted"}]'
    assert len(wire.read()) == 6


def test_an_action_is_found_with_its_answers() -> None:
    bus = EventBus()
    wire = WireLog(bus)
    for number in range(3):
        bus.publish(FrameSent(*A, call(f"h{number}", "Heartbeat")))
        bus.publish(FrameSent(*B, call(f"h{number}", "StatusNotification")))
        bus.publish(FrameReceived(*A, f'[3,"h{number}",{{}}]'))
        bus.publish(FrameReceived(*B, f'[3,"h{number}",{{}}]'))
    assert [frame.message_id for frame in wire.read(action="heartbeat")] == ["h0", "h0", "h1", "h1", "h2", "h2"]
    assert [frame.direction for frame in wire.read(B[0], action="StatusNotification", limit=3)] == [
        "received",
        "sent",
        "received",
    ]
    assert wire.read(A[0], action="StatusNotification") == []


def test_a_follower_reads_on_where_it_stopped() -> None:
    bus = EventBus()
    wire = WireLog(bus)
    for number in range(10):
        bus.publish(FrameSent(*A, call(str(number), "Heartbeat")))
    first = wire.read(A[0], limit=4)
    assert [frame.message_id for frame in first] == ["6", "7", "8", "9"]
    assert wire.read(A[0], after=first[-1].sequence) == []
    bus.publish(FrameReceived(*A, '[3,"9",{}]'))
    (frame,) = wire.read(A[0], after=first[-1].sequence)
    assert (frame.kind, frame.action) == ("result", "Heartbeat")
    assert wire.read(A[0], limit=0) == []


def test_the_oldest_frames_go_when_the_budget_is_spent() -> None:
    bus = EventBus()
    wire = WireLog(bus, budget=100_000)
    for number in range(5000):
        bus.publish(FrameSent(*A, call(str(number), "DataTransfer", data="x" * (number % 300))))
        assert wire.size <= 100_000
    frames = wire.read(limit=5000)
    assert 100 < len(frames) == len(wire) < 1000
    assert [frame.message_id for frame in frames] == [str(number) for number in range(5000 - len(frames), 5000)]
    wire.clear()
    assert (wire.size, wire.read()) == (0, [])


def test_a_giant_frame_does_not_push_the_others_out() -> None:
    bus = EventBus()
    wire = WireLog(bus, budget=1_000_000)
    bus.publish(FrameSent(*A, call("1", "Heartbeat")))
    bus.publish(FrameReceived(*A, call("2", "DataTransfer", data="y" * 5_000_000)))
    small, giant = wire.read(A[0])
    assert small.action == "Heartbeat"
    assert giant.action == "DataTransfer"
    assert len(giant.text) < 100_000
    assert giant.text.endswith("more characters)")


@pytest.mark.parametrize("padding", [0, 100_000])
def test_secrets_are_not_shown(padding: int) -> None:
    bus = EventBus()
    wire = WireLog(bus, budget=1_000_000)
    payload = {"key": "AuthorizationKey", "value": "s3cr3t", "pad": "z" * padding}
    bus.publish(FrameReceived(*A, call("1", "ChangeConfiguration", **payload)))
    (frame,) = wire.read(A[0])
    assert "s3cr3t" not in frame.text
    assert frame.action == "ChangeConfiguration"


def test_frames_are_wanted_only_while_a_wire_log_is_open() -> None:
    bus = EventBus()
    assert not bus.wanted(FrameSent)
    wire = WireLog(bus)
    assert bus.wanted(FrameSent)
    assert bus.wanted(FrameReceived)
    wire.close()
    assert not bus.wanted(FrameSent)
    assert not bus.wanted(FrameReceived)
