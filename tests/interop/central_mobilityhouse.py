"""A central system made of the PyPI packages ``ocpp`` and ``websockets``, neither of them ours, on asyncio.

A program of its own: it takes orders as JSON lines on standard input, writes what happens as JSON lines on standard
output, and ends with a report. The lines are described in ``foreign.py``.

    python central_mobilityhouse.py PORT LEDGER
"""

# Only what `ocpp` and `websockets` make of the frames counts here: nothing of the simulator is imported.
# `ocpp` has no types.
# mypy: disable-error-code="import-untyped,misc,untyped-decorator,no-untyped-call"

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ocpp.charge_point import camel_to_snake_case
from ocpp.exceptions import InternalError
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import AuthorizationStatus, DataTransferStatus, GenericStatus, RegistrationStatus
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

HEARTBEAT_INTERVAL = 5


def say(event: str, **details: Any) -> None:
    """Write one line of the journal; it must be out even when this process is killed in the next instant."""
    sys.stdout.write(json.dumps({"event": event, **details}) + "\n")
    sys.stdout.flush()


class Ledger:
    """Transaction numbers by what a StartTransaction says, in a file: a central system remembers over its own crash."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._numbers: dict[str, int] = {line: number for number, line in enumerate(lines, 1)}

    def number(self, *content: object) -> int:
        """The same number for the same StartTransaction, however often it comes."""
        line = json.dumps(content)
        if line not in self._numbers:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            self._numbers[line] = len(self._numbers) + 1
        return self._numbers[line]


class Recorder:
    """A connection as ``ocpp`` uses it, which writes every frame into the journal."""

    def __init__(self, connection: ServerConnection, station: str, number: int, counts: Counter[str]) -> None:
        self._connection = connection
        self._where = {"station": station, "connection": number}
        self._counts = counts
        #: Ids of frames that were sent past the library; it must not see the answers.
        self.probes: set[str] = set()
        #: Answers to our own calls, by message id.
        self.answers: dict[str, list[Any]] = {}

    async def recv(self) -> str | bytes:
        """The next frame for the library."""
        while True:
            text = await self._connection.recv()
            shown = text if isinstance(text, str) else text.decode("latin-1")
            self._counts["received"] += 1
            say("frame", **self._where, sent=False, text=shown)
            try:
                frame = json.loads(shown)
            except ValueError:
                return text
            if isinstance(frame, list) and len(frame) > 2 and frame[0] in {3, 4}:
                if frame[1] in self.probes:
                    continue
                self.answers[str(frame[1])] = frame
            return text

    async def send(self, text: str) -> None:
        """Send a frame of the library, or one past it."""
        self._counts["sent"] += 1
        say("frame", **self._where, sent=True, text=text)  # before sending: the answer must not come first
        await self._connection.send(text)

    def cut(self) -> None:
        """Break the connection off."""
        self._connection.transport.abort()


class Station(ChargePoint):
    """The central system's end of one connection."""

    def __init__(self, identity: str, recorder: Recorder, central: Central) -> None:
        super().__init__(identity, recorder, response_timeout=10)
        self.recorder = recorder
        self._central = central

    @on("BootNotification")
    def on_boot_notification(self, **_: Any) -> Any:
        return call_result.BootNotification(
            current_time=now(), interval=HEARTBEAT_INTERVAL, status=RegistrationStatus.accepted
        )

    @on("Heartbeat")
    def on_heartbeat(self, **_: Any) -> Any:
        return call_result.Heartbeat(current_time=now())

    @on("Authorize")
    def on_authorize(self, **_: Any) -> Any:
        return call_result.Authorize(id_tag_info=accepted())

    @on("StartTransaction")
    async def on_start_transaction(self, **content: Any) -> Any:
        number = self._central.ledger.number(
            self.id, content["connector_id"], content["id_tag"], content["meter_start"], content["timestamp"]
        )
        await self._central.may_answer("StartTransaction")
        return call_result.StartTransaction(transaction_id=number, id_tag_info=accepted())

    @on("StopTransaction")
    async def on_stop_transaction(self, **_: Any) -> Any:
        await self._central.may_answer("StopTransaction")
        return call_result.StopTransaction(id_tag_info=accepted())

    @on("MeterValues")
    def on_meter_values(self, **_: Any) -> Any:
        return call_result.MeterValues()

    @on("StatusNotification")
    def on_status_notification(self, **_: Any) -> Any:
        return call_result.StatusNotification()

    @on("DataTransfer")
    def on_data_transfer(self, **_: Any) -> Any:
        return call_result.DataTransfer(status=DataTransferStatus.accepted)

    @on("DiagnosticsStatusNotification")
    def on_diagnostics_status_notification(self, **_: Any) -> Any:
        return call_result.DiagnosticsStatusNotification()

    @on("FirmwareStatusNotification")
    def on_firmware_status_notification(self, **_: Any) -> Any:
        return call_result.FirmwareStatusNotification()

    @on("SecurityEventNotification")
    def on_security_event_notification(self, **_: Any) -> Any:
        return call_result.SecurityEventNotification()

    @on("SignedFirmwareStatusNotification")
    def on_signed_firmware_status_notification(self, **_: Any) -> Any:
        return call_result.SignedFirmwareStatusNotification()

    @on("LogStatusNotification")
    def on_log_status_notification(self, **_: Any) -> Any:
        return call_result.LogStatusNotification()

    @on("SignCertificate")
    def on_sign_certificate(self, **_: Any) -> Any:
        return call_result.SignCertificate(status=GenericStatus.accepted)


class RefusedOnce(InternalError):
    """An error that was ordered."""


def identity_in(request: Request) -> str:
    """The station that opens a connection."""
    return unquote(urlsplit(request.path).path.rpartition("/")[2])


def now() -> str:
    """The present instant as OCPP writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def accepted() -> IdTagInfo:
    """A tag that may charge."""
    return IdTagInfo(status=AuthorizationStatus.accepted, parent_id_tag="PARENT", expiry_date="2037-12-31T23:59:59Z")


class Findings(logging.Handler):
    """What the library complains about: it logs an error for every frame that it cannot take."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(message)s"))

    def add(self, line: str) -> None:
        """Write one complaint down."""
        self.lines.append(line)
        say("finding", text=line)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record."""
        if record.exc_info and isinstance(record.exc_info[1], RefusedOnce):
            return
        self.add(self.format(record))


class Central:
    """All stations, and the orders."""

    def __init__(self, ledger: Ledger, findings: Findings) -> None:
        self.ledger = ledger
        self.findings = findings
        self.stations: dict[str, Station] = {}
        self._held: set[str] = set()
        self._refused: set[str] = set()
        self._barred: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._closes: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def may_answer(self, action: str) -> None:
        """Wait for ever when the answers to that action are held back; raise when it is to be refused."""
        if action in self._refused:
            self._refused.remove(action)
            raise RefusedOnce("refused once")
        if action in self._held:
            await asyncio.Event().wait()

    def judge_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse stations that are barred."""
        if identity_in(request) in self._barred:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "barred\n")
        return None

    async def serve_station(self, connection: ServerConnection) -> None:
        """One connection from its opening to its end."""
        assert connection.request is not None
        identity = identity_in(connection.request)
        self._counts["connections"] += 1
        number = self._counts["connections"]
        where = {"station": identity, "connection": number}
        say("open", **where, subprotocol=connection.subprotocol)
        recorder = Recorder(connection, identity, number, self._counts)
        station = self.stations[identity] = Station(identity, recorder, self)
        try:
            await station.start()
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
        except Exception as error:
            code, reason = 1006, repr(error)
            self.findings.add(f"{identity}: {error!r}")
        finally:
            if self.stations.get(identity) is station:
                del self.stations[identity]
        self._closes[str(code)] += 1
        say("close", **where, code=code, reason=reason)

    # -- orders ------------------------------------------------------------------------------------------------------

    async def obey(self) -> None:
        """Take orders until told to report, or until nobody is there to give any."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = json.loads(line)
            match order["order"]:
                case "report":
                    return
                case "hold":
                    self._held.update(order["actions"])
                    say("holds", actions=sorted(self._held))
                case "refuse":
                    self._refused.add(order["action"])
                    say("refuses", action=order["action"])
                case "bar":
                    self._barred.add(order["station"])
                    self.stations[order["station"]].recorder.cut()
                    say("barred", stations=sorted(self._barred))
                case "admit":
                    self._barred.discard(order["station"])
                    say("barred", stations=sorted(self._barred))
                case "call":
                    self._begin(self._call(order))
                case "send":
                    self._begin(self._send(order))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, order: dict[str, Any]) -> None:
        station = self.stations[order["station"]]
        station.recorder.probes.add(order["probe"])
        await station.recorder.send(order["text"])

    async def _call(self, order: dict[str, Any]) -> None:
        number, result, error = str(order["id"]), None, None
        station = self.stations.get(order["station"])
        try:
            if station is None:
                raise LookupError(f"{order['station']} is not connected")
            request = getattr(call, order["action"])(**camel_to_snake_case(order["payload"]))
            await station.call(request, suppress=False, unique_id=number)
        except Exception as raised:
            answer = station.recorder.answers.get(number) if station is not None else None
            if answer is not None and answer[0] == 4:
                error = answer[2]
            else:
                error = repr(raised)
                self.findings.add(f"{order['station']}: {order['action']}: {error}")
        else:
            assert station is not None
            result = station.recorder.answers[number][2]
        say("answer", id=number, result=result, error=error)

    def report(self) -> None:
        """The last line."""
        say(
            "report",
            connections=self._counts["connections"],
            received=self._counts["received"],
            sent=self._counts["sent"],
            closes=dict(self._closes),
            findings=self.findings.lines,
        )


async def main(port: int, ledger: Path) -> None:
    findings = Findings()
    logging.getLogger("ocpp").addHandler(findings)
    logging.getLogger("websockets").addHandler(findings)
    central = Central(Ledger(ledger), findings)
    server: Server
    async with serve(
        central.serve_station,
        "127.0.0.1",
        port,
        process_request=central.judge_handshake,
        subprotocols=[Subprotocol("ocpp1.6")],
        ping_interval=2,
        ping_timeout=5,
    ) as server:
        bound = next(iter(server.sockets)).getsockname()[1]
        say("listening", port=bound, library=f"ocpp {version('ocpp')} on websockets {version('websockets')}")
        await central.obey()
        central.report()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
