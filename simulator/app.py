"""The composition root: builds the parts of one run, opens the root nursery, and owns the order of start and stop."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from simulator import collector
from simulator.clock import Alarm, Clock
from simulator.config.load import LoadedConfig
from simulator.config.model import SimulatorConfig
from simulator.control.fleet import Fleet, stop_within
from simulator.control.making import Maker
from simulator.control.pacing import Pace
from simulator.control.reload import Follow, Reading, Reload, Sources
from simulator.events import EventBus, Registered, Timed
from simulator.failures import UiCannotListen
from simulator.following import RunFollower
from simulator.ids import MessageIds
from simulator.interrupts import STOP_SIGNALS
from simulator.ocpp.validation import PayloadValidator
from simulator.outbox import Outbox
from simulator.run_log import Logs, RunWireFiles
from simulator.station.journal import AnyRecord, NoJournal, StationPast
from simulator.station.memory import NoStore
from simulator.station.services import StationServices
from simulator.station.station import END_WITHIN
from simulator.storage.certificates import CertificateFiles
from simulator.storage.journal_lines import Kinds
from simulator.storage.performance.records import Unusable
from simulator.storage.performance.storage import PerformanceStorage
from simulator.storage.run_state import RunState
from simulator.storage.state import State
from simulator.supervision import guard, leaves
from simulator.telemetry.diagnostics import ProcessDiagnostics
from simulator.telemetry.log import current_log_file, get_logger
from simulator.telemetry.process import SpeedProbe, max_rss_mib
from simulator.telemetry.statistics import FleetStatistics
from simulator.telemetry.wire_log import WireLog
from simulator.templates.fleet import FleetPlan
from simulator.templates.load import LoadedTemplate
from simulator.transport.connection import Limits
from simulator.transport.hub import AVAILABLE as HAS_EPOLL
from simulator.transport.hub import open_hub
from simulator.transport.websocket import Dialer

if TYPE_CHECKING:
    from simulator.control.control import Control
    from simulator.csms.central import CentralSystem
    from simulator.csms.ledger_file import LedgerFile
    from simulator.steering import UiService

log = get_logger("simulator")

#: Seconds between heartbeats that the embedded central system asks for.
HEARTBEAT_INTERVAL = 60

#: Wall seconds for a closing handshake. With the time that stations have to end in order it stays below 5 seconds,
#: also when the central system has fallen silent.
CLOSE_WITHIN = 1.0

#: Wall seconds for the writing of stations' files when everything has ended.
FINISH_WITHIN = 5.0

#: Wall seconds from the wish to stop within which performance records are written, so that the program ends within 5;
#: and the least that they get, where stations have taken longer.
RECORDS_WITHIN = 3.5
RECORDS_AT_LEAST = 0.5

#: Wall seconds that the garbage collector waits at most for the fleet to come up.
COME_UP_WITHIN = 60.0

#: What the embedded central system knows of transactions, in the data directory.
CENTRAL_LEDGER = "central-system.jsonl"

#: What is said where the fleet waits for people.
HELD = (
    "stopSimulator had ended the fleet in the last run, and it stays so until startSimulator; "
    "SIMULATOR_COLD_START=1 in the environment, or persistState false, lets it start"
)

#: What the transaction journal holds.
JOURNAL_KINDS = Kinds(StationPast, msgspec.json.Decoder(AnyRecord).decode)

#: Stations that are made before signals and connections get their turn.
BATCH = 50


class CannotListen(Exception):
    """The embedded central system found no address to listen on; the text is one line for the user."""


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What one run is asked to do, besides its configuration.

    ``duration`` in wall seconds, None: until a signal. ``embedded``: bring a central system along for stations that
    name none. ``ui``: serve the UI, if the configuration does not switch it off.
    """

    seed: int | None = None
    speed: float = 1.0
    duration: float | None = None
    embedded: bool = False
    ui: bool = True


class Simulator:
    """One run of the simulator.

    :param sources: reads the files again when they change; None: they count as they are now until the end.
    :param watch: a coroutine that shows the run to somebody; it runs beside the fleet and ends with it.
    :param interrupted: whether a signal came before the run could listen for signals: it stops at once then.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        plan: FleetPlan,
        options: RunOptions,
        *,
        sources: Sources | None = None,
        watch: Callable[[Simulator], Awaitable[None]] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config: SimulatorConfig = loaded.config
        self._loaded = loaded
        self.options = options
        self._pace = Pace.of(self.config.worker, delay_given=loaded.is_given("worker.startDelay"))
        self._plan = plan
        self._sources = sources
        self._watch = watch
        self._interrupted = interrupted
        self.bus = EventBus()
        self._outbox = Outbox()
        #: The latest frames of the OCPP wire; read only where somebody can look at them.
        memory = self.config.wire_log.memory
        self.wire = WireLog(self.bus, budget=memory) if self.has_ui and memory else None
        self.statistics = FleetStatistics(self.bus, configured=len(plan.stations), keeps_actions=self._keeps_actions)
        self.central: CentralSystem | None = None
        self._ledger_file: LedgerFile | None = None
        #: Where the embedded central system listens.
        self.central_url: str | None = None
        #: Set once the UI server listens.
        self.ui_open = trio.Event()
        self._ui: UiService | None = None
        #: The log, if it is to follow the configuration.
        self.logs: Logs | None = None
        #: Whoever else follows the configuration while the simulator runs.
        self.followers: list[Follow] = []
        #: Take each line about changed files that people should see, and whether it is about trouble.
        self.news: list[Callable[[str, bool], object]] = []
        self._control: Control | None = None
        self._run_state: RunState | None = None
        #: Whether the fleet waits for ``startSimulator``, because people had ended it in an earlier run.
        self.held = False
        #: Whether the run lasted as long as it was asked to.
        self.lasted = False
        #: Whether every station ended in order within the time given for it.
        self.in_order = False
        #: Whether a second signal ended the run at once.
        self.cut_short = False
        self._stop_wanted = trio.Event()
        self._stop_at = self._begun = time.monotonic()
        self._early: dict[str, tuple[str, float]] = {}
        self._timed_templates: set[Path] = set()
        self._probe = SpeedProbe()
        self.fleet: Fleet
        #: Where performance records go; other settings may be used while it runs.
        self.performance: PerformanceStorage
        self.clock: Clock

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self, data_directory: Path | None = None) -> dict[str, Any]:
        """Run until the duration is over or a signal comes, end in order, and return the summary.

        :param data_directory: where stations keep what outlives the run; None: nowhere.

        First SIGINT or SIGTERM: the ordered stop. Second: cancel everything.

        :raises CannotListen: there is no address for the embedded central system.
        :raises Unusable: performance records cannot be stored as the configuration says.
        """
        self._begun = time.monotonic()
        self.performance = PerformanceStorage(self.statistics.fresh_records, data_directory or Path())
        state = None if data_directory is None else State(data_directory, JOURNAL_KINDS)
        self._wire_files = None if data_directory is None else RunWireFiles(self.config, self.bus, data_directory)
        try:
            with collector.resting():
                async with self._open_dialer() as dialer, trio.open_nursery() as root:
                    await self._run(root, dialer, state, data_directory)
        finally:
            if self._ledger_file is not None:
                self._ledger_file.close()
            within = FINISH_WITHIN if self.in_order else FINISH_WITHIN / 4
            async with trio.open_nursery() as ending:
                ending.start_soon(self.performance.close, self._time_for_records())
                if state is not None:
                    ending.start_soon(state.close, within)
                if self._wire_files is not None:
                    await self._wire_files.close()
        return self.summary()

    def _time_for_records(self) -> float:
        """Wall seconds that are left for performance records; a fleet that may take longer to end gives them more."""
        if not self.in_order:
            return RECORDS_AT_LEAST
        more = stop_within(len(self.fleet)) - END_WITHIN
        return max(RECORDS_AT_LEAST, RECORDS_WITHIN + more - (time.monotonic() - self._stop_at))

    @asynccontextmanager
    async def _open_dialer(self) -> AsyncIterator[Dialer]:
        """What opens the stations' connections. It outlives them: they close in order when the root is cancelled."""
        limits = Limits(close_timeout=CLOSE_WITHIN)
        if self.config.transport == "websocket" or not HAS_EPOLL:
            yield Dialer(limits=limits)
            return
        async with open_hub(self._outbox) as hub:
            yield Dialer(limits=limits, hub=hub, hub_only=self.config.transport == "hub")

    async def _run(
        self, root: trio.Nursery, dialer: Dialer, state: State[StationPast] | None, directory: Path | None
    ) -> None:
        await root.start(self._obey_signals, root.cancel_scope)
        if state is not None:
            await state.read()
        # Never earlier than what earlier runs have written, which may have lived faster.
        self.clock = Clock(
            start=max(time.time(), state.journal.latest if state else 0.0),
            speed=self.options.speed,
            grid=self.config.timer_grid / 1000,
            outbox=self._outbox,
        )
        await root.start(self.clock.run)
        if self.options.embedded:
            from simulator.csms.central import CentralSystem
            from simulator.csms.ledger_file import LedgerFile
            from simulator.csms.policy import BootPolicy

            self.central = CentralSystem(now=self.clock.now, boot=BootPolicy(interval=HEARTBEAT_INTERVAL))
            if directory is not None:
                self._ledger_file = LedgerFile(directory / CENTRAL_LEDGER)
                self.central.ledger.restore(await trio.to_thread.run_sync(self._ledger_file.open))
                self.central.ledger.changed = self._ledger_file.write
            self.central_url = await _listen(root, self.central)
        await self.performance.use(self.config.performance_storage)
        self._start_telemetry(root)
        await self._build_fleet(dialer, state, directory)
        if state is not None:
            state.start(root)
        self._state, self._root = state, root
        await self._learn_whether_held(directory)
        # First of all: it may fail for a reason that the user can mend, and a large fleet takes every file there is.
        await self._open_ui()
        await root.start(partial(self.fleet.run, starts=not self.held))
        root.start_soon(guard, "collector", self._wake_collector)
        reloading = trio.CancelScope()
        if self._sources is not None:
            root.start_soon(self._follow_files, self._sources, reloading)
        root.start_soon(guard, "speed probe", partial(self._probe.run, self.clock))
        if self.options.duration is not None:
            root.start_soon(self._end_after, self.options.duration)
        await self._stop_wanted.wait()
        reloading.cancel()
        self._telling.cancel()
        log.info("stops %s station(s) in order", len(self.fleet))
        if self._control is not None:
            self._control.say_goodbye()
        self._probe.end()
        self.in_order = await self.fleet.stop()
        if not self.in_order:
            log.warning("not every station ended in order within the time given")
        # Cancelling closes what is left: first come the stations' connections, then the central system's.
        root.cancel_scope.cancel()

    async def _wake_collector(self) -> None:
        """Let the garbage collector work again once the fleet has come up, or cannot."""
        up = trio.Event()

        def look(_: Registered) -> None:
            if self.statistics.states().accepted >= len(self.fleet):
                up.set()

        unsubscribe = self.bus.subscribe(Registered, look)
        with trio.move_on_after(COME_UP_WITHIN):
            await up.wait()
        unsubscribe()
        collector.set_aside()

    async def _learn_whether_held(self, directory: Path | None) -> None:
        """Let the fleet wait where people have ended it in an earlier run, and can start it again."""
        if directory is None:
            return
        self._run_state = RunState(directory)
        cold = os.environ.get("SIMULATOR_COLD_START", "").lower() in ("1", "true")
        if cold or not self.has_ui or not self.config.persist_state:
            return
        self.held = not await trio.to_thread.run_sync(self._run_state.read)
        if self.held:
            log.warning("%s", HELD)
            self._tell(HELD, False)

    async def _keep_started(self, started: bool) -> None:
        self.held = self.held and not started
        if self._run_state is not None and self.config.persist_state:
            await trio.to_thread.run_sync(self._run_state.write, started)

    @property
    def has_ui(self) -> bool:
        """Whether the run serves the UI."""
        return self.options.ui and self.config.ui_server.enabled

    @property
    def ui_urls(self) -> list[str]:
        """Where the UI server listens; empty without one."""
        return [] if self._ui is None else self._ui.urls

    async def _open_ui(self) -> None:
        if not self.has_ui or self._stop_wanted.is_set():
            return
        from simulator.steering import UiService, make_control

        if self._control is None:
            self._open_wire_log()
            self._control = make_control(
                self._loaded,
                os.environ,
                fleet=self.fleet,
                bus=self.bus,
                statistics=self.statistics,
                wire=self.wire,
                plan=self._plan,
                maker=self._maker,
                central_url=self.central_url,
                state=self._state,
                keep_started=self._keep_started,
            )
            self._control.started = not self.held
        if self._ui is None:
            self._ui = UiService(self._root)
        await self._ui.follow(self._loaded, self._control)
        self.ui_open.set()
        log.info("the UI is at %s", self.ui_urls[0])

    def _open_wire_log(self) -> None:
        """Keep frames, or keep more or fewer of them, as the configuration says now; those that are kept stay."""
        memory = self.config.wire_log.memory
        if self.wire is not None:
            self.wire.budget = memory
        elif memory:
            self.wire = self._diagnostics.wire = WireLog(self.bus, budget=memory)
            if self._control is not None:
                self._control.wire_log = self.wire

    # -- files that change -------------------------------------------------------------------------------------------

    async def _follow_files(self, sources: Sources, scope: trio.CancelScope) -> None:
        """Follow changes of the files until the scope is cancelled."""
        follower = RunFollower(
            fleet=self.fleet,
            maker=self._maker,
            statistics=self.statistics,
            control=lambda: self._control,
            taken=self._take,
        )
        reload = Reload(
            sources,
            Reading(self._loaded, self._plan),
            follower.apply,
            more_places=follower.more_places,
            tell=self._tell,
        )
        for follow in (self._follow_config, *self.followers):
            reload.add_follower(follow)
        with scope:
            await guard("watch of files", reload.run)

    def _tell(self, line: str, bad: bool) -> None:
        for hear in self.news:
            hear(line, bad)

    def _take(self, reading: Reading) -> None:
        self._loaded, self.config, self._plan = reading.loaded, reading.loaded.config, reading.plan

    async def _follow_config(self, former: LoadedConfig, now: LoadedConfig) -> None:
        """Let the log and the UI server be as the configuration says."""
        if self.logs is not None:
            await self.logs.follow(now.config)
            self._diagnostics.log_file = current_log_file()
        if self._wire_files is not None:
            await self._wire_files.follow(now.config)
        if former.config.log_statistics_interval != now.config.log_statistics_interval:
            self._statistics_interval.ring()
        for follow in (self._follow_storage, self._follow_ui):
            try:
                await follow()
            except (Unusable, UiCannotListen) as error:
                log.error("%s", error)
                self._tell(str(error), True)

    async def _follow_storage(self) -> None:
        await self.performance.use(self.config.performance_storage)

    async def _follow_ui(self) -> None:
        if self.has_ui:
            self._open_wire_log()
            # If it was off until now: in a thread, for it takes most of a second.
            await trio.to_thread.run_sync(importlib.import_module, "simulator.ui_server.serve")
            await self._open_ui()
        elif self._ui is not None:
            await self._ui.close()
            log.info("the UI is switched off")

    def _keeps_actions(self, hash_id: str) -> bool:
        station = self.fleet.get(hash_id)
        return station is not None and station.info.template.enable_statistics

    def stop(self) -> None:
        """Ask for the ordered stop."""
        if not self._stop_wanted.is_set():
            self._stop_at = time.monotonic()
        self._stop_wanted.set()

    async def _build_fleet(self, dialer: Dialer, state: State[StationPast] | None, directory: Path | None) -> None:
        """Make the stations; a stop that comes meanwhile ends it early."""
        retries = self.config.auto_reconnect_max_retries
        self._diagnostics = ProcessDiagnostics(current_log_file(), real_time=self._real_time, wire=self.wire)
        services = StationServices(
            clock=self.clock,
            bus=self.bus,
            dialer=dialer,
            validator=PayloadValidator(),
            message_ids=MessageIds(),
            diagnostics=self._diagnostics,
            seed=self.options.seed,
            stagger=self.config.stagger,
            auto_reconnect_max_retries=-1 if retries is None else retries,
            journal=NoJournal() if state is None else state.journal,
            store=NoStore() if state is None else state.files,
            certificates=None if directory is None else partial(_certificates, directory / "certificates"),
        )
        if state is not None:
            state.journal.open(self.clock.now, self._outbox)
            identities = {each.hash_id: (each.station_id, each.entry.loaded.name) for each in self._plan.stations}
            await trio.to_thread.run_sync(state.reunite, identities)
            state.files.timed = self._timed
        self._maker = Maker(
            seed=self.options.seed,
            store=services.store,
            distribution=lambda: self.config.supervision_url_distribution,
            central_url=self.central_url,
        )
        renamed = _nothing_kept if state is None else state.rename
        self.fleet = Fleet(services, self.config, self._pace, renamed=renamed, light=dialer.opens_on_the_spot)
        for number, planned in enumerate(self._plan.stations):
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
                if self._stop_wanted.is_set():
                    return
            self.fleet.add(*self._maker.make(planned))
            self._tell_early(planned.hash_id, planned.entry.loaded)

    def _timed(self, hash_id: str, name: str, seconds: float) -> None:
        """Tell how long something took that a station's files did."""
        station = self.fleet.get(hash_id)
        if station is None:  # its file is read before it is made
            self._early[hash_id] = (name, seconds)
        else:
            self.bus.publish(Timed(hash_id, station.info.station_id, name, seconds))

    def _tell_early(self, hash_id: str, template: LoadedTemplate) -> None:
        """Tell what was timed before the station was there: its file, and for one station each template."""
        if (early := self._early.pop(hash_id, None)) is not None:
            self._timed(hash_id, *early)
        if template.path not in self._timed_templates:
            self._timed_templates.add(template.path)
            self._timed(hash_id, "charging station template read", template.read_seconds)

    def _real_time(self, virtual: float) -> float:
        """What the machine's clock, by which logs are dated, shows at an instant of virtual time."""
        return time.time() - (self.clock.now() - virtual) / self.clock.speed

    def _start_telemetry(self, root: trio.Nursery) -> None:
        root.start_soon(guard, "performance records", self.performance.run)
        self._statistics_interval = Alarm(self.clock)
        self._telling = trio.CancelScope()  # of the statistics; it ends with the run, before the stations do
        root.start_soon(guard, "statistics log", self._log_statistics)
        if self._watch is not None:
            watch = self._watch
            root.start_soon(guard, "status display", lambda: watch(self))

    async def _log_statistics(self) -> None:
        with self._telling:
            while True:
                seconds = self.config.log_statistics_interval
                until = trio.current_time() + seconds if seconds > 0 else float("inf")
                if not await self._statistics_interval.wait_until_wall(until):
                    log.info(self.statistics.log_line())
                    if (line := self.statistics.actions_line()) is not None:
                        log.info("statistics by action: %s", line)

    async def _end_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.lasted = not self._stop_wanted.is_set()
        self.stop()

    async def _obey_signals(
        self, root: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(*STOP_SIGNALS) as signals:
            if self._interrupted():
                self.stop()
            task_status.started()
            async for number in signals:
                if self._stop_wanted.is_set():
                    log.warning("%s again: ends at once", signal.Signals(number).name)
                    self.cut_short = True
                    root.cancel()
                else:
                    log.info("%s: ends in order", signal.Signals(number).name)
                    self.stop()

    # -- result ------------------------------------------------------------------------------------------------------

    @property
    def wall_seconds(self) -> float:
        """Wall seconds since the run began."""
        return time.monotonic() - self._begun

    def summary(self) -> dict[str, Any]:
        """The object of ``--json``."""
        wall = self.wall_seconds
        return {
            **self.statistics.summary(),
            "speed": {"asked": self.options.speed, "reached": round(self.options.speed * self._probe.share(), 3)},
            "wallSeconds": round(wall, 3),
            "cpuSeconds": round(time.process_time(), 3),
            "maxRssMiB": max_rss_mib(),
        }


def _certificates(folder: Path, hash_id: str) -> CertificateFiles:
    return CertificateFiles(folder / hash_id)


async def _listen(root: trio.Nursery, central: CentralSystem) -> str:
    """Start the embedded central system on a free port of the loopback interface; returns its URL."""
    try:
        url: str = await root.start(central.serve)
    except (OSError, ExceptionGroup) as group:
        reasons = [leaf for leaf in leaves(group) if isinstance(leaf, OSError)]
        if len(reasons) < len(list(leaves(group))):
            raise
        reason = reasons[0].strerror or reasons[0]
        raise CannotListen(
            f"the embedded central system cannot listen on 127.0.0.1 ({reason}); "
            "use `simulator run --csms URL` with another one"
        ) from None
    return url


def _nothing_kept(before: str, after: str) -> None:
    """Nothing is kept that could be renamed."""
