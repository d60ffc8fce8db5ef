"""The JSON Schema of station templates."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from simulator.config.fields import Schema
from simulator.config.schemas import NOT_YET, model_schema
from simulator.ocpp.v16.enums import Location, Measurand, Phase, ReadingContext, UnitOfMeasure, ValueFormat
from simulator.templates.model import StationTemplate

OTHER_NAMES = {
    "idTagsFile": "authorizationFile",
    "remoteAuthorization": "mustAuthorizeAtRemoteStart",
}
"""Other names of keys, as good as the first."""

LEGACY_KEYS = {"supervisionUrl": "supervisionUrls"}
"""Old names of keys."""

NODE_ONLY_OPTIONS = (
    "agent",
    "allowSynchronousEvents",
    "autoPong",
    "closeTimeout",
    "crl",
    "defaultPort",
    "dhparam",
    "ecdhCurve",
    "finishRequest",
    "followRedirects",
    "generateMask",
    "honorCipherOrder",
    "hostname",
    "maxRedirects",
    "maxVersion",
    "protocolVersion",
    "secureProtocol",
    "sessionTimeout",
    "sigalgs",
    "skipUTF8Validation",
    "socketPath",
    "timeout",
)
"""Options of Node's WebSocket client that have no counterpart here."""


@cache
def template_schema() -> Schema:
    """The JSON Schema (Draft 2020-12) of a station template."""
    schema = model_schema(StationTemplate, "Charging station template")
    properties, definitions = schema["properties"], schema["$defs"]
    for name, original in OTHER_NAMES.items():
        properties[name] = {**properties[original], "description": f"Same as `{original}`"}
    for name, now in LEGACY_KEYS.items():
        properties[name] = {"description": f"Old name of `{now}`", "deprecated": True}
    options = definitions["WebSocketOptions"]["properties"]
    for name in NODE_ONLY_OPTIONS:
        options[name] = {"description": NOT_YET.capitalize(), "deprecated": True}
    definitions["ConnectorTemplate"]["properties"]["status"] = {
        "description": "Ignored: a station finds the status out; see `bootStatus`",
        "deprecated": True,
    }
    _refine_entries(definitions["SampledValueTemplate"]["properties"])
    return schema


def _refine_entries(entries: Schema) -> None:
    """Name what OCPP lets an entry of ``MeterValues`` say."""
    kinds: dict[str, Iterable[str]] = {
        "measurand": Measurand,
        "unit": (unit for unit in UnitOfMeasure if unit is not UnitOfMeasure.HERTZ),
        "phase": Phase,
        "context": ReadingContext,
        "location": Location,
        "format": ValueFormat,
    }
    for name, values in kinds.items():
        entries[name] = {**entries[name], "enum": [str(value) for value in values]}
        del entries[name]["type"]
    for name in ("value", "fluctuationPercent", "minimumValue"):
        del entries[name]["anyOf"]
        entries[name]["type"] = ["number", "string"]
    entries["minimum"] = {**entries["minimumValue"], "description": "Same as `minimumValue`"}
    entries["unitOfMeasure"] = {"description": f"Unit of OCPP 2 ({NOT_YET})", "type": "object"}
    entries["signedMeterValue"] = {"description": f"Signed value of OCPP 2 ({NOT_YET})", "type": "object"}
