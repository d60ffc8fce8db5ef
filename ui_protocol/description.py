"""The description of the protocol for people, made from its types."""

from __future__ import annotations

import json
from typing import Any

from ui_protocol import SUBPROTOCOL, VERSION
from ui_protocol.procedures import PROCEDURES, Group, Procedure
from ui_protocol.samples import HASH_IDS, SAMPLES
from ui_protocol.schemas import components

_HEAD = f"""\
# UI protocol {SUBPROTOCOL}

Made by `python -m ui_protocol.publish`; do not edit.

The protocol controls a running simulator. One port serves all of it: a WebSocket, HTTP, the dashboard at `/`, an
OpenAPI document at `/openapi.json`, metrics at `/metrics`. `simulator ctl PROCEDURE [JSON]` calls a procedure from
the command line. Beside this file are the JSON Schema of all messages (`{SUBPROTOCOL}.schema.json`) and a
collection of requests for [Insomnia](https://insomnia.rest) (`Insomnia_CSSimulatorUIProtocol.json`).

## WebSocket

Any path, sub-protocol `{SUBPROTOCOL}`. Text frames, JSON:

| Message | Form |
|---|---|
| Request | `[uuid, procedure, payload]` |
| Response | `[uuid, payload]` |
| Something has changed | `["refresh"]`, at most once a second |
| Changed stations, if subscribed to | `["stations", {{"changed": [], "removed": [], "total": 0}}]`, likewise |
| Frames of the OCPP wire, if subscribed to | `["messages", {{"messages": [], "skipped": false}}]`, likewise |

Every request is answered, in the order in which the answers are ready. What is no request ends the connection with
code 1007, a connection without the sub-protocol with 1002; when the simulator ends, so does the connection, with
1001.

## HTTP

`POST /ui/{VERSION}/<procedure>`; the body is the payload (empty: `{{}}`), and so is that of the answer. Status 200
for `success`, 400 for `failure`, 401 without credentials, 403 from where it is not allowed, 429 after too many
wrong passwords.

## Credentials

With `uiServer.authentication` a client sends HTTP Basic credentials; on a WebSocket it may instead offer a second
sub-protocol `authorization.basic.<base64 of user:password without padding>`.

## Answers

`status` is `success` or `failure`; a failure says why in `errorMessage`. A procedure that every station carries out
for itself (those below with `hashIds`, unless an answer of their own is given) tells which did (`hashIdsSucceeded`)
and which did not (`hashIdsFailed`), and why (`responsesFailed`: the central system's answer as `commandResponse`,
or a line as `errorMessage`). It is a success if every station was one. Without `hashIds` all stations are meant; an
empty list is a failure. A station without connection fails at once, one that the central system does not answer
after a time. Members of the payload that a procedure does not know are passed over and named in `warnings`.
Passwords, authorization keys and private keys are in no answer.

## Procedures
"""


def description() -> str:
    """The description as Markdown."""
    procedures, _, defined = components("#/{name}")
    lines = [_HEAD]
    group: Group | None = None
    for procedure in PROCEDURES.values():
        if procedure.group != group:
            group = procedure.group
            lines.append(f"### {group}\n")
        lines += _procedure(procedure, procedures[procedure.name], defined)
    return "\n".join(lines).rstrip() + "\n"


def _procedure(procedure: Procedure, schemas: tuple[Any, Any], defined: dict[str, Any]) -> list[str]:
    lines = [f"#### {procedure.name}\n", f"{procedure.does}.\n"]
    members = list(_members(schemas[0], defined))
    if members:
        lines += ["| Parameter | Type | |", "|---|---|---|", *members, ""]
    sample = SAMPLES[procedure.name]
    if sample:
        text = json.dumps(sample).replace(HASH_IDS[0], "<hashId>").replace(HASH_IDS[1], "<another hashId>")
        lines += ["```json", text, "```\n"]
    own = [line for line in _members(schemas[1], defined) if not procedure.of_stations and not _is_common(line)]
    if own:
        lines += ["| Answer | Type | |", "|---|---|---|", *own, ""]
    return lines


def _is_common(line: str) -> bool:
    return line.startswith(("| `status`", "| `command`", "| `requestPayload`", "| `errorMessage`", "| `warnings`"))


def _members(schema: dict[str, Any], defined: dict[str, Any]) -> list[str]:
    schema = _resolved(schema, defined)
    required = schema.get("required", ())
    return [
        f"| `{name}` | {_type(member, defined)} | {_about(member, required=name in required)} |"
        for name, member in schema.get("properties", {}).items()
    ]


def _about(member: dict[str, Any], *, required: bool) -> str:
    parts = [part for part in ("required" if required else "", member.get("description", "")) if part]
    return "; ".join(parts).replace("|", "\\|")


def _type(schema: dict[str, Any], defined: dict[str, Any]) -> str:
    if "anyOf" in schema:
        kinds = [_type(kind, defined) for kind in schema["anyOf"] if kind.get("type") != "null"]
        return " or ".join(kinds)
    if "$ref" in schema:
        target = _resolved(schema, defined)
        if "enum" in target:
            return _values(target["enum"])
        inner = ", ".join(f"`{name}`" for name in target.get("properties", {}))
        return f"object of {inner}" if inner else "object"
    if "enum" in schema:
        return _values(schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}), defined)}"
    return str(kind)


def _values(values: list[Any]) -> str:
    shown = [f"`{value}`" for value in values]
    return " ".join(shown)


def _resolved(schema: dict[str, Any], defined: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = defined[schema["$ref"].rpartition("/")[2]]
    return schema
