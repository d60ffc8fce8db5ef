"""Who may use the server: HTTP Basic credentials (RFC 7617), in the header or as a sub-protocol of a WebSocket."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable

from simulator.ui_server.settings import UiSettings, read_address

#: Prefix of the sub-protocol that carries credentials, for browsers, which cannot set headers on a WebSocket.
BASIC_SUBPROTOCOL = "authorization.basic."

#: Wrong passwords that an address may send in a row, and seconds until it may send one more.
FAILURES = 10
SECONDS_PER_FAILURE = 6.0
#: Addresses that are remembered; beyond that the one that was heard of longest ago is forgotten.
MOST_ADDRESSES = 10_000


class Authenticator:
    """Checks credentials in constant time, and slows down who guesses.

    :param now: seconds on a clock that does not jump.
    """

    def __init__(self, settings: UiSettings, now: Callable[[], float]) -> None:
        self.required = settings.username is not None
        self._expected = _digest(f"{settings.username}:{settings.password}".encode())
        self._now = now
        #: By address: how many failures are held against it, and as of when.
        self._failures: dict[str, tuple[float, float]] = {}

    def from_header(self, authorization: str | None) -> bool:
        """Whether the value of an Authorization header is right."""
        if not self.required:
            return True
        scheme, _, token = (authorization or "").strip().partition(" ")
        return scheme.lower() == "basic" and self._is_right(token.strip())

    def from_subprotocols(self, subprotocols: Iterable[str]) -> bool:
        """Whether one of the sub-protocols offered carries the right credentials."""
        if not self.required:
            return True
        tokens = [name[len(BASIC_SUBPROTOCOL) :] for name in subprotocols if name.lower().startswith(BASIC_SUBPROTOCOL)]
        return len(tokens) == 1 and self._is_right(tokens[0])

    def _is_right(self, token: str) -> bool:
        try:
            # Sub-protocols are HTTP tokens: no padding, and some clients use the alphabet for URLs.
            text = token.replace("-", "+").replace("_", "/").rstrip("=")
            given = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error):
            given = b""
        return hmac.compare_digest(_digest(given), self._expected)

    # -- guessing ----------------------------------------------------------------------------------------------------

    def wait(self, address: str) -> float:
        """Seconds for which credentials from an address are not even looked at; 0: they are."""
        held, _ = self._held(_neighbourhood(address))
        return max(0.0, (held - FAILURES + 1) * SECONDS_PER_FAILURE) if held > FAILURES - 1 else 0.0

    def failed(self, address: str) -> None:
        """Hold wrong credentials against an address."""
        place = _neighbourhood(address)
        held, now = self._held(place)
        self._failures.pop(place, None)
        self._failures[place] = (held + 1, now)
        if len(self._failures) > MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, address: str) -> None:
        """Forget what was held against an address."""
        self._failures.pop(_neighbourhood(address), None)

    def _held(self, place: str) -> tuple[float, float]:
        now = self._now()
        held, since = self._failures.get(place, (0.0, now))
        return max(0.0, held - (now - since) / SECONDS_PER_FAILURE), now


def _digest(value: bytes) -> bytes:
    # Of one length whatever the credentials are, so that the comparison tells nothing about theirs.
    return hashlib.sha256(value).digest()


def _neighbourhood(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 address, all of which one customer has."""
    found = read_address(address)
    if found is None or found.version == 4:
        return address
    return found.exploded[:19]
