"""`simulator run` with five station models against central systems that others wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from tests.interop.fleet import MODELS, STATIONS, start_simulator, write_five_models
from tests.interop.foreign import start_central
from tests.interop.journal import Journal, breaches_of_the_exchange, overlaps, refused, unanswered
from tests.interop.script import Visit, hurry
from tests.interop.verdict import all_ready, assert_accounts_agree, assert_last_status_is_unavailable

#: Seconds within which an ordered stop must end the simulator.
END_WITHIN = 5.0

#: Seconds for which the central system is away.
OUTAGE = 8.0

#: Seconds from its return until the last station is back: pauses of 30 s ± 20 % from the second try on.
BACK_WITHIN = 40.0


def model_of(station: str) -> str:
    """The model, from the station's id: CS-KEBA-00001."""
    return station.split("-")[1].lower()


@pytest.mark.interop
@pytest.mark.timeout(120)
async def test_five_models_and_every_core_request(name: str, tmp_path: Path, nursery: trio.Nursery) -> None:
    journal = Journal()
    central = await start_central(nursery, name, journal, tmp_path)
    simulator = await start_simulator(nursery, write_five_models(tmp_path), central.url)
    stations = sorted(await journal.wait(lambda: all_ready(journal, STATIONS), "all stations are accepted"))
    assert {model_of(station) for station in stations} == set(MODELS)

    async with trio.open_nursery() as visits:
        visits.start_soon(hurry, central, set(stations))
        for position, model in enumerate(MODELS):
            first = next(station for station in stations if model_of(station) == model)
            visits.start_soon(Visit(central, first).run, ("Soft", "Hard")[position % 2])

    def models_that_charged() -> bool:
        """Whether a generator has completed a metered transaction on each model."""
        metered = {frame.payload.get("transactionId") for frame in journal.calls("MeterValues")}
        ended = [deal for deal in journal.deals() if deal.stops and deal.stops[-1].payload.get("reason") == "Local"]
        return {model_of(deal.station) for deal in ended if deal.numbers & metered} == set(MODELS)

    await journal.wait(models_that_charged, "a whole transaction on every model", 30)
    summary = await simulator.interrupt(END_WITHIN)
    report = await central.end()

    assert report["findings"] == journal.findings == []
    assert breaches_of_the_exchange(journal) == []
    assert unanswered(journal) == []
    assert refused(journal) == []
    assert {connection.subprotocol for connection in journal.opened} == {"ocpp1.6"}
    # Five resets and the end; and after that nothing.
    assert report["closes"] == {"1000": STATIONS + len(MODELS)}
    assert report["connections"] == STATIONS + len(MODELS)
    assert_accounts_agree(journal, summary, STATIONS)
    calls = sum(1 for _ in journal.calls())
    assert summary["calls"] == {"sent": calls, "answered": calls, "errors": 0, "timeouts": 0}
    assert all(len(deal.starts) == len(deal.stops) == 1 for deal in journal.deals())
    assert_last_status_is_unavailable(journal)


@pytest.mark.interop
@pytest.mark.timeout(150)
async def test_the_central_system_dies_and_returns(name: str, tmp_path: Path, nursery: trio.Nursery) -> None:
    journal = Journal()
    config = write_five_models(
        tmp_path,
        {
            # Of one model the transactions go on without a connection; one comes back by the other schedule.
            "evlink": {"AutomaticTransactionGenerator": {"stopOnConnectionFailure": False}},
            "keba": {"reconnectExponentialDelay": True},
        },
    )
    central = await start_central(nursery, name, journal, tmp_path)
    simulator = await start_simulator(nursery, config, central.url)
    stations: set[str] = await journal.wait(lambda: all_ready(journal, STATIONS), "all stations are accepted")
    await hurry(central, stations)
    await journal.wait(lambda: len([deal for deal in journal.deals() if deal.stops]) >= 3, "some transactions")

    # The worst moment: transactions are in the books, and the stations do not know it.
    await central.hold("StartTransaction", "StopTransaction")

    def open_questions() -> dict[tuple[str, str], dict[str, Any]]:
        calls = journal.calls("StartTransaction", "StopTransaction")
        return {(call.station, call.action): call.payload for call in calls if journal.answer(call) is None}

    await journal.wait(
        lambda: {action for _, action in open_questions()} == {"StartTransaction", "StopTransaction"},
        "an unanswered StartTransaction and an unanswered StopTransaction",
    )
    await central.kill()
    killed = journal.position
    asked = open_questions()
    await trio.sleep(OUTAGE)
    central = await start_central(nursery, name, journal, tmp_path, life=2, port=central.port)

    def back() -> bool:
        return stations == {call.station for call in journal.calls(since=killed) if journal.answer(call)}

    await journal.wait(back, "all stations are back", BACK_WITHIN)
    # The first thing that the books want to know: what was asked last, word for word.
    for (station, action), payload in asked.items():
        again = await journal.wait_call(station, action, since=killed)
        assert again.payload == payload
    await journal.wait(
        lambda: {call.station for call in journal.calls("StartTransaction", since=killed)} == stations,
        "every station charges again",
    )
    summary = await simulator.interrupt(END_WITHIN)
    report = await central.end()

    assert report["findings"] == journal.findings == []
    assert breaches_of_the_exchange(journal) == []
    assert refused(journal) == []
    assert [call for call in unanswered(journal) if call.position > killed] == []
    assert report["closes"] == {"1000": STATIONS}
    deals = journal.deals()
    assert_accounts_agree(journal, summary, STATIONS)
    for deal in deals:
        for messages in (deal.starts, deal.stops):
            *lost, last = messages
            assert [journal.answer(call) for call in lost] == [None] * len(lost), f"again though answered: {last!r}"
            assert len(lost) <= 1
    assert sum(len(deal.starts) + len(deal.stops) - 2 for deal in deals) == len(asked)
    assert overlaps(deals) == []
    assert summary["calls"]["errors"] == summary["calls"]["timeouts"] == 0
    assert_last_status_is_unavailable(journal)
