"""People at the controls of a run: the control of the fleet, and the UI server in front of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import trio

from simulator.config.load import LoadedConfig
from simulator.control.control import Control, provisioned_of
from simulator.control.fleet import Fleet
from simulator.control.making import Maker
from simulator.control.provisioning import Provisioner
from simulator.events import EventBus
from simulator.failures import UiCannotListen
from simulator.storage.state import State
from simulator.supervision import leaves
from simulator.telemetry.log import get_logger
from simulator.telemetry.statistics import FleetStatistics
from simulator.telemetry.wire_log import WireLog
from simulator.templates.fleet import FleetPlan
from simulator.ui_server.settings import UiSettings

log = get_logger("simulator.ui")


def make_control(
    loaded: LoadedConfig,
    environ: Mapping[str, str],
    *,
    fleet: Fleet,
    bus: EventBus,
    statistics: FleetStatistics,
    wire: WireLog | None,
    plan: FleetPlan,
    maker: Maker,
    central_url: str | None,
    state: State[Any] | None,
    keep_started: Callable[[bool], Awaitable[None]] | None = None,
) -> Control:
    """The control of a run whose fleet has been built.

    :param state: what is kept on disk of stations; None: nothing.
    :param keep_started: lets the next run know whether the fleet runs.
    """
    provisioner = Provisioner(loaded, environ=environ, maker=maker, central_url=central_url)
    return Control(
        fleet=fleet,
        bus=bus,
        statistics=statistics,
        config=loaded.config,
        provisioner=provisioner,
        wire_log=wire,
        forget=_nothing if state is None else state.forget,
        keep_started=keep_started,
        provisioned=provisioned_of(loaded, plan),
    )


def _nothing(hash_id: str) -> None:
    """Nothing is kept of the station."""


class UiService:
    """The UI server of a run, which may move while the run goes on.

    :param root: in which it serves.
    """

    def __init__(self, root: trio.Nursery) -> None:
        self._root = root
        self._settings: UiSettings | None = None
        self._scope: trio.CancelScope | None = None
        self._ended = trio.Event()
        #: Where it listens; empty while it does not.
        self.urls: list[str] = []

    async def open(self, loaded: LoadedConfig, control: Control) -> None:
        """Serve as a configuration says.

        A port that nobody asked for by name may be taken, by another simulator for example: then a free one serves.
        :raises UiCannotListen: an address that was asked for cannot be had.
        """
        settings = _settings_of(loaded)
        try:
            await self._serve(settings, control)
        except UiCannotListen as error:
            if loaded.is_given("uiServer.options.port") or settings.path is not None or settings.port == 0:
                raise
            log.warning("%s; the UI server takes a free port instead", error)
            await self._serve(msgspec.structs.replace(settings, port=0), control)
        self._settings = settings

    async def follow(self, loaded: LoadedConfig, control: Control) -> None:
        """Serve as a changed configuration says: sessions are told goodbye if the server has to move, and only then.

        :raises UiCannotListen: the new address cannot be had. The former one serves on, if it still can.
        """
        settings, former = _settings_of(loaded), self._settings
        if settings == former and self._scope is not None:
            return
        if former is None or self._scope is None:
            await self.open(loaded, control)
            return
        await self.close()
        try:
            await self.open(loaded, control)
        except UiCannotListen as error:
            await self._serve(former, control)
            self._settings = former
            raise UiCannotListen(f"{error}; the UI server stays where it was") from None

    async def close(self) -> None:
        """End the server, if it runs, and wait for its end: a second or two where sessions are open."""
        if self._scope is not None:
            self._scope.cancel()
            await self._ended.wait()

    async def _serve(self, settings: UiSettings, control: Control) -> None:
        # Imported here: the web framework costs most of a second, which a run without a UI need not spend.
        from simulator.ui_server.serve import CannotListen

        try:
            self.urls = await self._root.start(self._run, settings, control)
        except (CannotListen, OSError, ExceptionGroup) as error:
            found = [leaf for leaf in leaves(error) if isinstance(leaf, CannotListen | OSError)]
            if len(found) < len(list(leaves(error))):
                raise
            first = found[0]
            if isinstance(first, CannotListen):
                raise UiCannotListen(str(first)) from None
            reason = first.strerror or first
            raise UiCannotListen(f"the UI server cannot start: {reason}; --no-ui runs without it") from None

    async def _run(self, settings: UiSettings, control: Control, *, task_status: trio.TaskStatus[list[str]]) -> None:
        from simulator.ui_server.serve import serve_ui

        ended = self._ended = trio.Event()
        try:
            with trio.CancelScope() as self._scope:
                await serve_ui(settings, control, task_status=task_status)
        finally:
            self._scope = None
            self.urls = []
            ended.set()


def _settings_of(loaded: LoadedConfig) -> UiSettings:
    return UiSettings.of(loaded.config.ui_server, metrics=_metrics(loaded))


def _metrics(loaded: LoadedConfig) -> bool:
    """``/metrics`` is served unless the configuration says no."""
    return not loaded.is_given("uiServer.metrics.enabled") or loaded.config.ui_server.metrics.enabled
