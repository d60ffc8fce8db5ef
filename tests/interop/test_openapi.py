"""The OpenAPI document against the server: requests that its schemas allow, and the answers that they promise.

Schemathesis makes the requests, the same ones in each run. Each is sent over HTTP to a live simulator.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
import trio

from tests.ui.house import UiServer, ui_house

if find_spec("schemathesis") is None:
    if os.environ.get("INTEROP_REQUIRED"):
        raise RuntimeError("missing: the Python package schemathesis")
    pytest.skip("the Python package schemathesis is missing", allow_module_level=True)

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

#: Requests to each operation.
EXAMPLES = 8


def hold_to_the_document(server: UiServer) -> dict[str, list[int]]:
    """Call every operation; returns the statuses by its path. Blocks: to be run in a thread."""
    base = f"http://127.0.0.1:{server.port}"
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    answered: dict[str, list[int]] = {}
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        # Its end is no answer that later operations could be held to: last, in a test of its own.
        if operation.path.endswith("/stopSimulator"):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def hold(case: Any) -> None:
            response = case.call(base_url=base, timeout=60)
            answered.setdefault(case.operation.path, []).append(response.status_code)
            case.validate_response(response, checks=CHECKS)

        hold()
    return answered


@pytest.mark.interop
@pytest.mark.timeout(240)
async def test_whatever_the_document_allows_is_answered_as_it_promises() -> None:
    async with ui_house() as house, house.serving() as server:
        await house.ready()
        answered = await trio.to_thread.run_sync(hold_to_the_document, server)
        document = (await server.http("GET", "/openapi.json")).json()
        assert answered.keys() == document["paths"].keys() - {"/ui/0.0.1/stopSimulator"}
        statuses = {status for found in answered.values() for status in found}
        assert statuses == {200, 400}
        assert (await house.call("simulatorState"))["status"] == "success"
