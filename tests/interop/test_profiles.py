"""Stations with every profile and the security extension against central systems that others wrote, in quick motion.

Both validate each request and each response: ``ocpp`` with the schemas of the Open Charge Alliance, ``ocpp-rpc`` in its
strict mode with a set of its own. Both sets have all 39 actions, those of the security extension too.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from simulator.ocpp.v16.messages import CENTRAL_SYSTEM_ACTIONS, CHARGE_POINT_ACTIONS, FEATURE_PROFILES
from tests.fakes.file_servers import http_files
from tests.interop.conversation import Conversation
from tests.interop.fleet import start_simulator, write_one_of_each
from tests.interop.foreign import start_central
from tests.interop.journal import CALL, Deal, Frame, Journal, breaches_of_the_exchange, refused, unanswered
from tests.interop.profiles import IMAGE, FullVisit
from tests.interop.verdict import all_ready, assert_accounts_agree, assert_last_status_is_unavailable

#: Virtual seconds per second: an installation takes one second.
SPEED = 10

#: Seconds within which an ordered stop must end the simulator.
END_WITHIN = 5.0

ALL = "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger"

#: Members of a template whose station has everything, and does nothing by itself.
EVERYTHING = {
    "keys": {
        "SupportedFeatureProfiles": ALL,
        "LocalAuthListEnabled": "true",
        "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    },
    "AutomaticTransactionGenerator": {"enable": False},
}


@pytest.mark.interop
@pytest.mark.timeout(120)
async def test_every_request_of_every_profile(name: str, tmp_path: Path, nursery: trio.Nursery) -> None:
    journal = Journal()
    central = await start_central(nursery, name, journal, tmp_path)
    # One on alternating current, one on direct current, and one that only shows what it says by itself.
    config = write_one_of_each(tmp_path, {"keba": EVERYTHING, "abb": EVERYTHING, "evlink": {"securityEvents": True}})
    simulator = await start_simulator(nursery, config, central.url, "--speed", str(SPEED))
    await journal.wait(lambda: all_ready(journal, 3), "all stations are accepted")
    with http_files() as files:
        files.files = {"/image.bin": IMAGE, "/hangs.bin": IMAGE}
        files.hang = {"/hangs.bin"}
        async with trio.open_nursery() as visits:
            for model, unit in (("KEBA", "A"), ("ABB", "W")):
                visits.start_soon(FullVisit(central, f"CS-{model}-00001", files, unit).run)
    summary = await simulator.interrupt(END_WITHIN)
    report = await central.end()

    assert report["findings"] == journal.findings == []
    assert breaches_of_the_exchange(journal) == []
    assert unanswered(journal) == []
    assert refused(journal) == []
    # The Core profile has a test of its own. No station sends DataTransfer by itself.
    asked = {frame.action for frame in journal.frames if frame.sent and frame.kind == CALL}
    assert CENTRAL_SYSTEM_ACTIONS - FEATURE_PROFILES["Core"] <= asked
    assert CHARGE_POINT_ACTIONS - {"DataTransfer"} <= {call.action for call in journal.calls()}
    # Two updates on each of two stations; and the end.
    assert report["closes"] == {"1000": 4 + 3}
    assert_accounts_agree(journal, summary, 3)
    assert summary["calls"]["errors"] == summary["calls"]["timeouts"] == 0
    assert_last_status_is_unavailable(journal)


@pytest.mark.interop
@pytest.mark.timeout(120)
async def test_transactions_go_on_without_a_connection(name: str, tmp_path: Path, nursery: trio.Nursery) -> None:
    journal = Journal()
    central = await start_central(nursery, name, journal, tmp_path)
    offline = {
        "reconnectExponentialDelay": True,
        "AutomaticTransactionGenerator": {
            "minDuration": 10,
            "maxDuration": 15,
            "stopOnConnectionFailure": False,
            "requireAuthorize": False,
        },
    }
    config = write_one_of_each(tmp_path, {"evlink": offline})
    simulator = await start_simulator(nursery, config, central.url, "--speed", str(SPEED))
    [station] = await journal.wait(lambda: all_ready(journal, 1), "the station is accepted")
    talk = Conversation(central, station)
    await talk.configure(
        MeterValueSampleInterval=3,
        StopTxnSampledData="Energy.Active.Import.Register,Power.Active.Import",
        ClockAlignedDataInterval=4,
        StopTxnAlignedData="Energy.Active.Import.Register",
        TransactionMessageAttempts=3,
        TransactionMessageRetryInterval=1,
    )

    # What the central system cannot process comes again, and nothing of the transactions before it.
    for action in ("StartTransaction", "StopTransaction"):
        since = journal.position
        await central.refuse_once(action)
        first = await next_refused(journal, since)
        again = await journal.wait_call(station, action, first.payload, since=first.position)
        between = [call.action for call in journal.calls(since=first.position) if call.position < again.position]
        assert not {"StartTransaction", "StopTransaction", "MeterValues"} & set(between)

    await central.bar(station)
    cut = journal.position
    await trio.sleep(5)
    await central.admit(station)
    returned = (await journal.wait_call(station, "StartTransaction", since=cut)).position
    opened = next(connection.position for connection in journal.opened if connection.position > cut)

    def offline_deals() -> list[Deal]:
        """Transactions that began and ended while there was no connection."""
        statuses = list(journal.calls("StatusNotification", since=opened))
        back = min((call.payload["timestamp"] for call in statuses), default="")
        since_cut = [deal for deal in journal.deals() if deal.starts[0].position > cut and deal.stops]
        return [deal for deal in since_cut if deal.stops[-1].payload["timestamp"] < back]

    await journal.wait(lambda: len(offline_deals()) >= 2, "whole transactions of the time without a connection")
    since = journal.position
    await journal.wait_call(station, "StopTransaction", since=since)
    summary = await simulator.interrupt(END_WITHIN)
    report = await central.end()

    assert report["findings"] == journal.findings == []
    assert breaches_of_the_exchange(journal) == []
    assert [call.action for call in refused(journal)] == ["StartTransaction", "StopTransaction"]
    # At most the one that the cut left without an answer.
    assert [call for call in unanswered(journal) if call.position > returned] == []
    assert len(unanswered(journal)) <= 1
    assert report["closes"] == {"1000": 1, "1006": 1}
    assert_accounts_agree(journal, summary, 1)
    for deal in offline_deals():
        [stop] = deal.stops
        instants = [reading["timestamp"] for reading in stop.payload["transactionData"]]
        assert instants == sorted(instants)
        assert instants[0] == deal.starts[0].payload["timestamp"]
        assert instants[-1] == stop.payload["timestamp"]
        assert len(instants) > 4
    assert summary["calls"]["errors"] == 2
    assert_last_status_is_unavailable(journal)


async def next_refused(journal: Journal, since: int) -> Frame:
    """The next CALL that the central system refuses."""

    def find() -> Frame | None:
        return next((call for call in refused(journal) if call.position > since), None)

    call: Frame = await journal.wait(find, "a refused message")
    return call
