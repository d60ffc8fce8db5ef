"""JSON Schemas of the messages, made from their types."""

from __future__ import annotations

from typing import Any

import msgspec

from ui_protocol import SUBPROTOCOL, responses
from ui_protocol.base import Response
from ui_protocol.procedures import PROCEDURES


def components(ref_template: str) -> tuple[dict[str, tuple[Any, Any]], dict[str, Any], dict[str, Any]]:
    """Schemas of (request, response) by procedure, those of the notifications by name, and what all of them refer to.

    :param ref_template: how a reference is written; ``{name}`` stands for the name of the type.
    """
    procedures = list(PROCEDURES.values())
    told: dict[str, Any] = {"stations": responses.StationsDelta, "messages": responses.MessagesDelta}
    types: list[Any] = [Response, *told.values()]
    for procedure in procedures:
        types += [procedure.request, procedure.response]
    found, components_found = msgspec.json.schema_components(types, ref_template=ref_template)
    schemas: tuple[Any, ...] = _tidy(found)
    defined: dict[str, Any] = _tidy(components_found)
    of_procedures = {
        procedure.name: (schemas[place], schemas[place + 1])
        for place, procedure in zip(range(1 + len(told), len(schemas), 2), procedures, strict=True)
    }
    return of_procedures, dict(zip(told, schemas[1:], strict=False)), defined


def protocol_schema() -> dict[str, Any]:
    """One JSON Schema document of the protocol: the frames on a WebSocket, and the payloads by procedure."""
    procedures, told, defined = components("#/$defs/{name}")
    uuid = {"type": "string", "format": "uuid"}

    def array(*items: Any, description: str) -> dict[str, Any]:
        return {
            "type": "array",
            "prefixItems": list(items),
            "items": False,
            "minItems": len(items),
            "description": description,
        }

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"UI protocol {SUBPROTOCOL}",
        "description": "A message on the WebSocket; the payloads alone are under $defs/request and $defs/response.",
        "anyOf": [
            *(
                array(uuid, {"const": name}, request, description=f"Request {name}")
                for name, (request, _) in procedures.items()
            ),
            array(uuid, {"type": "object"}, description="Response"),
            array({"const": "refresh"}, description="Something has changed"),
            *(array({"const": name}, schema, description=f"Notification {name}") for name, schema in told.items()),
        ],
        "$defs": {
            "request": {name: request for name, (request, _) in procedures.items()},
            "response": {name: response for name, (_, response) in procedures.items()},
            **defined,
        },
    }


def _tidy(schema: Any) -> Any:
    """The schema with its descriptions in one line: how docstrings are indented depends on the interpreter."""
    if isinstance(schema, dict):
        return {
            name: " ".join(member.split()) if name == "description" and isinstance(member, str) else _tidy(member)
            for name, member in schema.items()
        }
    if isinstance(schema, (list, tuple)):
        return type(schema)(_tidy(item) for item in schema)
    return schema
