"""People at the controls of a run: the control of the fleet, and the UI server in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import trio

from simulator.config.load import LoadedConfig
from simulator.control.control import Control
from simulator.control.fleet import Fleet
from simulator.control.provisioning import Provisioner
from simulator.events import EventBus
from simulator.station.memory import NoStore
from simulator.station.memory_parts import kept_info
from simulator.station.station import station_random
from simulator.storage.state import State
from simulator.supervision import leaves
from simulator.telemetry.log import get_logger
from simulator.telemetry.statistics import FleetStatistics
from simulator.telemetry.wire_log import WireLog
from simulator.ui_server.settings import UiSettings

log = get_logger("simulator.ui")


class UiCannotListen(Exception):
    """The UI server found no address to listen on; the text is one line for the user."""


def make_control(
    loaded: LoadedConfig,
    environ: Mapping[str, str],
    *,
    fleet: Fleet,
    bus: EventBus,
    statistics: FleetStatistics,
    wire: WireLog | None,
    seed: int | None,
    central_url: str | None,
    state: State[Any] | None,
) -> Control:
    """The control of a run whose fleet has been built.

    :param state: what is kept on disk of stations; None: nothing.
    """
    provisioner = Provisioner(
        loaded,
        environ=environ,
        random_of=lambda hash_id: station_random(seed, f"{hash_id}:info"),
        central_url=lambda: central_url,
        kept=partial(kept_info, NoStore() if state is None else state.files),
    )
    return Control(
        fleet=fleet,
        bus=bus,
        statistics=statistics,
        config=loaded.config,
        provisioner=provisioner,
        wire_log=wire,
        forget=_nothing if state is None else state.forget,
    )


def _nothing(hash_id: str) -> None:
    """Nothing is kept of the station."""


async def open_ui(root: trio.Nursery, loaded: LoadedConfig, control: Control) -> list[str]:
    """Start the UI server of a configuration in ``root``; returns its URLs.

    A port that nobody asked for by name may be taken, by another simulator for example: then a free one serves.
    :raises UiCannotListen: an address that was asked for cannot be had.
    """
    settings = UiSettings.of(loaded.config.ui_server, metrics=_metrics(loaded))
    for warning in settings.warnings():
        log.warning(warning)
    try:
        return await _serve(root, settings, control)
    except UiCannotListen as error:
        if loaded.is_given("uiServer.options.port") or settings.path is not None or settings.port == 0:
            raise
        log.warning("%s; the UI server takes a free port instead", error)
        return await _serve(root, msgspec.structs.replace(settings, port=0), control)


def _metrics(loaded: LoadedConfig) -> bool:
    """``/metrics`` is served unless the configuration says no."""
    return not loaded.is_given("uiServer.metrics.enabled") or loaded.config.ui_server.metrics.enabled


async def _serve(root: trio.Nursery, settings: UiSettings, control: Control) -> list[str]:
    # Imported here: the web framework costs most of a second, which a run without a UI need not spend.
    from simulator.ui_server.serve import CannotListen, serve_ui

    try:
        urls: list[str] = await root.start(serve_ui, settings, control)
    except (CannotListen, OSError, ExceptionGroup) as error:
        found = [leaf for leaf in leaves(error) if isinstance(leaf, CannotListen | OSError)]
        if len(found) < len(list(leaves(error))):
            raise
        first = found[0]
        if isinstance(first, CannotListen):
            raise UiCannotListen(str(first)) from None
        reason = first.strerror or first
        raise UiCannotListen(f"the UI server cannot start: {reason}; --no-ui runs without it") from None
    return urls
