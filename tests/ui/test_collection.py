"""The request collection and the other published files: complete, up to date, and every request works."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import trio

import ui_protocol
from simulator.ui_server.openapi import openapi_document
from tests.ui.house import ANYWHERE, PATIENCE, House, UiServer, ui_house
from ui_protocol.procedures import PROCEDURES
from ui_protocol.publish import published
from ui_protocol.schemas import protocol_schema

FOLDER = Path(ui_protocol.__file__).parent
LOCKED = msgspec.structs.replace(ANYWHERE, username="admin", password="admin")

#: These change what the others need; they come last, in this order.
LAST = ("setSupervisionUrl", "powerCycle", "deleteChargingStations", "stopSimulator", "startSimulator")

#: Requests of the collection that a fleet may refuse as it is, with the reason that it gives.
REFUSED = {
    "stopTransaction": r"does not run transaction 1",
    "dataTransfer": r"UnknownVendorId",
    "signCertificate": r"Rejected|NotSupported|NotImplemented",
    "plugIn": r"plugged in at connector 1 already",
    "unlockConnector": r"a transaction runs",
    "deleteChargingStations": r"taken out",
}


def collection() -> dict[str, Any]:
    text = (FOLDER / "Insomnia_CSSimulatorUIProtocol.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [resource for resource in collection()["resources"] if resource["_type"] == kind]


def environment(server: UiServer | None = None) -> dict[str, str]:
    (found,) = of_kind("environment")
    data: dict[str, str] = found["data"]
    if server is not None:
        data |= {"baseUrl": f"http://127.0.0.1:{server.port}", "webSocketUrl": server.web_socket_url}
    return data


def rendered(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{\{ _\.(\w+) \}\}", lambda match: values[match[1]], text)


def validator(schema: dict[str, Any], kind: str, name: str) -> Any:
    return jsonschema.Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{kind}/{name}"})


def in_order(names: list[str]) -> list[str]:
    return [name for name in names if name not in LAST] + [name for name in LAST if name in names]


#: What takes stations off the line, and what brings them back for the next request.
BACK = {"stopChargingStation": "startChargingStation", "closeConnection": "openConnection"}


async def restore(house: House, name: str) -> None:
    """After a request that took the stations off the line, bring them back."""
    if name in BACK:
        assert (await house.call(BACK[name]))["status"] == "success"
        await house.online()


def check(name: str, answer: dict[str, Any]) -> None:
    if PROCEDURES[name].group == "OCPP 2.x":
        assert answer["errorMessage"] == "no station speaks OCPP 2.x"
    elif answer["status"] == "failure":
        assert name in REFUSED, (name, answer)
        assert re.search(REFUSED[name], json.dumps(answer)), (name, answer)


async def prepare(house: House) -> None:
    await house.ready()
    house.central.on("SignCertificate", {"status": "Rejected"})


def test_the_published_files_are_up_to_date() -> None:
    for name, text in published().items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python -m ui_protocol.publish"


def test_every_procedure_is_in_the_collection_in_both_forms() -> None:
    http = {request["name"] for request in of_kind("request")}
    assert http == {name for name, procedure in PROCEDURES.items() if procedure.group != "Session"}
    payloads = {payload["parentId"]: payload["name"] for payload in of_kind("websocket_payload")}
    assert {payloads[request["_id"]] for request in of_kind("websocket_request")} == set(PROCEDURES)


def test_the_collection_hangs_together() -> None:
    identities = [resource["_id"] for resource in collection()["resources"]]
    assert len(set(identities)) == len(identities)
    for resource in collection()["resources"]:
        assert resource["parentId"] is None or resource["parentId"] in identities
    values = environment()
    for text in re.findall(r"\{\{ _\.(\w+) \}\}", json.dumps(collection())):
        assert text in values


async def test_every_http_request_of_the_collection_works() -> None:
    async with ui_house() as house:
        await prepare(house)
        async with house.serving(LOCKED) as server:
            values = environment(server)
            requests = {request["name"]: request for request in of_kind("request")}
            for name in in_order(list(requests)):
                request = requests[name]
                url = rendered(request["url"], values)
                assert url.startswith(values["baseUrl"])
                login = request["authentication"]
                user, password = rendered(login["username"], values), rendered(login["password"], values)
                headers = {each["name"]: each["value"] for each in request["headers"]}
                headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
                answer = await server.http(
                    request["method"],
                    url.removeprefix(values["baseUrl"]),
                    rendered(request["body"]["text"], values).encode(),
                    headers,
                )
                assert answer.status == (200 if answer.json()["status"] == "success" else 400)
                check(name, answer.json())
                await restore(house, name)


async def test_every_websocket_request_of_the_collection_works_and_fits_the_schema() -> None:
    schema = protocol_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    async with ui_house() as house:
        await prepare(house)
        async with house.serving(LOCKED) as server:
            values = environment(server)
            token = base64.b64encode(b"admin:admin").decode().rstrip("=")
            async with server.session(values["subprotocol"], f"authorization.basic.{token}") as session:
                requests = {payload["name"]: payload for payload in of_kind("websocket_payload")}
                for name in in_order(list(requests)):
                    text = rendered(requests[name]["value"], values)
                    validator(schema, "request", name).validate(json.loads(text)[2])
                    session.connection.post(text)
                    with trio.fail_after(PATIENCE):
                        while (message := await session.receive())[0] != json.loads(text)[0]:
                            pass
                    check(name, message[1])
                    await restore(house, name)
                    validator(schema, "response", name).validate(message[1])


@pytest.mark.parametrize("authentication", [False, True])
def test_the_openapi_document_refers_to_what_it_defines(authentication: bool) -> None:
    document = openapi_document(authentication=authentication)
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in document["components"]["schemas"]
    assert ("security" in document) is authentication
    assert "{{" not in text
