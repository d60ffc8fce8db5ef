"""``simulator demo --json``: the fleet runs, and the summary is what other programs rely on."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from tests.process.program import COMMAND, finished


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    """An object of the summary: no member is missing, none is new."""


class Stations(_Part):
    configured: int
    started: int
    accepted: int


class Calls(_Part):
    sent: int
    answered: int
    errors: int
    timeouts: int


class Received(_Part):
    calls: int


class Transactions(_Part):
    started: int
    stopped: int


class Latency(_Part):
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Speed(_Part):
    asked: float
    reached: float


class Summary(_Part, rename="camel"):
    stations: Stations
    calls: Calls
    received: Received
    transactions: Transactions
    energy_wh: int = msgspec.field(name="energyWh")
    latency_ms: Latency
    speed: Speed
    wall_seconds: float
    cpu_seconds: float
    max_rss_mib: float | None = msgspec.field(name="maxRssMiB")


def read_summary(text: str) -> Summary:
    """The summary, which must be the only line on standard output."""
    assert text.count("\n") == 1
    return msgspec.json.decode(text, type=Summary)


async def test_a_demo_charges_and_tells_the_numbers(tmp_path: Path) -> None:
    run = await finished(
        *("demo", "--stations", "8", "--duration", "4", "--speed", "60", "--seed", "7", "--json"),
        *("--data-dir", tmp_path / "data"),
    )
    assert run.process.returncode == 0, run.err
    assert run.err == ""
    summary = read_summary(run.out)
    assert summary.stations == Stations(configured=8, started=8, accepted=8)
    assert summary.calls.sent == summary.calls.answered > 8 * 5
    assert summary.calls.errors == summary.calls.timeouts == 0
    assert summary.transactions.started == summary.transactions.stopped > 8
    assert summary.energy_wh > 0
    latency = summary.latency_ms
    assert latency.p50 is not None
    assert latency.p95 is not None
    assert latency.p99 is not None
    assert latency.max is not None
    assert 0 < latency.p50 <= latency.p95 <= latency.p99 <= latency.max
    assert summary.speed.asked == 60
    assert 0 < summary.speed.reached <= 60
    assert 4 <= summary.wall_seconds < 10
    assert summary.cpu_seconds > 0.1
    assert summary.max_rss_mib is None or 10 < summary.max_rss_mib < 500
    log = "".join(file.read_text() for file in (tmp_path / "data" / "logs").glob("combined-*.log"))
    assert "registered: Accepted" in log


async def test_the_console_script_and_the_module_are_one_program() -> None:
    script = Path(sys.executable).with_name("simulator")
    by_script, by_module = await finished("--version", command=[str(script)]), await finished("--version")
    assert by_script.out == by_module.out == "simulator, version 0.1.0\n"


async def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    run = await finished("run", "--help", command=[sys.executable, "-X", "importtime", *COMMAND[3:]])
    assert "--duration S" in run.out
    imported = {line.rpartition("|")[2].strip() for line in run.err.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint({"trio", "jsonschema", "jsonschema_rs", "rich", "msgspec", "structlog", "cryptography"})
