"""What a station uploads: a tar.gz archive of what it and the process know of it. Holds no secrets."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
import trio

from simulator.telemetry.redaction import redact
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: OCPP 1.6 §5.9: GetDiagnostics.conf takes no longer name.
LONGEST_NAME = 255

#: Bytes that are packed in a few milliseconds; more of them go to a thread.
PACKED_AT_ONCE = 128 * 1024

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def archive_name(station: ChargingStation) -> str:
    """A file name with the station's id and its time: ``CS-1_20261122T134500.123Z.tar.gz``.

    With milliseconds: a log and diagnostics that are asked for in one second must not overwrite each other.
    """
    moment = re.sub(r"[-:]", "", format_timestamp(station.now()))
    end = f"_{moment}.tar.gz"
    return _UNSAFE.sub("_", station.info.station_id)[: LONGEST_NAME - len(end)] + end


async def diagnostics_archive(station: ChargingStation, since: float | None, until: float | None) -> bytes:
    """The station's state, and what the process has logged of it between two instants of the station's clock."""
    files = {"station.json": _state(station)}
    source = station.services.diagnostics
    if source is not None:
        ahead = station.now() - station.clock.now()
        window = [None if instant is None else instant - ahead for instant in (since, until)]
        files |= await source.files(station.info.hash_id, station.info.station_id, *window)
    return await _pack(files, station.now())


async def security_archive(station: ChargingStation, since: float | None, until: float | None) -> bytes:
    """The security log between two instants of the station's clock, oldest event first."""
    return await _pack({"security.log": station.security.log_text(since, until).encode()}, station.now())


def _state(station: ChargingStation) -> bytes:
    info, template = station.info, station.info.template
    facts = {
        "stationId": info.station_id,
        "vendor": template.charge_point_vendor,
        "model": template.charge_point_model,
        "firmwareVersion": station.firmware.version,
        "time": format_timestamp(station.now()),
        "registration": station.registration.status,
        "connected": station.lane.connected,
        "queuedTransactionMessages": station.lane.queued_transaction_messages,
        "connectors": [
            {
                "connectorId": connector.id,
                "status": connector.status,
                "errorCode": connector.error_code,
                "operative": connector.operative,
                "transactionId": connector.transaction.id if connector.transaction is not None else None,
            }
            for connector in station.connectors.values()
        ],
        "configuration": [{"key": key.name, "value": key.value} for key in station.keys.all()],
    }
    return msgspec.json.format(msgspec.json.encode(redact(facts)), indent=2)


async def _pack(files: Mapping[str, bytes], moment: float) -> bytes:
    if sum(map(len, files.values())) <= PACKED_AT_ONCE:
        return _pack_now(files, moment)
    return await trio.to_thread.run_sync(_pack_now, files, moment)


def _pack_now(files: Mapping[str, bytes], moment: float) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=moment) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), int(moment)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
