"""A station's own certificate: requests for one, what comes back, and renewal in time (OCPP 1.6 security, A02 and A03).

Whether a certificate is valid is a matter of the wall clock, as for the TLS library and for the authority that made it.
When its renewal is due is simulated: the remaining life that a certificate has when it is put to use passes in virtual
time from then on. At speed 1 that is the same; at speed 100 a certificate of a year is renewed after three days.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio

from simulator.clock import Timer
from simulator.ocpp.v16.enums import GenericStatus
from simulator.ocpp.v16.messages import SignCertificateRequest
from simulator.station.call_results import CallFailed
from simulator.station.pki import (
    BadCertificate,
    check_signed,
    new_key,
    read_chain,
    signing_request,
    subject,
    validity,
)
from simulator.station.security_events import Kind

if TYPE_CHECKING:
    from simulator.station.certificates import Identity
    from simulator.station.station import ChargingStation

_DAY = 86_400.0
#: Virtual seconds before its end at which a certificate is renewed; one that lives less than three times as long is
#: renewed when a third of its life is left.
RENEW_BEFORE = 30 * _DAY
#: Virtual seconds from one attempt at a renewal to the next.
ASK_AGAIN = _DAY


class Renewal:
    """The certificate requests of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._asking = False
        self._timer: Timer | None = None
        self._beginning: Timer | None = None
        #: The certificate in use, and the virtual instant at which its renewal is due.
        self._current: Identity | None = None
        self._due = float("inf")
        #: Virtual instant before which the station does not ask of itself again.
        self._not_before = float("-inf")

    # -- asking ------------------------------------------------------------------------------------------------------

    async def request(self) -> bool:
        """Make a key pair and have its certificate signed (SignCertificate); returns whether the request was taken.

        The certificate itself comes later, in CertificateSigned. While one request is being made another changes
        nothing. On cancel the key of the request stays: its certificate may still come.
        """
        if self._asking:
            return True
        self._asking = True
        try:
            return await self._request()
        except (BadCertificate, OSError) as error:
            self._station.log.error("no certificate can be asked for: %s", error)
            return False
        finally:
            self._asking = False

    async def _request(self) -> bool:
        station, certificates = self._station, self._station.security.certificates
        kind = station.info.template.certificate_key_type
        if kind == "RSA":
            key = await trio.to_thread.run_sync(new_key, kind, abandon_on_cancel=True)
        else:
            key = new_key(kind)
        csr = signing_request(key, common_name=common_names(station)[0], organisation=station.keys.text("CpoName"))
        certificates.ask_for(key)
        try:
            answer = await station.lane.call(SignCertificateRequest(csr=csr), triggered=True)
        except CallFailed as error:
            # Whether the central system has taken the request or not: the key waits for what comes.
            station.log.warning("SignCertificate: %s", error)
            return False
        if answer.status != GenericStatus.ACCEPTED:
            station.log.warning("the central system refuses to have a certificate signed")
            if certificates.requested_key == key:
                certificates.give_up_request()
            return False
        return True

    # -- what comes back ---------------------------------------------------------------------------------------------

    def signed(self, pem: str) -> bool:
        """Take the chain of CertificateSigned and use it once it is valid; False: it is not what was asked for."""
        station, now = self._station, time.time()
        certificates = station.security.certificates
        try:
            longest = station.keys.number("CertificateSignedMaxChainSize", 10_000)
            if len(pem) > longest:
                raise BadCertificate(f"the chain has {len(pem)} characters, at most {longest} are taken")
            key = certificates.requested_key
            if key is None:
                raise BadCertificate("no certificate was asked for")
            chain = read_chain(pem)
            check_signed(chain, key, now, organisation=station.keys.text("CpoName"), names=common_names(station))
            identity = certificates.add_identity(chain, key, now)
        except (BadCertificate, OSError) as error:
            station.log.warning("CertificateSigned is refused: %s", error)
            station.security.event(Kind.INVALID_CHARGE_POINT_CERTIFICATE, str(error))
            return False
        station.security.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"certificate for {subject(chain[0])}")
        if validity(chain[0])[0] <= now:
            station.security.identity_changed(identity)
        self.watch()
        return True

    # -- in time -----------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """See to the renewal of the certificate in use, and to one that is still to become valid."""
        station, now = self._station, time.time()
        certificates = station.security.certificates
        begin = certificates.next_beginning(now)
        if begin is not None and (self._beginning is None or not self._beginning.pending):
            self._beginning = station.clock.call_later_wall(begin - now, station.guarded(self._begins))
        identity = next(iter(certificates.identities(now)), None)
        if identity != self._current:
            self._current = identity
            self._due = float("inf") if identity is None else max(self._due_of(identity, now), self._not_before)
        if self._timer is not None:
            self._timer.cancel()
        if self._current is None:
            return
        if self._due <= station.clock.now():
            self._ask_if_online()
        else:
            self._timer = station.clock.call_at(self._due, station.guarded(self._ask_if_online))

    def _due_of(self, identity: Identity, now: float) -> float:
        begin, end = validity(read_chain(identity.chain)[0])
        return self._station.clock.now() + (end - now) - min(RENEW_BEFORE, (end - begin) / 3)

    def _begins(self) -> None:
        identity = next(iter(self._station.security.certificates.identities(time.time())), None)
        if identity is not None and identity != self._current:
            self._station.security.identity_changed(identity)
        self.watch()

    def _ask_if_online(self) -> None:
        """Offline nothing happens: :meth:`watch` comes again with the connection."""
        station = self._station
        if station.online:
            station.log.info("its certificate ends soon: asks for a new one")
            self._due = self._not_before = station.clock.now() + ASK_AGAIN
            self._timer = station.clock.call_at(self._due, station.guarded(self._ask_if_online))
            station.spawn(self.request)


def common_names(station: ChargingStation) -> list[str]:
    """What may stand for the station in a certificate: its serial number, which a request names, and its identity."""
    return [*filter(None, [station.info.charge_point_serial_number]), station.info.station_id]
