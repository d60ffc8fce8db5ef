"""The transaction journal: what a second process learns from the file of one that was killed, however damaged."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from simulator.app import JOURNAL_KINDS
from simulator.outbox import Outbox
from simulator.station.journal import (
    Answered,
    AnyRecord,
    Begun,
    Dropped,
    Ended,
    Ending,
    KeptTransaction,
    Queued,
    Register,
    StationPast,
    TransactionMessage,
    thinned_out,
)
from simulator.storage import transaction_journal
from simulator.storage.journal_lines import JournalReader, instant_of, json_of, line_of, station_mark
from simulator.storage.transaction_journal import FileJournal

STATIONS = [f"{digit}" * 96 for digit in "ab"]


def raw(payload: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(payload))


class Life:
    """One station that charges, writes its journal as the real one does, and has a central system."""

    def __init__(self, station: str) -> None:
        self.mark = station_mark(station)
        self.records: list[AnyRecord] = []
        self.number = self.key = 0
        self.queue: list[TransactionMessage] = []
        self.running: int | None = None
        self.clock = 0.0
        #: What the central system has seen: all that was answered, and what may have arrived.
        self.seen: set[tuple[int, str, str]] = set()
        #: The last readings that were answered, until a record tells it.
        self.answered: int | None = None

    def message(self, action: str, **payload: Any) -> TransactionMessage:
        self.number += 1
        self.clock += 1
        return TransactionMessage(self.number, action, raw({"timestamp": self.clock, **payload}), self.running)

    def write(self, record: AnyRecord, message: TransactionMessage | None = None) -> None:
        self.records.append(record)
        if message is not None:
            self.queue.append(message)
            self.sent()

    def sent(self) -> None:
        """The head of the queue leaves as soon as it is the head."""
        if self.queue:
            head = self.queue[0]
            self.seen.add((head.transaction or 0, head.action, repr(head.content)))

    def step(self, choice: str) -> None:
        if choice == "answer" and self.queue:
            message = self.queue.pop(0)
            if message.action == "MeterValues":
                self.answered = message.number
                self.sent()
                return
            started = message.action == "StartTransaction"
            self.records.append(
                Answered(
                    message.number,
                    message.transaction,
                    1000 + (message.transaction or 0) if started else None,
                    stopped=message.action == "StopTransaction",
                )
            )
            self.sent()
        elif choice == "begin" and self.running is None:
            self.key += 1
            self.running = self.key
            message = self.message("StartTransaction", meterStart=int(self.clock))
            register = Register(int(self.clock), self.clock, self.clock)
            kept = KeptTransaction(self.key, 1, "TAG", self.clock, int(self.clock), register)
            self.write(Begun(kept, message), message)
        elif choice == "sample" and self.running is not None:
            message = self.message("MeterValues")
            register = Register(int(self.clock), self.clock, self.clock)
            self.write(Queued(message, self.running, register, answered=self.answered), message)
            self.answered = None
        elif choice == "end" and self.running is not None:
            message = self.message("StopTransaction", meterStop=int(self.clock))
            ending = Ending(int(self.clock), self.clock, "Local")
            self.write(Ended(self.running, ending, self.clock, message), message)
            self.running = None
        elif choice == "late" and self.answered is not None:
            self.records.append(Answered(self.answered))
            self.answered = None
        elif choice == "thin" and len(self.queue) > 1:
            gone = thinned_out(self.queue[1:])  # the head is under way
            self.queue = [message for message in self.queue if message.number not in gone]
            self.records.append(Dropped(gone))


CHOICES = ["begin", "sample", "sample", "end", "answer", "answer", "late", "thin"]


def line(mark: str, number: int, instant: float, record: Any) -> bytes:
    return line_of(mark.encode(), number, instant_of(instant), json_of(record))


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, Life], bytes, list[bytes]]:
    """Some minutes of two stations, and the file that they wrote."""
    lives = {station_mark(station): Life(station) for station in STATIONS}
    lines: list[bytes] = []
    steps = st.tuples(st.sampled_from(list(lives)), st.sampled_from(CHOICES))
    for mark, choice in draw(st.lists(steps, min_size=5, max_size=60)):
        life = lives[mark]
        before = len(life.records)
        life.step(choice)
        for record in life.records[before:]:
            lines.append(line(mark, len(lines) + 1, len(lines), record))
    return lives, b"".join(lines), lines


def read(content: bytes) -> dict[str, StationPast]:
    reader: JournalReader[StationPast] = JournalReader(JOURNAL_KINDS)
    reader.read(content)
    reader.finish()
    return reader.stations


def would_send(past: StationPast) -> list[tuple[int, str, str]]:
    """What the next process sends: the queue, and the end of what was running."""
    messages = [(m.transaction or 0, m.action, repr(m.content)) for m in past.messages]
    return messages + [(t.key, "StopTransaction", f"PowerLoss {t.register}") for t in past.lost()]


def contents(life: Life, past: StationPast, action: str) -> dict[int, set[str]]:
    """The different messages of an action that the central system sees of each transaction, over both processes."""
    found: dict[int, set[str]] = {}
    for key, what, content in [*life.seen, *would_send(past)]:
        if what == action:
            found.setdefault(key, set()).add(content)
    return found


@given(histories())
def test_every_transaction_is_started_and_stopped_once_wherever_the_process_is_killed(
    history: tuple[dict[str, Life], bytes, list[bytes]],
) -> None:
    lives, content, _ = history
    pasts = read(content)
    for mark, life in lives.items():
        past = pasts.get(mark, StationPast())
        for action in ("StartTransaction", "StopTransaction"):
            seen = contents(life, past, action)
            assert set(seen) == set(range(1, life.key + 1))
            assert all(len(different) == 1 for different in seen.values())
        # Readings of which no record tells yet that they were answered are told again.
        again = [message.number for message in past.messages if message.number <= (life.answered or 0)]
        assert all(message.action == "MeterValues" for message in past.messages[: len(again)])
        left = [message.number for message in past.messages if message.number not in again]
        assert left == [message.number for message in life.queue]
        assert past.next_number == life.number + 1 or past.empty
        for transaction in past.lost():  # the energy is that of the last record
            assert transaction.register.at == life.clock or life.running == transaction.key


@given(histories(), st.data())
def test_no_damage_in_the_file_makes_two_of_one(
    history: tuple[dict[str, Life], bytes, list[bytes]], data: st.DataObject
) -> None:
    lives, content, _ = history
    if not content:
        return
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3), label="places")):
        if not damaged:
            break
        begin = data.draw(st.integers(0, len(damaged) - 1), label="begin")
        length = data.draw(st.integers(1, 600), label="length")
        # The last line end stays: a file that breaks off is a crash, and the next test.
        end = min(begin + length, len(damaged) - 1)
        damaged[begin:end] = data.draw(st.binary(max_size=end - begin), label="garbage")
    pasts = read(bytes(damaged))
    for mark, life in lives.items():
        past = pasts.get(mark)
        if past is not None:
            for action in ("StartTransaction", "StopTransaction"):
                assert all(len(different) == 1 for different in contents(life, past, action).values())


@given(histories(), st.data())
def test_a_file_that_breaks_off_is_read_up_to_there(
    history: tuple[dict[str, Life], bytes, list[bytes]], data: st.DataObject
) -> None:
    _, content, lines = history
    cut = data.draw(st.integers(0, len(content)))
    whole, length = 0, 0
    while whole < len(lines) and length + len(lines[whole]) - 1 <= cut:  # a line that lacks only its end is complete
        length += len(lines[whole])
        whole += 1
    assert read(content[:cut]) == read(b"".join(lines[:whole]))


def test_damage_raises_no_doubt_about_other_stations() -> None:
    lives = [Life(station) for station in STATIONS]
    for life in lives:
        life.step("begin")
        life.step("answer")
        life.step("sample")
    lines = [
        line(life.mark, number * 2 + index + 1, 0.0, record)
        for index, life in enumerate(lives)
        for number, record in enumerate(life.records)
    ]
    ordered = sorted(lines, key=lambda line: int(line.split()[2]))
    ordered[-1] = ordered[-1].replace(b"MeterValues", b"MeterFalues")
    pasts = read(b"".join(ordered))
    damaged, other = (pasts[life.mark] for life in reversed(lives))
    assert len(other.lost()) == 1
    assert damaged.lost() == []
    assert damaged.transactions[1].doubtful


def readings(*keys: int | None) -> list[TransactionMessage]:
    return [TransactionMessage(number, "MeterValues", raw({}), key) for number, key in enumerate(keys, 1)]


def test_of_too_many_readings_the_first_and_the_last_of_each_transaction_stay() -> None:
    assert thinned_out(readings(1, 1, 1, 1, 1, 1)) == [2, 4]
    assert thinned_out(readings(1, None, 2, 1, None, 2, 1, None, 2)) == [4, 5, 6]
    start, stop = (
        TransactionMessage(7, "StartTransaction", raw({}), 1),
        TransactionMessage(8, "StopTransaction", raw({}), 1),
    )
    assert thinned_out([start, *readings(1, 1, 1), stop]) == [2]
    # Where every transaction has but one or two there is nothing in between.
    assert thinned_out([start, *readings(1, 2, 2, 3), stop]) == [2, 4]
    assert thinned_out([start, stop]) == []


# -- files -------------------------------------------------------------------------------------------------------------


def journal(folder: Path) -> FileJournal[StationPast]:
    made: FileJournal[StationPast] = FileJournal(folder, JOURNAL_KINDS)
    made.read()
    made.open(lambda: 5.0)
    return made


def begun(key: int = 1) -> Begun:
    message = TransactionMessage(key, "StartTransaction", raw({"meterStart": 0}), key)
    return Begun(KeptTransaction(key, 1, "TAG", 1.0, 0, Register(0, 0.0, 1.0)), message)


async def until(met: Callable[[], bool]) -> None:
    """The disk tells nobody when it is done."""
    with trio.fail_after(10):
        while not met():  # noqa: ASYNC110
            await trio.sleep(0.01)


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


async def run_until(met: Callable[[], bool], run: Callable[[], Any]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(met)
        nursery.cancel_scope.cancel()


async def test_what_is_left_moves_to_the_new_file_and_waits_for_stations_that_are_not_there(tmp_path: Path) -> None:
    first = journal(tmp_path)
    for station in STATIONS:
        assert first.join(station, StationPast) is None
        first.write(station, begun())
    second = journal(tmp_path)
    assert second.latest == 5.0
    past = second.join(STATIONS[0], lambda: kept)
    assert past is not None
    kept = past
    await run_until(lambda: len(list(tmp_path.iterdir())) == 1, second.run)
    third = journal(tmp_path)
    for station in STATIONS:
        again = third.join(station, StationPast)
        assert again is not None
        assert [message.action for message in again.messages] == ["StartTransaction"]


async def test_a_station_that_is_taken_out_may_come_back_and_one_that_is_deleted_leaves_nothing(tmp_path: Path) -> None:
    first = journal(tmp_path)
    state = StationPast().take(begun())
    for station in STATIONS:
        first.join(station, lambda: state)
        first.write(station, begun())
        first.leave(station)
    assert first.join(STATIONS[0], lambda: state) == state
    first.forget(STATIONS[1])
    first.close()
    second = journal(tmp_path)
    assert second.join(STATIONS[0], StationPast) == state
    assert second.join(STATIONS[1], StationPast) is None


async def test_files_from_a_death_between_two_files_are_read_as_one(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.write(STATIONS[0], begun())
    second = journal(tmp_path)  # died before it had copied anything
    second.write(STATIONS[0], Answered(1, 1, 77))
    past = journal(tmp_path).join(STATIONS[0], StationPast)
    assert past is not None
    assert past.messages == []
    assert past.transactions[1].id == 77


async def test_a_large_file_is_replaced_by_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction_journal, "LARGE", 20_000)
    monkeypatch.setattr(transaction_journal, "SYNC_EVERY", 0.0)
    kept = StationPast().take(begun())
    writer = journal(tmp_path)
    writer.join(STATIONS[0], lambda: kept)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        for _ in range(300):
            writer.write(STATIONS[0], Queued(TransactionMessage(2, "MeterValues", raw({"a": "x" * 100}))))
            await trio.lowlevel.checkpoint()
        await until(lambda: size(tmp_path) < 20_000)
        nursery.cancel_scope.cancel()
    past = journal(tmp_path).join(STATIONS[0], StationPast)
    assert past is not None
    assert past.messages[0].action == "StartTransaction"


async def test_a_full_disk_is_told_once_and_what_is_out_of_date_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(transaction_journal, "RETRY_AFTER", 0.05)
    full = True
    real = os.write

    def write(file: int, content: bytes) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, content)

    state = StationPast().take(begun())
    writer = journal(tmp_path)
    writer.join(STATIONS[0], lambda: state)
    writer.write(STATIONS[0], begun())
    monkeypatch.setattr(os, "write", write)
    for _ in range(100):
        writer.write(STATIONS[0], Answered(1, 1, 77))
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"{tmp_path}: the transaction journal cannot be written (No space left on device): the fleet goes on, but "
        "transactions do not survive a crash of the simulator until that is mended"
    ]
    reader: FileJournal[StationPast] = FileJournal(tmp_path, JOURNAL_KINDS)
    reader.read()
    assert reader.join(STATIONS[0], StationPast) is None
    assert "broke off" in caplog.records[-1].getMessage()
    state = state.take(Answered(1, 1, 77))
    full = False
    await run_until(lambda: "written again" in caplog.text, writer.run)
    writer.close()
    past = journal(tmp_path).join(STATIONS[0], StationPast)
    assert past is not None
    assert past.transactions[1].id == 77
    assert all(file.suffix == ".journal" for file in tmp_path.iterdir())  # noqa: ASYNC240


def test_a_record_of_a_newer_program_is_left_out(tmp_path: Path) -> None:
    class Novel(msgspec.Struct, tag_field="is", tag="novel"):
        what: int = 1

    assert read(line(station_mark(STATIONS[0]), 1, 9.0, Novel())) == {}


async def test_what_may_be_written_later_comes_after_a_while_if_it_is_still_of_use(tmp_path: Path) -> None:
    writer = journal(tmp_path)
    writer.join(STATIONS[0], StationPast)
    writer.write(STATIONS[0], begun())
    useful: list[Answered | None] = [None, Answered(1, 1, 77)]
    async with trio.open_nursery() as nursery:
        await nursery.start(writer.run)
        writer.write_later(STATIONS[0], useful.pop)
        writer.write_later(STATIONS[1], useful.pop)
        before = size(tmp_path)
        await until(lambda: not useful)
        await until(lambda: size(tmp_path) > before)
        nursery.cancel_scope.cancel()
    past = journal(tmp_path).join(STATIONS[0], StationPast)
    assert past is not None
    assert past.transactions[1].id == 77


async def test_the_records_of_a_pass_are_one_write_ahead_of_its_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wire:
        def post(self, text: str | bytes) -> None:
            happened.append(text)

    happened: list[object] = []
    real = os.write

    def write(file: int, content: bytes) -> int:
        happened.append(content.count(b"\n"))
        return real(file, content)

    outbox = Outbox()
    writer = journal(tmp_path)
    writer.open(lambda: 0.0, outbox)
    monkeypatch.setattr(os, "write", write)
    with outbox:
        for number in (1, 2, 3):
            writer.write(STATIONS[0], Answered(number))
            outbox.put(Wire(), f"{number}")
    writer.write(STATIONS[0], Answered(4))
    outbox.put(Wire(), "4")
    assert happened == [3, "1", "2", "3", 1, "4"]
    writer.close()


async def test_a_station_that_is_forgotten_writes_nothing_into_the_records_of_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_journal, "LATER", 0.0)
    writer = journal(tmp_path)
    writer.join(STATIONS[0], StationPast)
    writer.write(STATIONS[0], Queued(TransactionMessage(7, "MeterValues", raw({}))))
    writer.write_later(STATIONS[0], lambda: Answered(7))
    writer.leave(STATIONS[0])
    writer.forget(STATIONS[0])
    writer.join(STATIONS[0], StationPast)
    writer.write(STATIONS[0], begun())
    writer.close()
    past = journal(tmp_path).join(STATIONS[0], StationPast)
    assert past is not None
    assert [message.number for message in past.messages] == [1]
    assert past.transactions[1].id is None
