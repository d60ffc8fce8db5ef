"""The fleet: every station of this process, grouped into workers, started at a pace and ended in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import trio

from simulator.config.model import SimulatorConfig, WorkerConfig
from simulator.control.pacing import Pace, StartLine
from simulator.events import StationCrashed
from simulator.station.services import StationServices
from simulator.station.station import END_WITHIN, ChargingStation
from simulator.supervision import Crashes, caught, one_line
from simulator.templates.info import StationInfo

#: Wall seconds that a station adds to the time for the ordered end, where there are too many for :data:`END_WITHIN`.
STOP_SECONDS_PER_STATION = 0.008

#: Wall seconds beyond that for the closing handshakes; what is left then is cancelled.
CLOSE_WITHIN = 1.0


class Member:
    """A station of the fleet and its life."""

    __slots__ = ("_cancelled", "_pause", "ended", "runs", "station")

    def __init__(self, station: ChargingStation) -> None:
        self.station = station
        #: From its start to its end, also while it pauses after a crash.
        self.runs = False
        self._cancelled = False
        self._pause: trio.CancelScope | None = None
        #: Set once the station that runs has come to its end; made by the first who waits for it.
        self.ended: trio.Event | None = None

    async def live(self) -> None:
        """Run the station until it ends. Its crash stays its own: it starts again after a pause (:class:`Crashes`)."""
        # As `guard` does, in one frame and one object: there are thousands of both.
        crashes: Crashes | None = None
        try:
            while not self._cancelled:
                begun = trio.current_time()
                try:
                    await self.station.run()
                    break
                except BaseException as error:
                    failure = caught(error)
                info = self.station.info
                crashes = crashes or Crashes(f"station {info.station_id}")
                pause = crashes.pause_after(failure, begun)
                self.station.services.bus.publish(StationCrashed(info.hash_id, info.station_id, one_line(failure)))
                del failure
                with trio.CancelScope() as self._pause:
                    # It may have been cancelled before, and crashed on its way out.
                    await trio.sleep(0 if self._cancelled else pause)
                self._pause = None
        finally:
            self.runs = self._cancelled = False
            if self.ended is not None:
                self.ended.set()
                self.ended = None

    def cancel(self) -> None:
        """End the station at once if it runs, also in the pause after a crash."""
        if self.runs:
            self._cancelled = True
            self.station.abandon()
            if self._pause is not None:
                self._pause.cancel()


class Fleet:
    """The stations of one process by hashId."""

    def __init__(
        self,
        services: StationServices,
        config: SimulatorConfig,
        pace: Pace,
        *,
        renamed: Callable[[str, str], object] = lambda before, after: None,
        light: Callable[[str], bool] = lambda url: False,
    ) -> None:
        """A fleet without members.

        :param renamed: told when a station goes on under another hashId, while nobody uses what is kept of it.
        :param light: whether connecting to that central system takes next to nothing while it lasts.
        """
        self._services = services
        self._renamed = renamed
        self._config = config
        self._members: dict[str, Member] = {}
        self._connects_light = light
        self._line = StartLine(
            services.clock, pace, start=self._take_turn, worker_size=self._worker_size, light=self._light
        )
        self._nursery: trio.Nursery | None = None
        self._stopping = False

    # -- members -----------------------------------------------------------------------------------------------------

    def add(self, info: StationInfo, supervision_url: str) -> ChargingStation:
        """Make a station a member; it starts with :meth:`run` or :meth:`start`.

        :raises ValueError: its hashId is taken.
        """
        if info.hash_id in self._members:
            raise ValueError(f"station {info.station_id} is there already")
        station = ChargingStation(info, self._services, supervision_url=supervision_url)
        self._members[info.hash_id] = Member(station)
        return station

    def remove(self, hash_id: str) -> None:
        """Take out a member that has been stopped. What is kept of it on disk stays. :raises ValueError: it runs."""
        if self._members[hash_id].runs:
            raise ValueError("the station runs")
        self._line.leave(hash_id)
        del self._members[hash_id]
        self._services.journal.leave(hash_id)
        self._services.store.leave(hash_id)

    def follow(self, config: SimulatorConfig, pace: Pace) -> None:
        """The configuration has changed. It counts for stations from their next step on, and for those that wait."""
        self._config = config
        self._line.follow(pace)
        retries = config.auto_reconnect_max_retries
        retries = -1 if retries is None else retries
        if retries != self._services.auto_reconnect_max_retries:
            self._services = msgspec.structs.replace(self._services, auto_reconnect_max_retries=retries)
            for station in self:
                station.services = self._services

    def __iter__(self) -> Iterator[ChargingStation]:
        return (member.station for member in self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def get(self, hash_id: str) -> ChargingStation | None:
        """The station with that hashId."""
        member = self._members.get(hash_id)
        return None if member is None else member.station

    # -- life --------------------------------------------------------------------------------------------------------

    async def run(self, *, starts: bool = True, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Own the stations: start them at the configured pace and supervise them until cancelled.

        One whose template says ``autoStart: false`` waits for :meth:`start`.

        On cancel the stations are cancelled too; call :meth:`stop` before for an ordered end.

        :param starts: whether they start by themselves at all.
        """
        async with trio.open_nursery() as self._nursery:
            for member in self._members.values():
                if starts and member.station.info.template.auto_start:
                    self._line.join(member.station.info.hash_id)
            task_status.started()
            await self._line.run()

    @property
    def paced(self) -> bool:
        """Whether stations that are enlisted may have to wait for their turn."""
        return self._line.paces

    def start(self, hash_id: str) -> None:
        """Start a member that is not running, at once."""
        self._line.leave(hash_id)
        self._launch(self._members[hash_id])

    def enlist(self, hash_id: str) -> None:
        """Start a member that is not running at the pace of the fleet: at its turn, or now where there is no pace.

        While the fleet is being stopped nobody starts.
        """
        if self._stopping:
            return
        if not self._line.paces:
            self.start(hash_id)
        elif not self._members[hash_id].runs:
            self._line.join(hash_id)

    def _take_turn(self, hash_id: str) -> bool:
        member = self._members[hash_id]
        starts = not member.runs
        self._launch(member)
        return starts

    def _light(self, hash_id: str) -> bool:
        return self._connects_light(self._members[hash_id].station.configured_url)

    def _worker_size(self) -> int:
        return worker_size(self._config.worker, len(self._members))

    def _launch(self, member: Member) -> None:
        assert self._nursery is not None, "the fleet is not running"
        if not member.runs:
            member.runs = True
            self._nursery.start_soon(member.live, name=member.station.info.station_id)

    async def stop_station(self, hash_id: str, within: float = END_WITHIN) -> None:
        """End one member in order, within so many wall seconds; it stays a member. One that waits waits no longer."""
        self._line.leave(hash_id)
        if (member := self._members.get(hash_id)) is not None:
            await self._end(member, within)

    @staticmethod
    async def _end(member: Member, within: float, *, returns: bool = False) -> None:
        if member.runs:
            if member.ended is None:
                member.ended = trio.Event()
            ended = member.ended
            await member.station.stop(within, returns=returns)
            if not ended.is_set():  # it has crashed and pauses, or has not begun
                member.cancel()
                await ended.wait()

    async def restart_as(
        self, hash_id: str, info: StationInfo, supervision_url: str, within: float = END_WITHIN
    ) -> ChargingStation:
        """End a member in order and let it come back with other facts, at the pace of the fleet.

        One that does not run is changed and stays so.

        Its transactions end with reason Reboot. What it knows, what it has not delivered and what people have set goes
        along, also to another hashId. On cancel it is gone.
        :raises ValueError: the other hashId is taken.
        """
        if info.hash_id != hash_id and info.hash_id in self._members:
            raise ValueError(f"station {info.station_id} is there already")
        member = self._members[hash_id]
        runs = member.runs or hash_id in self._line
        self._line.leave(hash_id)
        while member.runs:  # somebody may have started it at the very end
            await self._end(member, within, returns=True)
        carried = member.station.carry()
        self._services.journal.leave(hash_id)
        self._services.store.leave(hash_id)
        if info.hash_id != hash_id:
            del self._members[hash_id]
            self._renamed(hash_id, info.hash_id)
        station = ChargingStation(info, self._services, supervision_url=supervision_url, carried=carried)
        self._members[info.hash_id] = Member(station)
        if runs and not self._stopping:
            self.enlist(info.hash_id)
        return station

    async def stop(self) -> bool:
        """End all stations in order, all at once; False when :func:`stop_within` was not enough for all of them.

        Stations that wait for their turn to start wait no longer.
        """
        self._stopping = True
        self._line.clear()
        within = stop_within(len(self._members))
        try:
            with trio.move_on_after(within + CLOSE_WITHIN) as deadline:
                async with trio.open_nursery() as nursery:
                    for hash_id in self._members:
                        nursery.start_soon(self.stop_station, hash_id, within)
        finally:
            self._stopping = False
        for member in self._members.values():
            member.cancel()
        return not deadline.cancelled_caught


def stop_within(stations: int) -> float:
    """Wall seconds for the ordered end of so many stations together: every one has a dozen messages to exchange."""
    return max(END_WITHIN, stations * STOP_SECONDS_PER_STATION)


def worker_size(worker: WorkerConfig, stations: int) -> int:
    """How many stations one worker holds."""
    if worker.process_type == "workerSet" and isinstance(worker.elements_per_worker, int):
        return worker.elements_per_worker
    if worker.process_type == "workerSet":
        return max(1, stations)
    return max(1, -(-stations // worker.pool_max_size))
