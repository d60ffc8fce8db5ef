"""What a central system saw: the frames of all stations in order, and what can be read from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import trio

CALL, CALLRESULT, CALLERROR = 2, 3, 4


@dataclass(frozen=True)
class Frame:
    """One frame. ``sent``: by the central system. ``kind`` is None for what is no frame of OCPP-J."""

    position: int
    station: str
    connection: str
    sent: bool
    text: str
    kind: int | None = None
    id: str = ""
    action: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    code: str = ""

    @property
    def received_call(self) -> bool:
        """Whether it is a CALL of a station."""
        return not self.sent and self.kind == CALL

    def __repr__(self) -> str:
        return f"<{self.station} {'<-' if self.sent else '->'} {self.text}>"


@dataclass(frozen=True)
class Opened:
    """A connection that a station opened."""

    position: int
    station: str
    connection: str
    subprotocol: str


@dataclass(frozen=True)
class Closed:
    """The end of a connection, with the close code that the station sent."""

    position: int
    station: str
    connection: str
    code: int


@dataclass
class Deal:
    """One transaction: the same connector, tag, meter and instant of start, under however many message ids it came."""

    station: str
    connector: int
    starts: list[Frame]
    #: As the central system answered; empty when it never did.
    numbers: set[int] = field(default_factory=set)
    stops: list[Frame] = field(default_factory=list)

    @property
    def energy(self) -> int:
        """Wh, by the last StopTransaction."""
        return int(self.stops[-1].payload["meterStop"] - self.starts[0].payload["meterStart"])


class Journal:
    """Everything in the order in which it happened, over all lives of the central system."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.opened: list[Opened] = []
        self.closed: list[Closed] = []
        self.findings: list[str] = []
        self._answers: dict[tuple[str, bool, str], Frame] = {}
        self._news = trio.Event()
        self._position = 0

    # -- writing -----------------------------------------------------------------------------------------------------

    def add(self, life: int, line: dict[str, Any]) -> None:
        """Take a line of the central system's ``life``-th process."""
        self._position += 1
        if line["event"] == "finding":
            self.findings.append(line["text"])
        elif line["event"] in {"open", "close", "frame"}:
            connection = f"{life}.{line['connection']}"
            if line["event"] == "open":
                self.opened.append(Opened(self._position, line["station"], connection, line["subprotocol"]))
            elif line["event"] == "close":
                self.closed.append(Closed(self._position, line["station"], connection, line["code"]))
            else:
                frame = _read(self._position, line["station"], connection, line["sent"], line["text"])
                self.frames.append(frame)
                if frame.kind in {CALLRESULT, CALLERROR}:
                    self._answers[connection, not frame.sent, frame.id] = frame
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits."""
        self._news.set()
        self._news = trio.Event()

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def wait(self, found: Callable[[], Any], what: str, within: float = 20.0) -> Any:
        """Wait until ``found()`` gives something, and return that."""
        with trio.move_on_after(within):
            while not (result := found()):
                await self._news.wait()
            return result
        raise AssertionError(f"not within {within:g} s: {what}")

    async def wait_call(
        self,
        station: str,
        action: str,
        members: Mapping[str, object] = MappingProxyType({}),
        *,
        since: int,
        within: float = 20.0,
    ) -> Frame:
        """Wait for a CALL of a station after a position, with those members in its payload, and its answer."""

        def find() -> Frame | None:
            for frame in self.calls(action, station=station, since=since):
                if all(frame.payload.get(name) == value for name, value in members.items()) and self.answer(frame):
                    return frame
            return None

        found: Frame = await self.wait(find, f"{action} {members} of {station}", within)
        return found

    # -- reading -----------------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Where the journal is now."""
        return self._position

    def calls(self, *actions: str, station: str | None = None, since: int = 0) -> Iterator[Frame]:
        """The CALLs of stations."""
        for frame in self.frames:
            if (
                frame.received_call
                and frame.position > since
                and (not actions or frame.action in actions)
                and station in {None, frame.station}
            ):
                yield frame

    def answer(self, call: Frame) -> Frame | None:
        """The answer to a CALL on the same connection."""
        return self._answers.get((call.connection, call.sent, call.id))

    def accepted(self) -> set[str]:
        """Stations whose BootNotification was answered with Accepted."""
        answers = [(call.station, self.answer(call)) for call in self.calls("BootNotification")]
        return {station for station, answer in answers if answer and answer.payload.get("status") == "Accepted"}

    def ready(self) -> set[str]:
        """Stations that have been accepted and have begun to say what state they are in."""
        return self.accepted() & {call.station for call in self.calls("StatusNotification") if self.answer(call)}

    def deals(self) -> list[Deal]:
        """All transactions."""
        deals: dict[tuple[object, ...], Deal] = {}
        for start in self.calls("StartTransaction"):
            content = start.payload
            key = (
                start.station,
                content["connectorId"],
                content["idTag"],
                content["meterStart"],
                content["timestamp"],
            )
            deal = deals.setdefault(key, Deal(start.station, content["connectorId"], []))
            deal.starts.append(start)
            if (answer := self.answer(start)) is not None and answer.kind == CALLRESULT:
                deal.numbers.add(answer.payload["transactionId"])
        by_number = {(deal.station, number): deal for deal in deals.values() for number in deal.numbers}
        for stop in self.calls("StopTransaction"):
            number = stop.payload["transactionId"]
            deal = by_number.get((stop.station, number)) or Deal(stop.station, 0, [], {number})
            deal.stops.append(stop)
            by_number[stop.station, number] = deal
        return list({id(deal): deal for deal in (*deals.values(), *by_number.values())}.values())


def _read(position: int, station: str, connection: str, sent: bool, text: str) -> Frame:
    def frame(**members: Any) -> Frame:
        return Frame(position, station, connection, sent, text, **members)

    try:
        elements = json.loads(text)
    except ValueError:
        return frame()
    match elements:
        case [2, str(id), str(action), dict(payload)]:
            return frame(kind=CALL, id=id, action=action, payload=payload)
        case [3, str(id), dict(payload)]:
            return frame(kind=CALLRESULT, id=id, payload=payload)
        case [4, str(id), str(code), str(), dict()]:
            return frame(kind=CALLERROR, id=id, code=code)
    return frame()


# -- judging -----------------------------------------------------------------------------------------------------------


def breaches_of_the_exchange(journal: Journal) -> list[str]:
    """What the stations did against the rules of the exchange itself (OCPP-J 1.6 §4).

    Every frame well-formed; ids fresh and at most 36 characters long; one outstanding CALL at a time; nothing before
    the answer to BootNotification after power-up.
    """
    breaches: list[str] = []
    waiting: dict[str, Frame] = {}
    seen: set[tuple[str, str]] = set()
    booted: set[str] = set()
    for frame in journal.frames:
        if not frame.sent and frame.kind is None:
            breaches.append(f"malformed: {frame!r}")
        elif frame.received_call:
            if (before := waiting.get(frame.connection)) is not None:
                breaches.append(f"{frame!r} before the answer to {before!r}")
            if (frame.station, frame.id) in seen or not 0 < len(frame.id) <= 36:
                breaches.append(f"message id: {frame!r}")
            if frame.action == "BootNotification":
                booted.add(frame.station)
            elif frame.station not in booted:
                breaches.append(f"before BootNotification: {frame!r}")
            waiting[frame.connection] = frame
            seen.add((frame.station, frame.id))
        elif frame.sent and frame.kind in {CALLRESULT, CALLERROR}:
            outstanding = waiting.get(frame.connection)
            if outstanding is not None and outstanding.id == frame.id:
                del waiting[frame.connection]
    return breaches


def unanswered(journal: Journal) -> list[Frame]:
    """CALLs of either side that got no answer."""
    return [frame for frame in journal.frames if frame.kind == CALL and journal.answer(frame) is None]


def refused(journal: Journal) -> list[Frame]:
    """CALLs of stations that the central system answered with a CALLERROR."""
    answers = [(call, journal.answer(call)) for call in journal.calls()]
    return [call for call, answer in answers if answer is not None and answer.kind == CALLERROR]


def overlaps(deals: list[Deal]) -> list[str]:
    """Transactions that began on a connector before the one before them had ended, by the stations' own clocks."""
    breaches = []
    connectors: dict[tuple[str, int], list[Deal]] = {}
    for deal in deals:
        connectors.setdefault((deal.station, deal.connector), []).append(deal)
    for (station, connector), on_connector in connectors.items():
        ordered = sorted(on_connector, key=lambda deal: str(deal.starts[0].payload["timestamp"]))
        for earlier, later in pairwise(ordered):
            if earlier.stops[0].payload["timestamp"] > later.starts[0].payload["timestamp"]:
                breaches.append(f"{station} connector {connector}: {earlier.stops[0]!r} after {later.starts[0]!r}")
    return breaches
