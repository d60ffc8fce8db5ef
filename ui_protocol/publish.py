"""Writes what others read of the protocol into this package: description, JSON Schema, request collection.

``python -m ui_protocol.publish`` writes the files; ``--check`` only says whether they are up to date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ui_protocol import SUBPROTOCOL
from ui_protocol.description import description
from ui_protocol.insomnia import collection
from ui_protocol.schemas import protocol_schema


def published() -> dict[str, str]:
    """The text of each file by its name."""
    return {
        "README.md": description(),
        f"{SUBPROTOCOL}.schema.json": _json(protocol_schema()),
        "Insomnia_CSSimulatorUIProtocol.json": _json(collection()),
    }


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    folder = Path(__file__).parent
    stale = [
        name
        for name, text in published().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    if "--check" in arguments:
        for name in stale:
            sys.stderr.write(f"ui_protocol/{name}: out of date; run python -m ui_protocol.publish\n")
        return 1 if stale else 0
    for name in stale:
        (folder / name).write_text(published()[name], encoding="utf-8")
    return 0


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
