"""The parts of a station's picture that never change, encoded once: a fleet shares a handful of templates."""

from __future__ import annotations

from typing import Any

import msgspec

from simulator.control.registry.secrets import without_secrets
from simulator.templates.info import StationInfo
from simulator.templates.model import ConnectorTemplate, GeneratorTemplate, StationTemplate

#: Sections of a template that are shown elsewhere, settled otherwise, or nobody's business.
_NOT_SHOWN = frozenset(
    {
        "$schema",
        "$schemaVersion",
        "AutomaticTransactionGenerator",
        "Configuration",
        "Connectors",
        "Evses",
        "chargeBoxSerialNumberPrefix",
        "chargePointSerialNumberPrefix",
        "meterSerialNumberPrefix",
        "power",
        "powerUnit",
        "numberOfConnectors",
        "x509Certificates",
    }
)
#: Members of ``wsOptions`` that may hold anything.
_NOT_SHOWN_OPTIONS = frozenset({"headers", "key", "cert", "ca"})

_encode = msgspec.json.encode


class StaticParts:
    """Encoded parts by the object that they are made from."""

    def __init__(self) -> None:
        # The object itself is kept beside its encoding, so that its id stays its own.
        self._templates: dict[int, tuple[StationTemplate, bytes]] = {}
        self._meters: dict[int, tuple[ConnectorTemplate, msgspec.Raw]] = {}
        self._generators: dict[int, tuple[GeneratorTemplate, msgspec.Raw]] = {}

    def station_info(self, info: StationInfo) -> msgspec.Raw:
        """``stationInfo``: the template's members as its file has them, then what is the station's own."""
        found = self._templates.get(id(info.template))
        if found is None:
            found = (info.template, _encode(_shown(info))[:-1])
            self._templates[id(info.template)] = found
        own = _encode(own_members(info))
        return msgspec.Raw(found[1] + (b"," if len(found[1]) > 1 else b"") + own[1:])

    def meter_values(self, connector: ConnectorTemplate) -> msgspec.Raw:
        """``MeterValues`` of a connector: what its meter measures."""
        found = self._meters.get(id(connector))
        if found is None:
            found = (connector, msgspec.Raw(_encode(connector.meter_values)))
            self._meters[id(connector)] = found
        return found[1]

    def generator(self, settings: GeneratorTemplate) -> msgspec.Raw:
        """The configuration of an automatic transaction generator."""
        found = self._generators.get(id(settings))
        if found is None:
            found = (settings, msgspec.Raw(_encode(settings)))
            self._generators[id(settings)] = found
        return found[1]


def _shown(info: StationInfo) -> dict[str, Any]:
    template = info.template
    shown = {name: member for name, member in info.raw.items() if name not in _NOT_SHOWN}
    options = shown.pop("wsOptions", None)
    if isinstance(options, dict):
        shown["wsOptions"] = {name: member for name, member in options.items() if name not in _NOT_SHOWN_OPTIONS}
    clean: dict[str, Any] = without_secrets(shown)
    # Two that the file may leave to their default and every client asks for; and what was read under another name.
    clean["ocppVersion"] = template.ocpp_version
    clean["resetTime"] = template.reset_time
    clean["baseName"] = template.base_name
    clean["autoRegister"] = template.auto_register
    clean["templateHash"] = info.template_hash
    for own in OWN:
        clean.pop(own, None)
    return clean


#: Members that every station has of its own.
OWN = (
    "hashId",
    "chargingStationId",
    "templateName",
    "templateIndex",
    "chargePointSerialNumber",
    "chargeBoxSerialNumber",
    "meterSerialNumber",
    "maximumPower",
    "maximumAmperage",
    "numberOfConnectors",
    "currentOutType",
    "voltageOut",
    "numberOfPhases",
)


def own_members(info: StationInfo) -> dict[str, Any]:
    """The members of ``stationInfo`` that every station has of its own."""
    serials = {
        "chargePointSerialNumber": info.charge_point_serial_number,
        "chargeBoxSerialNumber": info.charge_box_serial_number,
        "meterSerialNumber": info.meter_serial_number,
    }
    return {
        "hashId": info.hash_id,
        "chargingStationId": info.station_id,
        "templateName": info.template_name,
        "templateIndex": info.template_index,
        **{name: serial for name, serial in serials.items() if serial is not None},
        "maximumPower": info.maximum_power,
        "maximumAmperage": info.maximum_amperage,
        "numberOfConnectors": info.number_of_connectors,
        "currentOutType": info.current_out_type,
        "voltageOut": info.voltage_out,
        "numberOfPhases": info.number_of_phases,
    }
