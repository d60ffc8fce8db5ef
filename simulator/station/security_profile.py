"""The security profiles: which may be set when, where they lead, and what a failure to connect tells. Pure."""

from __future__ import annotations

from collections.abc import Callable

from simulator.station.security_events import Kind
from simulator.transport.connection import HandshakeRejected, OpenFailed, TlsFailed, TlsFault

HIGHEST_PROFILE = 3

_EVENT_OF_FAULT = {
    TlsFault.PEER_CERTIFICATE: Kind.INVALID_CENTRAL_SYSTEM_CERTIFICATE,
    TlsFault.OWN_CERTIFICATE: Kind.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM,
    TlsFault.VERSION: Kind.INVALID_TLS_VERSION,
    TlsFault.CIPHER: Kind.INVALID_TLS_CIPHER_SUITE,
}


def profile_refusal(
    value: str, current: int, *, password: bool, root: Callable[[], bool], certificate: Callable[[], bool]
) -> str:
    """Why ChangeConfiguration may not set that SecurityProfile (A05); empty where it may.

    :param current: the profile in force. Lowering it is left to people on the spot.
    :param password: whether there are Basic credentials.
    :param root: asks whether there is a valid root certificate for the central system.
    :param certificate: asks whether there is a valid certificate of the station.
    """
    if not value.isascii() or not value.isdecimal() or not current < int(value) <= HIGHEST_PROFILE:
        return f"it must be more than {current} and at most {HIGHEST_PROFILE}"
    profile = int(value)
    if profile < HIGHEST_PROFILE and not password:
        return "there is no AuthorizationKey"
    if profile >= 2 and not root():
        return "there is no valid CentralSystemRootCertificate"
    if profile == HIGHEST_PROFILE and not certificate():
        return "there is no valid ChargePointCertificate"
    return ""


def as_wss(url: str) -> str:
    """The same place over TLS: a ``ws`` URL with the other scheme."""
    scheme, separator, rest = url.partition("://")
    return f"wss{separator}{rest}" if separator and scheme.lower() == "ws" else url


def event_of(error: OpenFailed) -> Kind | None:
    """The security event that a connection stands for which did not come about."""
    if isinstance(error, TlsFailed):
        return _EVENT_OF_FAULT.get(error.fault)
    if isinstance(error, HandshakeRejected) and error.status in {401, 403}:
        return Kind.FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM
    return None
