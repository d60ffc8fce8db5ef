"""The whole simulator, with stations that read their meters again as soon as the last reading is answered.

``python -m benchmarks.flat CONFIG DATA_DIRECTORY`` runs until it is ended.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import trio

from simulator.app import RunOptions, Simulator
from simulator.cli.plans import FleetSources, first_reading
from simulator.events import CallAnswered
from simulator.run_log import logging_to
from simulator.station.station import ChargingStation
from simulator.station.transaction import Transaction
from simulator.telemetry.process import allow_open_files


class Haste:
    """Reads the meter of a station's transaction whenever its last MeterValues is answered."""

    def __init__(self) -> None:
        self._answered: list[str] = []
        #: The station and the transaction that goes on in it, by hashId: looking them up is no part of a message.
        self._charging: dict[str, tuple[ChargingStation, Transaction]] = {}
        self._task: trio.lowlevel.Task | None = None

    def on_answer(self, event: CallAnswered) -> None:
        """Reader of the bus. The station is in the middle of its answer: what follows comes in its own turn."""
        if event.action == "MeterValues":
            self._answered.append(event.hash_id)
            if self._task is not None:
                task, self._task = self._task, None
                trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _find(self, simulator: Simulator, hash_id: str) -> tuple[ChargingStation, Transaction]:
        station = simulator.fleet.get(hash_id)
        assert station is not None
        (transaction,) = station.sessions.running()  # one connector, and a transaction without end
        found = self._charging[hash_id] = station, transaction
        return found

    async def run(self, simulator: Simulator) -> None:
        """Run beside the fleet. The first readings are those that the stations take by themselves."""
        while True:
            if not self._answered:
                self._task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort)
            answered, self._answered = self._answered, []
            with simulator.clock.outbox:  # as when timers fire
                for hash_id in answered:
                    station, transaction = self._charging.get(hash_id) or self._find(simulator, hash_id)
                    # The readings that stations take by themselves must not become a second, third, … stream of them.
                    if not station.lane.queued_transaction_messages:
                        station.sampling.take_sample(transaction)
            await trio.lowlevel.checkpoint()


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.flat", description="The simulator, with stations in haste")
    parser.add_argument("config", type=Path)
    parser.add_argument("data_directory", type=Path)
    options = parser.parse_args()
    sources = FleetSources(path=options.config, csms=None, overrides=(), stations=None, environ=os.environ)
    reading = first_reading(sources)
    if reading is None:
        raise SystemExit(1)
    loaded, plan = reading.loaded, reading.plan
    haste = Haste()
    simulator = Simulator(loaded, plan, RunOptions(seed=1), watch=haste.run)
    simulator.bus.subscribe(CallAnswered, haste.on_answer)
    allow_open_files(len(plan.stations) + 64)
    options.data_directory.mkdir(parents=True, exist_ok=True)
    with logging_to(loaded.config, options.data_directory, console=False, level=None):
        trio.run(simulator.run, options.data_directory)


if __name__ == "__main__":
    main()
