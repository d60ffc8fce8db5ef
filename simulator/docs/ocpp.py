"""What the stations speak: tables made by asking a station and by reading its source."""

from __future__ import annotations

import ast
import logging
import pkgutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random

import trio

import simulator.station
from simulator.clock import Clock
from simulator.docs.acceptance import test_pinning
from simulator.docs.markdown import IDLE, NOTHING, code, sentence, table
from simulator.events import CallReceived, EventBus
from simulator.ids import MessageIds
from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.frames import Call
from simulator.ocpp.v16.messages import (
    CENTRAL_SYSTEM_ACTIONS,
    CHARGE_POINT_ACTIONS,
    FEATURE_PROFILES,
    REQUESTS,
    profile_of,
)
from simulator.ocpp.validation import PayloadValidator
from simulator.station import keys as keys_module
from simulator.station import standard_keys as standard_keys_module
from simulator.station.services import StationServices
from simulator.station.standard_keys import STANDARD_KEYS
from simulator.station.station import ChargingStation
from simulator.templates.info import resolve_station
from simulator.templates.load import build_template
from simulator.transport.websocket import Dialer

#: Keys by which the station tells about itself, or that bound other keys by their name.
TELLING = frozenset({"NumberOfConnectors", "ConnectorPhaseRotation", "SupportedFeatureProfiles"}) | {
    name for name in STANDARD_KEYS if name.endswith("DataMaxLength") or name == "ConnectorPhaseRotationMaxLength"
}

_YES = "yes"
_NOT_YET = "not yet"


def ocpp_commands() -> str:
    """Every command of OCPP 1.6 by feature profile and direction, and whether it is there."""
    taken, sent = answered_actions(), sent_actions()
    rows = []
    for profile, actions in FEATURE_PROFILES.items():
        for action in sorted(actions):
            to_station = _YES if action in taken else _NOT_YET
            from_station = _YES if action in sent else _NOT_YET
            rows.append(
                (
                    profile,
                    code(action),
                    to_station if action in CENTRAL_SYSTEM_ACTIONS else NOTHING,
                    from_station if action in CHARGE_POINT_ACTIONS else NOTHING,
                )
            )
    return table(("Profile", "Command", "Central system to station", "Station to central system"), rows)


def ocpp_keys() -> str:
    """The configuration keys that every station has or knows."""
    acting = keys_with_effect()
    rows = []
    for name, key in STANDARD_KEYS.items():
        meaning = sentence(key.what)
        if name not in acting and name not in TELLING and "stored only" not in key.what:
            meaning = f"{meaning} {IDLE}"
        default = NOTHING if key.default is None else code(key.default) if key.default else "empty"
        access = "R" if key.read_only else "RW"
        rows.append((code(name), key.kind.value, access, default, meaning, test_pinning(name)))
    return table(("Key", "Kind", "Access", "Value if the template sets none", "Effect", "Test"), rows)


@cache
def answered_actions() -> frozenset[str]:
    """The requests that a station carries out: those of the profiles that it offers and that it does not refuse."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # the station complains about what it is asked here
    try:
        return trio.run(_ask)
    finally:
        logging.disable(disabled)


async def _ask() -> frozenset[str]:
    answers: dict[str, str | None] = {}
    bus = EventBus()
    bus.subscribe(CallReceived, lambda event: answers.update({event.action: event.error}))
    services = StationServices(
        clock=Clock(), bus=bus, dialer=Dialer(), validator=PayloadValidator(), message_ids=MessageIds()
    )
    document = {"baseName": "CS", "chargePointModel": "M", "chargePointVendor": "V", "Connectors": {"0": {}, "1": {}}}
    loaded = build_template(document, Path("station.json"))
    info = resolve_station(loaded, 1, station_id="CS-1", hash_id="0", rng=Random(0))
    station = ChargingStation(info, services, supervision_url="ws://localhost/")
    for action in sorted(CENTRAL_SYSTEM_ACTIONS):
        # A member that no request has: whoever knows the action refuses the content, and nothing happens.
        station.dispatcher.on_call(Call("1", action, {"noSuchMember": 1}))
    # Some actions of a missing profile are answered by a status that says so. "Security" is no profile of the standard.
    offered = {"Security", *station.keys.items("SupportedFeatureProfiles")}
    refusals = {ErrorCode.NOT_SUPPORTED, ErrorCode.NOT_IMPLEMENTED}
    return frozenset(
        action for action, error in answers.items() if error not in refusals and profile_of(action) in offered
    )


def sent_actions() -> frozenset[str]:
    """The requests of a charge point that the station's modules make."""
    made = {
        node.func.id
        for _, tree in _station_sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return frozenset(action for action in CHARGE_POINT_ACTIONS if REQUESTS[action].__name__ in made)


def keys_with_effect() -> frozenset[str]:
    """The standard keys that the station's modules name, those of the keys themselves left out."""
    own = {keys_module.__name__, standard_keys_module.__name__}
    named = {
        node.value
        for name, tree in _station_sources()
        if name not in own
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return frozenset(STANDARD_KEYS) & named


@cache
def _station_sources() -> tuple[tuple[str, ast.Module], ...]:
    found = []
    for module in pkgutil.walk_packages(simulator.station.__path__, f"{simulator.station.__name__}."):
        spec = find_spec(module.name)
        if spec is not None and spec.origin is not None:
            found.append((module.name, ast.parse(Path(spec.origin).read_text(encoding="utf-8"))))
    return tuple(found)
