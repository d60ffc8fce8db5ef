"""What is on the control wire: the typed messages of the UI protocol, its framing, schemas and request collection.

No input or output happens here; a client may use this package as well as the simulator does.
"""

from __future__ import annotations

#: Name and version of the protocol in URLs: ``POST /ui/0.0.1/<procedure>``.
PROTOCOL = "ui"
VERSION = "0.0.1"

#: The WebSocket sub-protocol.
SUBPROTOCOL = f"{PROTOCOL}{VERSION}"

__all__ = ["PROTOCOL", "SUBPROTOCOL", "VERSION"]
