"""Where ``simulator log`` takes the OCPP messages from: a simulator that runs, or files."""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from simulator.cli.output import Failure, count, tell
from simulator.cli.ui_client import UiClient
from simulator.telemetry.wire_records import Selection, WireRecord, from_line, from_ui, read_lines

STANDARD_INPUT = Path("-")
#: Seconds between two looks for news.
PAUSE = 0.3
#: Messages that a running simulator tells of at a time.
MOST_TOLD = 1000
#: Stations that a running simulator is asked for by name; of more all messages are asked for.
MOST_NAMED = 500


class WireSource(NamedTuple):
    """``newest``: so many of the messages that are there, oldest first; 0: all. ``following``: those to come, then."""

    newest: Callable[[int], list[WireRecord]]
    following: Callable[[], Iterator[WireRecord]]


# -- a simulator that runs ---------------------------------------------------------------------------------------------


def ui_source(selection: Selection, *, url: str, user: str | None, password: str | None, ca: Path | None) -> WireSource:
    """The messages that a running simulator has in memory. :raises Failure: none answers there."""
    client = UiClient(url, user, password, ca, timeout=30.0)
    # The server looks for one action and one direction; everything else is looked for here.
    asked: dict[str, Any] = {"action": selection.actions[0]} if len(selection.actions) == 1 else {}
    if selection.direction is not None:
        asked["direction"] = selection.direction
    if selection.stations:
        wanted = _wanted_stations(client, selection)
        if len(wanted) <= MOST_NAMED:
            asked["hashIds"] = wanted
    seen = 0

    def take(limit: int) -> tuple[list[WireRecord], bool]:
        nonlocal seen
        answer = client.call("listMessages", {**asked, "after": seen, "limit": limit})
        if answer["status"] != "success":
            raise Failure(str(answer.get("errorMessage", "the messages cannot be had")))
        messages = answer["messages"]
        if messages:
            seen = messages[-1]["sequence"]
        records = [record for record in map(from_ui, messages) if selection.wants(record)]
        return records, len(messages) >= limit

    def newest(number: int) -> list[WireRecord]:
        return take(MOST_TOLD)[0][-number if number else None :]

    def following() -> Iterator[WireRecord]:
        while True:
            time.sleep(PAUSE)
            try:
                records, full = take(MOST_TOLD)
            except Failure as failure:
                tell(f"the simulator does not answer any more: {failure}")
                return
            if full:
                tell("warning: messages come faster than they can be told of here; wireLog.file keeps all of them")
            yield from records

    return WireSource(newest, following)


def _wanted_stations(client: UiClient, selection: Selection) -> list[str]:
    """The hashIds of the selected stations. :raises Failure: there are none."""
    listed = client.call("listChargingStations", {"fields": ["stationInfo.chargingStationId"]})
    known = {
        each["stationInfo"]["hashId"]: each["stationInfo"]["chargingStationId"] for each in listed["chargingStations"]
    }
    for name in selection.stations:
        if not any(Selection(stations=(name,)).wants_station(known[hash_id], hash_id) for hash_id in known):
            raise Failure(f"--station {name}: there is no such station")
    return [hash_id for hash_id, name in known.items() if selection.wants_station(name, hash_id)]


# -- files -------------------------------------------------------------------------------------------------------------


def file_source(places: Sequence[Path], selection: Selection) -> WireSource:
    """The messages in files. :raises Failure: a file cannot be read, or holds something else."""
    ends: dict[Path, int] = {}

    def newest(number: int) -> list[WireRecord]:
        files = list(chain.from_iterable(map(_files, places)))
        found: Iterable[WireRecord] = chain.from_iterable(_records(file, ends) for file in files)
        return list(deque((record for record in found if selection.wants(record)), maxlen=number or None))

    def following() -> Iterator[WireRecord]:
        if STANDARD_INPUT in places:
            return
        while True:
            time.sleep(PAUSE)
            for file in chain.from_iterable(map(_files, places)):
                yield from filter(selection.wants, _news(file, ends))

    return WireSource(newest, following)


def _files(place: Path) -> list[Path]:
    """The files that a path stands for, oldest first."""
    if place == STANDARD_INPUT:
        return [place]
    try:
        if place.is_dir():
            found = _brothers(place, r".+\.ndjson(?:\.\d+)?")
            if not found:
                raise Failure(f"{place}: a folder without .ndjson files; the configuration's wireLog.file makes one")
            return found
        if place.exists():
            return [place]
        stem, suffix = re.escape(place.stem), re.escape(place.suffix)
        found = _brothers(place.parent, rf"{stem}-\d{{4}}-\d{{2}}-\d{{2}}{suffix}(?:\.\d+)?")
    except OSError as error:
        raise Failure(f"{place}: {error.strerror or error}") from None
    if not found:
        raise Failure(f"{place}: there is no such file; the configuration's wireLog.file makes one, in the folder logs")
    return found


def _brothers(folder: Path, name: str) -> list[Path]:
    """The files of a folder that are named so, by day and by their number within it."""
    pattern = re.compile(name)
    return sorted(
        (file for file in folder.iterdir() if pattern.fullmatch(file.name) and file.is_file()),
        key=lambda file: (_day(file), _number(file), file.name),
    )


def _day(file: Path) -> str:
    """The date in a file's name, or nothing."""
    found = re.search(r"-(\d{4}-\d{2}-\d{2})\.", file.name)
    return found[1] if found else ""


def _number(file: Path) -> int:
    """The number of a file among those of its day."""
    return int(file.suffix[1:]) if file.suffix[1:].isdigit() else 0


def _records(file: Path, ends: dict[Path, int]) -> Iterator[WireRecord]:
    """The records of a file; notes where it ends. :raises Failure: it cannot be read, or holds none."""
    broken: list[int] = []
    number = 0
    try:
        with _open(file) as stream:
            for number, record in enumerate(read_lines(_whole_lines(stream, file, ends), broken), 1):  # noqa: B007
                yield record
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None
    if broken and not number:
        raise Failure(
            f"{_name(file)}: holds no OCPP messages in lines of JSON, as the configuration's wireLog.file has them"
        )
    if broken:
        lines = count(len(broken), "line")
        tell(f"warning: {_name(file)}: {lines} passed over that cannot be read, the first is {broken[0]}")


def _name(file: Path) -> str:
    return "standard input" if file == STANDARD_INPUT else str(file)


def _open(file: Path) -> BinaryIO:
    return sys.stdin.buffer if file == STANDARD_INPUT else file.open("rb")


def _whole_lines(stream: BinaryIO, file: Path, ends: dict[Path, int]) -> Iterator[bytes]:
    """The lines that have been written to their end."""
    at = 0
    for line in stream:
        if not line.endswith(b"\n") and file != STANDARD_INPUT:
            break
        at += len(line)
        ends[file] = at
        yield line


def _news(file: Path, ends: dict[Path, int]) -> Iterator[WireRecord]:
    """The records that have been added to a file."""
    try:
        with file.open("rb") as stream:
            end = ends.get(file, 0)
            if stream.seek(0, 2) < end:  # begun anew
                end = 0
            stream.seek(end)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                ends[file] = end
                record = from_line(line)
                if record is not None:
                    yield record
    except FileNotFoundError:  # rotated away
        return
    except OSError as error:
        raise Failure(f"{file}: {error.strerror or error}") from None
