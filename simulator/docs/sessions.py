"""The drawings of charging sessions in the manual, from messages that stations have sent; ``simulator plot`` makes the
same."""

from __future__ import annotations

from pathlib import Path

from simulator.energy.plot import session_svg
from simulator.energy.session_messages import told_sessions

_HERE = Path(__file__).parent / "images"
_TITLES = {
    "session-ac": "City car on two phases of an 11 kW wallbox, 7 A from minute 60 to 120",
    "session-dc": "Compact car at a 150 kW charger, 30 kW from minute 10 to 20",
}


def sessions() -> dict[str, str]:
    """Drawings by file name: each with a charging profile in the middle."""
    return {f"{name}.svg": _drawn(_HERE / f"{name}.messages.jsonl", title) for name, title in _TITLES.items()}


def _drawn(recording: Path, title: str) -> str:
    (session,) = told_sessions(recording.read_text(encoding="utf-8"))
    return session_svg(session.points, title=title)
