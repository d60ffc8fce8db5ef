"""A central system that we did not write, as a process that takes orders.

It is started as ``PROGRAM PORT LEDGER``; port 0 picks one. It answers every CALL of a station by itself, and numbers
transactions from the ledger file, so that a second process knows the StartTransactions of the first.

Orders, one JSON object a line on its standard input:

* ``{"order": "call", "id", "station", "action", "payload"}``: send a CALL through the library;
* ``{"order": "send", "station", "probe", "text"}``: send a text past the library, whose answer has the id ``probe``;
* ``{"order": "hold", "actions"}``: from now on leave these actions unanswered;
* ``{"order": "refuse", "action"}``: answer the next StartTransaction or StopTransaction with InternalError;
* ``{"order": "bar", "station"}``: break off the station's connection without a farewell, and refuse its handshakes
  with status 503 until ``{"order": "admit", "station"}``;
* ``{"order": "report"}``: report and exit; so does the end of the orders.

Events, one JSON object a line on its standard output:

* ``listening`` (port, library); ``open`` and ``close`` (station, connection, subprotocol or code) of a connection;
* ``frame`` (station, connection, sent, text): any text frame; ``sent``: by the central system;
* ``finding`` (text): the library refused, dropped or disliked something;
* ``answer`` (id, result, error) to an order ``call``: the payload of the CALLRESULT or the code of the CALLERROR;
* ``holds`` (actions), ``refuses`` (action), ``barred`` (stations): an order is obeyed;
* ``report`` (connections, received, sent, closes, findings), the last.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import PIPE
from typing import Any

import trio

from tests.interop.journal import CALLERROR, Frame, Journal

HERE = Path(__file__).parent

#: Command lines by name.
PROGRAMS: dict[str, Sequence[str]] = {
    "mobilityhouse": (sys.executable, str(HERE / "central_mobilityhouse.py")),
    "ocpp-rpc": ("node", str(HERE / "central_ocpp_rpc.mjs")),
}


@dataclass(frozen=True)
class Reply:
    """How a station answered a CALL: the payload of its CALLRESULT, or the code of its CALLERROR."""

    result: dict[str, Any] | None
    error: str | None

    @property
    def status(self) -> str:
        """The member ``status`` of the result; the error in parentheses if there is none."""
        return str(self.result["status"]) if self.result is not None else f"({self.error})"


class ForeignCentral:
    """One process of a foreign central system."""

    def __init__(self, process: trio.Process, journal: Journal, life: int) -> None:
        self.journal = journal
        self.port = 0
        self.library = ""
        #: The last line, once it has come.
        self.report: dict[str, Any] | None = None
        self._process = process
        self._life = life
        self._numbers = count(1)
        self._replies: dict[str, Reply] = {}
        self._holds: list[str] = []
        self._refuses: list[str] = []
        self._barred: list[str] = []
        self._pen = trio.Lock()

    @property
    def url(self) -> str:
        """Where stations connect, without their ids."""
        return f"ws://127.0.0.1:{self.port}/ocpp"

    # -- orders ------------------------------------------------------------------------------------------------------

    async def call(self, station: str, action: str, payload: dict[str, Any]) -> Reply:
        """Let the library send a CALL and wait for the station's answer."""
        number = f"order-{self._life}-{next(self._numbers)}"
        await self._order(order="call", id=number, station=station, action=action, payload=payload)
        reply: Reply = await self.journal.wait(lambda: self._replies.get(number), f"{station} answers {action}")
        return reply

    async def probe(self, station: str, text: str) -> str:
        """Send a text past the library, with ``$ID`` replaced by a fresh message id, which is returned."""
        number = f"probe-{self._life}-{next(self._numbers)}"
        await self._order(order="send", station=station, probe=number, text=text.replace("$ID", number))
        return number

    async def probe_error(self, station: str, text: str) -> str:
        """Send a text past the library and wait for the CALLERROR with its id; returns the code."""
        number = await self.probe(station, text)

        def find() -> Frame | None:
            return next((frame for frame in self.journal.frames if not frame.sent and frame.id == number), None)

        answer: Frame = await self.journal.wait(find, f"the answer of {station} to {text}")
        assert answer.kind == CALLERROR, answer
        return answer.code

    async def hold(self, *actions: str) -> None:
        """Leave these actions unanswered from now on."""
        await self._order(order="hold", actions=actions)
        await self.journal.wait(lambda: self._holds, "the answers are held")

    async def refuse_once(self, action: str) -> None:
        """Answer the next StartTransaction or StopTransaction with a CALLERROR."""
        before = len(self._refuses)
        await self._order(order="refuse", action=action)
        await self.journal.wait(lambda: len(self._refuses) > before, f"{action} is refused")

    async def bar(self, station: str) -> None:
        """Break off the station's connection, and let it not come back."""
        await self._order(order="bar", station=station)
        await self.journal.wait(lambda: station in self._barred, f"{station} is barred")

    async def admit(self, station: str) -> None:
        """Let a station come back."""
        await self._order(order="admit", station=station)
        await self.journal.wait(lambda: station not in self._barred, f"{station} is admitted")

    async def end(self) -> dict[str, Any]:
        """Ask for the report; the process ends with it."""
        await self._order(order="report")
        report: dict[str, Any] = await self.journal.wait(lambda: self.report, "the report")
        return report

    async def kill(self) -> None:
        """End it at once, without any farewell."""
        self._process.kill()
        await self._process.wait()

    async def _order(self, **order: object) -> None:
        assert self._process.stdin is not None
        async with self._pen:
            await self._process.stdin.send_all(json.dumps(order).encode() + b"\n")

    # -- events ------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take events until the process ends."""
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "listening":
                self.port, self.library = event["port"], event["library"]
            case "answer":
                self._replies[event["id"]] = Reply(event["result"], event["error"])
            case "holds":
                self._holds = event["actions"]
            case "refuses":
                self._refuses.append(event["action"])
            case "barred":
                self._barred = event["stations"]
            case "report":
                self.report = event
        self.journal.add(self._life, event)


async def start_central(
    nursery: trio.Nursery, name: str, journal: Journal, folder: Path, *, life: int = 1, port: int = 0
) -> ForeignCentral:
    """Start a central system, to be killed with the nursery. Its ledger and its standard error are in ``folder``."""
    messages = folder / f"{name}-{life}.stderr"
    process = await start_process(nursery, [*PROGRAMS[name], str(port), str(folder / f"{name}.ledger")], messages)
    central = ForeignCentral(process, journal, life)
    nursery.start_soon(central.listen)
    try:
        await journal.wait(lambda: central.port, f"{name} listens", 15)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{messages.read_text('utf-8', 'replace')}") from None
    return central


async def start_process(nursery: trio.Nursery, command: Sequence[str], stderr: Path, **options: Any) -> trio.Process:
    """Start a process with pipes for input and output; it is killed with the nursery."""

    async def kill(process: trio.Process) -> None:
        process.kill()

    with stderr.open("wb") as file:
        process: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=file,
                check=False,
                deliver_cancel=kill,
                **options,
            )
        )
    return process
