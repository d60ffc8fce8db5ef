"""One request to many stations: all at once, and one answer that tells how each of them fared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import trio

from simulator.control.registry.secrets import without_secrets
from simulator.station.call_results import CallFailed
from simulator.station.station import ChargingStation
from simulator.telemetry.log import get_logger
from ui_protocol.base import FailedResponse, StationsResponse

log = get_logger("simulator.control")

#: Wall seconds after which a station that has not answered has failed. More than the time that a station waits for its
#: central system, less than the time that clients of this protocol wait for us.
ANSWER_WITHIN = 50.0

#: Stations that are set going before others get their turn.
BATCH = 50


class Failed(Exception):
    """A procedure failed, for one station or as a whole; the text is one line for the client.

    :param response: what the central system answered, if that was the reason.
    """

    def __init__(self, message: str | None, response: Any = None) -> None:
        super().__init__(message or "")
        self.message = message
        self.response = response


#: What one station does; returns once it is done, raises :class:`Failed` or ``CallFailed`` otherwise.
Act: TypeAlias = Callable[[ChargingStation], Awaitable[None]]


async def ask_stations(
    stations: Sequence[ChargingStation], act: Act, *, within: float = ANSWER_WITHIN
) -> dict[str, Failed | None]:
    """Let every station act at the same time; returns by hashId why it failed, None for those that did not.

    Takes at most ``within`` wall seconds. On cancel all of them are cancelled.
    """
    results: dict[str, Failed | None] = {}

    async def one(station: ChargingStation) -> None:
        results[station.info.hash_id] = await _failure(station, act)

    with trio.move_on_after(within):
        async with trio.open_nursery() as nursery:
            for number, station in enumerate(stations):
                if number % BATCH == BATCH - 1:
                    await trio.lowlevel.checkpoint()
                nursery.start_soon(one, station)
    late = Failed(f"no answer within {within:g} s")
    return {station.info.hash_id: results.get(station.info.hash_id, late) for station in stations}


async def _failure(station: ChargingStation, act: Act) -> Failed | None:
    try:
        await act(station)
    except Failed as failure:
        return failure
    except CallFailed as error:
        return Failed(str(error))
    except Exception:
        log.exception("a request for station %s could not be processed", station.info.station_id)
        return Failed("internal error, see the log")
    return None


def aggregate(
    command: str,
    payload: dict[str, Any],
    results: dict[str, Failed | None],
    *,
    message: str | None = None,
) -> StationsResponse:
    """The answer to a request to stations. No station at all is a failure: nothing was done.

    :param message: why the request failed as a whole.
    """
    succeeded = [hash_id for hash_id, failure in results.items() if failure is None]
    failed = {hash_id: failure for hash_id, failure in results.items() if failure is not None}
    if succeeded and not failed and message is None:
        return StationsResponse(status="success", hash_ids_succeeded=succeeded)
    shown = shown_payload(payload)
    return StationsResponse(
        status="failure",
        command=command if message is not None else None,
        request_payload=shown if message is not None else None,
        error_message=message,
        hash_ids_succeeded=succeeded,
        hash_ids_failed=list(failed),
        responses_failed=[
            FailedResponse(
                hash_id=hash_id,
                status="failure",
                command=command,
                request_payload=shown,
                command_response=failure.response,
                error_message=failure.message,
            )
            for hash_id, failure in failed.items()
        ],
    )


def shown_payload(payload: dict[str, Any]) -> dict[str, Any]:
    """Parameters as a failure repeats them: without the stations, which it names itself, and without secrets."""
    shown: dict[str, Any] = without_secrets({name: value for name, value in payload.items() if name != "hashIds"})
    return shown
