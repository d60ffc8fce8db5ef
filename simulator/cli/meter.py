"""The commands about metering: ``verify-value`` and ``plot``."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from simulator.cli.output import Failure, count, give, printable, tell
from simulator.config.problems import ConfigurationError
from simulator.energy.electrical import Circuit
from simulator.energy.meter_keys import MeterKeyError, read_public_key
from simulator.energy.ocmf import HEADER, OcmfError, OcmfRecord, parse, verify
from simulator.energy.plot import SessionPoint, session_svg
from simulator.energy.recording import Limit, Scene, record_session
from simulator.energy.session_messages import ToldSession, told_sessions
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles
from simulator.templates.vehicles import load_vehicle_file

STANDARD_INPUT = "-"
# Sessions that a line to the user names.
_MOST_NAMED = 5


def verify_values(source: str, key: str | None) -> int:
    """Verify every signed value in a text; tell what each says and return the exit code.

    :param source: a file or ``-``, of an OCMF record, a signed value, or any JSON that holds some.
    :param key: a public key in any form or a file with one; by default the one that a value brings along, else
        whichever of those that come along with others is the right one.
    :raises Failure: there is nothing to verify, or nothing to verify it with.
    """
    found = list(_signed_values(_read(source)))
    if not found:
        raise Failure(f"{_name(source)} holds no signed value: give an OCMF record, or a message with one")
    given = None if key is None else _public_key(_text_or_file(key))
    along = {own: _public_key(own) for _, own in found if own and given is None}
    if given is None and not along:
        raise Failure("no public key: name one with --key, as MeterPublicKey<connector> of the station has it")
    good = 0
    for number, (record, own) in enumerate(found, 1):
        keys = [given] if given is not None else [along[own]] if own else list(along.values())
        try:
            taken = parse(record)
            right = any(verify(record, each) for each in keys)
        except OcmfError as error:
            give(f"{number}: BAD, {error}")
            continue
        good += right
        give(printable(f"{number}: {'good' if right else 'BAD, the signature is not that of the key'}: {_said(taken)}"))
    if given is None:
        tell("warning: verified with the key that came along: that shows what is whole, not who signed it (--key)")
    tell(f"{count(len(found), 'signed value')}, {good} good")
    return 0 if good == len(found) else 1


def _said(record: OcmfRecord) -> str:
    """What a record says, for people."""
    data = record.data
    entries = data.get("RD")
    readings = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    values = ", ".join(
        f"{reading.get('TX', '-')} {reading.get('RV')} {reading.get('RU', '')} at {reading.get('TM')}"
        for reading in readings
    )
    numbers = [value for reading in readings if isinstance(value := reading.get("RV"), (int, float))]
    difference = f"; {numbers[-1] - numbers[0]:.3f} {readings[-1].get('RU', '')}" if len(numbers) > 1 else ""
    return f"meter {data.get('MS')}, page {data.get('PG')}, for {data.get('ID') or 'nobody'}: {values}{difference}"


def _signed_values(text: str) -> Iterator[tuple[str, str]]:
    """Each OCMF record in a text and the public key that came with it, or an empty text."""
    text = text.strip()
    if text.startswith(HEADER):
        yield text, ""
        return
    try:
        yield from _within(json.loads(text))
        return
    except json.JSONDecodeError:
        pass
    record = _decoded(text)
    if record is not None:
        yield record, ""
        return
    for line in text.splitlines():  # a log: messages line by line
        start = line.find("[")
        if start >= 0 and "signedMeterData" in line:
            try:
                # Behind the message may stand the end of an object that holds it.
                yield from _within(json.JSONDecoder().raw_decode(line, start)[0])
            except json.JSONDecodeError:
                continue


def _within(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("signedMeterData"), str):
            record = _decoded(value["signedMeterData"])
            yield record or value["signedMeterData"], str(value.get("publicKey") or "")
            return
        for member in value.values():
            yield from _within(member)
    elif isinstance(value, list):
        for member in value:
            yield from _within(member)
    elif isinstance(value, str) and "signedMeterData" in value:
        try:
            yield from _within(json.loads(value))
        except json.JSONDecodeError:
            return
    elif isinstance(value, str) and value.startswith(f"{HEADER}|"):
        yield value, ""


def _decoded(text: str) -> str | None:
    """The record that a Base64 text stands for."""
    try:
        record = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return record if record.startswith(HEADER) else None


def _public_key(text: str) -> EllipticCurvePublicKey:
    try:
        return read_public_key(text)
    except (MeterKeyError, ValueError) as error:
        raise Failure(str(error)) from None


def _text_or_file(given: str) -> str:
    try:
        path = Path(given)
        return path.read_text(encoding="utf-8") if len(given) < 4096 and path.is_file() else given
    except (OSError, ValueError):
        return given


def _read(source: str) -> str:
    try:
        if source == STANDARD_INPUT:
            return sys.stdin.read()
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Failure(f"{_name(source)} cannot be read ({reason})") from None


def _name(source: str) -> str:
    return "standard input" if source == STANDARD_INPUT else source


# -- plot --------------------------------------------------------------------------------------------------------------


def plot_session(
    file: str,
    *,
    direct: bool,
    phases: int,
    kilowatts: float,
    vehicle: str | None,
    vehicles: Path | None,
    soc: float | None,
    limit: float | None,
    minutes: tuple[float, float],
    seed: int,
    title: str | None,
) -> int:
    """Let a vehicle charge, and draw the session into a file; returns the exit code.

    :param file: of the SVG; ``-`` is standard output.
    :param minutes: from when to when ``limit`` (kW) holds.
    :raises Failure: there is no such vehicle, or it cannot charge there, or the file cannot be written.
    """
    circuit = Circuit(400.0, 0) if direct else Circuit(230.0, phases)
    model = _vehicle(vehicle, _vehicles(vehicles), circuit)
    begin, end = (minute * 60 for minute in minutes)
    watts = kilowatts * 1000
    scene = Scene(
        vehicle=model,
        circuit=circuit,
        station_w=watts,
        limit=None if limit is None else Limit(limit * 1000, begin, end),
        soc=soc,
    )
    points = record_session(scene, Random(seed))
    kind = "DC" if direct else f"AC, {phases} phase{'s' if phases > 1 else ''}"
    _draw(file, points, title or f"{model.name or model.id} at a {kilowatts:g} kW station ({kind})")
    _tell_end(model.id, points)
    return 0


def plot_messages(file: str, source: str, *, station: str | None, transaction: int | None, title: str | None) -> int:
    """Draw a session that a recording of messages holds; returns the exit code.

    :param source: of the recording; ``-`` is standard input.
    :param station, transaction: which one, where it holds several.
    :raises Failure: there is no such session, or a file cannot be read or written.
    """
    sessions = told_sessions(_read(source))
    if not sessions:
        raise Failure(f"{_name(source)} holds no session: give messages with MeterValues of a transaction")
    chosen = [
        each
        for each in sessions
        if station in (None, each.station) and (transaction is None or each.transaction_id == transaction)
    ]
    if len(chosen) != 1:
        names = ", ".join(_titled(each) for each in sessions[:_MOST_NAMED])
        more = f" and {len(sessions) - _MOST_NAMED} more" if len(sessions) > _MOST_NAMED else ""
        wanted = "several sessions: choose one" if chosen else "no such session: choose one"
        raise Failure(f"{_name(source)} holds {wanted} with --transaction and --station of {names}{more}")
    (session,) = chosen
    _draw(file, session.points, title or _titled(session))
    _tell_end(_titled(session), session.points)
    return 0


def _titled(session: ToldSession) -> str:
    where = f"{session.station}, connector" if session.station else "connector"
    number = "" if session.transaction_id is None else f", transaction {session.transaction_id}"
    return f"{where} {session.connector_id}{number}"


def _draw(file: str, points: Sequence[SessionPoint], title: str) -> None:
    drawing = session_svg(points, title=title)
    if file == STANDARD_INPUT:
        give(drawing.rstrip("\n"))
        return
    try:
        Path(file).write_text(drawing, encoding="utf-8", newline="\n")
    except OSError as error:
        raise Failure(f"{file} cannot be written ({error.strerror})") from None


def _tell_end(what: str, points: Sequence[SessionPoint]) -> None:
    last = points[-1]
    charge = "" if last.soc is None else f", charged to {last.soc:.0f} %"
    tell(f"{what}: {last.energy_wh / 1000:.2f} kWh in {(last.time - points[0].time) / 60:.0f} min{charge}")


def _vehicles(path: Path | None) -> Sequence[VehicleModel]:
    if path is None:
        return shipped_vehicles()
    try:
        return load_vehicle_file(path)
    except ConfigurationError as error:
        raise Failure(str(error).splitlines()[0]) from None


def _vehicle(name: str | None, known: Sequence[VehicleModel], circuit: Circuit) -> VehicleModel:
    able = [vehicle for vehicle in known if vehicle.power_limit(circuit) > 0]
    if name is None:
        if not able:
            raise Failure("none of the vehicles charges from direct current")
        return able[0]
    for vehicle in able:
        if vehicle.id == name:
            return vehicle
    names = ", ".join(vehicle.id for vehicle in able)
    raise Failure(f"there is no vehicle {name} that charges there; there are {names}")
