"""The request collection for Insomnia, over HTTP and over a WebSocket; made from the table of procedures.

``python -m ui_protocol.publish`` writes it.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from ui_protocol import PROTOCOL, SUBPROTOCOL, VERSION
from ui_protocol.procedures import PROCEDURES
from ui_protocol.samples import HASH_ID, OTHER_HASH_ID, SAMPLES

_WORKSPACE = "wrk_ui_protocol"
#: An instant that never changes: the file must not differ from one writing to the next.
_WRITTEN = 1_700_000_000_000

ENVIRONMENT = {
    "baseUrl": "http://localhost:8080",
    "webSocketUrl": "ws://localhost:8080",
    "protocol": PROTOCOL,
    "version": VERSION,
    "subprotocol": SUBPROTOCOL,
    "username": "admin",
    "password": "admin",
    "hashId": HASH_ID,
    "otherHashId": OTHER_HASH_ID,
}


def collection() -> dict[str, Any]:
    """The collection as an Insomnia export (format 4)."""
    resources: list[dict[str, Any]] = [
        _resource(
            "workspace",
            _WORKSPACE,
            None,
            name="CSSimulatorUIProtocolCollection",
            description=f"Every procedure of the UI protocol {SUBPROTOCOL}",
            scope="collection",
        ),
        _resource(
            "environment",
            "env_ui_protocol",
            _WORKSPACE,
            name="CSSimulatorUIProtocolEnvironment",
            data=ENVIRONMENT,
            dataPropertyOrder={"&": list(ENVIRONMENT)},
            color=None,
            isPrivate=False,
        ),
        _resource("request_group", "fld_http", _WORKSPACE, name="HTTP", metaSortKey=1),
        _resource("request_group", "fld_websocket", _WORKSPACE, name="WebSocket", metaSortKey=2),
    ]
    for number, procedure in enumerate(PROCEDURES.values()):
        payload = SAMPLES[procedure.name]
        if procedure.group != "Session":
            resources.append(_http(procedure.name, procedure.does, payload, number))
        resources += _websocket(procedure.name, procedure.does, payload, number)
    return {
        "_type": "export",
        "__export_format": 4,
        "__export_date": "2023-11-14T22:13:20.000Z",
        "__export_source": "insomnia.desktop.app:v10.0.0",
        "resources": resources,
    }


def _http(name: str, does: str, payload: dict[str, Any], number: int) -> dict[str, Any]:
    return _resource(
        "request",
        f"req_http_{name}",
        "fld_http",
        name=name,
        description=does,
        method="POST",
        url=f"{{{{ _.baseUrl }}}}/{{{{ _.protocol }}}}/{{{{ _.version }}}}/{name}",
        body={"mimeType": "application/json", "text": json.dumps(payload, indent=2)},
        headers=[{"name": "Content-Type", "value": "application/json"}],
        parameters=[],
        authentication=_AUTHENTICATION,
        metaSortKey=number,
    )


def _websocket(name: str, does: str, payload: dict[str, Any], number: int) -> list[dict[str, Any]]:
    request = f"ws-req_{name}"
    # The same one in each writing; a client may use it again once it is answered.
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{SUBPROTOCOL}/{name}"))
    return [
        _resource(
            "websocket_request",
            request,
            "fld_websocket",
            name=name,
            description=does,
            url="{{ _.webSocketUrl }}",
            headers=[{"name": "Sec-WebSocket-Protocol", "value": "{{ _.subprotocol }}"}],
            parameters=[],
            authentication=_AUTHENTICATION,
            metaSortKey=number,
        ),
        _resource(
            "websocket_payload",
            f"ws-payload_{name}",
            request,
            name=name,
            mode="application/json",
            value=json.dumps([identity, name, payload], indent=2),
        ),
    ]


_AUTHENTICATION = {
    "type": "basic",
    "disabled": False,
    "useISO88591": False,
    "username": "{{ _.username }}",
    "password": "{{ _.password }}",
}


def _resource(kind: str, identity: str, parent: str | None, **members: Any) -> dict[str, Any]:
    return {
        "_id": identity,
        "_type": kind,
        "parentId": parent,
        "created": _WRITTEN,
        "modified": _WRITTEN,
        **members,
    }
