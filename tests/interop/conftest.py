"""Which central systems there are to test against."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import pytest

from tests.interop.foreign import HERE


def missing(name: str) -> str | None:
    """Which part of a central system is not installed."""
    if name == "mobilityhouse":
        return None if find_spec("websockets") else "the Python package websockets"
    if shutil.which("node") is None:
        return "node"
    return None if (HERE / "node_modules" / "ocpp-rpc").is_dir() else "npm install in tests/interop"


def require(package: str) -> None:
    """Go on only if Node.js and that package are there; in the session of these tests they must be."""
    part = "node" if shutil.which("node") is None else None
    if part is None and not (HERE / "node_modules" / package).is_dir():
        part = "npm install in tests/interop"
    if part is not None:
        (pytest.fail if os.environ.get("INTEROP_REQUIRED") else pytest.skip)(f"missing: {part}")


@pytest.fixture(params=["mobilityhouse", "ocpp-rpc"])
def name(request: pytest.FixtureRequest) -> str:
    """The central system to test against."""
    chosen: str = request.param
    if part := missing(chosen):
        # In its own session everything must be there; who runs all tests by hand need not have it.
        (pytest.fail if os.environ.get("INTEROP_REQUIRED") else pytest.skip)(f"missing: {part}")
    return chosen
