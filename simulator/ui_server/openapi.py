"""The HTTP side of the protocol as an OpenAPI 3.1 document, made from the types of its messages."""

from __future__ import annotations

from typing import Any

from simulator import __version__
from ui_protocol import PROTOCOL, SUBPROTOCOL, VERSION
from ui_protocol.procedures import PROCEDURES
from ui_protocol.samples import HASH_ID, HASH_IDS, OTHER_HASH_ID, SAMPLES
from ui_protocol.schemas import components


def openapi_document(*, authentication: bool) -> dict[str, Any]:
    """The document. ``authentication``: whether credentials are needed."""
    procedures, _, schemas = components("#/components/schemas/{name}")
    paths: dict[str, Any] = {
        f"/{PROTOCOL}/{VERSION}/{name}": {
            "post": {
                "operationId": name,
                "summary": procedure.does,
                "tags": [procedure.group],
                "requestBody": {
                    "content": {"application/json": {"schema": procedures[name][0], "example": _example(SAMPLES[name])}}
                },
                "responses": {
                    "200": _answer("Success", procedures[name][1]),
                    # What did not get as far as the stations has only the members that every answer has.
                    "400": _answer(
                        "Failure, with its reason",
                        procedures[name][1] if procedure.of_stations else {"$ref": "#/components/schemas/Response"},
                    ),
                    **_REFUSALS,
                },
            }
        }
        for name, procedure in PROCEDURES.items()
        if procedure.group != "Session"
    }
    paths["/healthz"] = {
        "get": {
            "operationId": "healthz",
            "summary": "Whether the simulator is there; needs no credentials",
            "tags": ["Server"],
            "security": [],
            "responses": {"200": {"description": "It is", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        }
    }
    paths["/metrics"] = {
        "get": {
            "operationId": "metrics",
            "summary": "Metrics of the fleet for Prometheus",
            "tags": ["Server"],
            "responses": {"200": {"description": "Metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}},
        }
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Charging station simulator",
            "version": __version__,
            "description": f"The UI protocol {SUBPROTOCOL} over HTTP. The same procedures are served over a WebSocket.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    }
    if authentication:
        document["security"] = [{"basic": []}]
    return document


_REFUSALS = {
    "401": {"description": "Credentials are missing or wrong"},
    "403": {"description": "Not allowed from there"},
    "413": {"description": "The payload is too large"},
    "429": {"description": "Too many wrong passwords"},
}


def _answer(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _example(sample: Any) -> Any:
    if isinstance(sample, dict):
        return {name: _example(member) for name, member in sample.items()}
    if isinstance(sample, list):
        return [_example(item) for item in sample]
    return {HASH_IDS[0]: HASH_ID, HASH_IDS[1]: OTHER_HASH_ID}.get(sample, sample) if isinstance(sample, str) else sample
