"""The security of one station: profile, credentials, how it connects, and what it falls back to (OCPP 1.6 security).

========  ====================  ==================================  ==================================
profile   transport             the station shows                   the central system shows
========  ====================  ==================================  ==================================
0         as the URL says       Basic credentials if it has any     as ``wsOptions`` says
1         as the URL says       Basic credentials                   as ``wsOptions`` says
2         ``wss``, TLS >= 1.2   Basic credentials                   a certificate under an installed root
3         ``wss``, TLS >= 1.2   its certificate                     a certificate under an installed root
========  ====================  ==================================  ==================================

Under profiles 2 and 3 a ``ws`` URL is connected to as ``wss``, with the same host and, where it names one, the same
port. Without an installed root the trust of ``wsOptions`` (``ca``, else the system's) holds; without a certificate of
its own the station shows that of ``wsOptions``. What the central system changes (key, profile, certificate, root) is on
trial until a connection has come about with it: if none does, the former state is back in force.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from simulator.config.ws_options import WebSocketOptions
from simulator.ocpp.v16.enums import CertificateStatus, CertificateUse, DeleteCertificateStatus
from simulator.ocpp.v16.messages import CertificateHashData
from simulator.station.memory import SOON
from simulator.station.security_events import Kind, SecurityEvents
from simulator.station.security_profile import HIGHEST_PROFILE, as_wss, event_of, profile_refusal
from simulator.station.standard_keys import authorization_key_bytes
from simulator.transport.connection import Connection, OpenFailed, TlsFailed, TlsFault

#: Of a station that nothing went wrong with; an empty set for each takes 200 bytes.
NOTHING_TOLD: frozenset[Kind] = frozenset()

if TYPE_CHECKING:
    from simulator.station.certificates import Certificates, Identity
    from simulator.station.renewal import Renewal
    from simulator.station.station import ChargingStation

#: Attempts with changed credentials that may fail for want of a network before the former ones are back.
TRIAL_ATTEMPTS = 3
#: Wall seconds that CALLs under way may take before a changed credential ends the connection.
DRAIN_WITHIN = 2.0


class Way(msgspec.Struct, frozen=True):
    """How the next connection is opened: the URL without the station's id, TLS and HTTP options, Basic credentials."""

    url: str
    options: WebSocketOptions
    basic_auth: tuple[str, str | bytes] | None
    identity: Identity | None = None
    fallback_root: bool = False

    # Shows no secret: structs end up in logs.
    def __repr__(self) -> str:
        return f"Way({self.url!r}, {self.options!r})"


class Trial(msgspec.Struct):
    """Changes that no connection has proved yet: the keys' former values, and a certificate.

    ``credentials``: what people had set and a new AuthorizationKey has taken the place of.
    """

    former: dict[str, str] = {}
    credentials: tuple[str, str | bytes] | None = None
    identity: Identity | None = None
    failures: int = 0

    # Shows no secret either.
    def __repr__(self) -> str:
        return f"Trial({', '.join(self.former)})"


class _Kept(msgspec.Struct, rename="camel"):
    extension_used: bool = False
    former_keys: dict[str, str] = {}


class Security:
    """Survives power cycles and connections, like everything that a real station keeps in its memory."""

    __slots__ = (
        "_anchor",
        "_asked_for",
        "_certificates",
        "_extension_used",
        "_fallback_root_next",
        "_key_of_template",
        "_reconnecting",
        "_renewal",
        "_station",
        "_told",
        "_trial",
        "events",
        "triggers",
    )

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self.events = SecurityEvents(station)
        self._certificates: Certificates | None = None
        self._renewal: Renewal | None = None
        self._trial: Trial | None = None
        self._fallback_root_next = False
        #: What went wrong with connecting since the last success: an event is for the change, not for each attempt.
        self._told = NOTHING_TOLD
        #: The central system has used the security extension, so it knows it.
        self._extension_used = False
        self._reconnecting = False
        #: What ExtendedTriggerMessage may ask for besides what TriggerMessage may: sends it, by name.
        self.triggers: dict[str, Callable[[], None]] = {}
        self._anchor = b""
        template = station.info.template
        self._asked_for = any(key.key.lower() == "securityprofile" for key in template.configuration_keys)
        self._key_of_template = station.keys.text("AuthorizationKey")

    # -- state -------------------------------------------------------------------------------------------------------

    @property
    def profile(self) -> int:
        """The security profile in force, 0 to 3."""
        return max(0, min(self._station.keys.number("SecurityProfile"), HIGHEST_PROFILE))

    @property
    def notifies(self) -> bool:
        """Whether events go to the central system.

        ``securityEvents`` of the template decides. Where it is absent: once the station has a security profile or a
        ``SecurityProfile`` key in its template, or the central system has used the security extension. Others would
        only be told what they do not understand.
        """
        switch = self._station.info.template.security_events
        return (self._asked_for or self.profile > 0 or self._extension_used) if switch is None else switch

    @property
    def certificates(self) -> Certificates:
        """The station's certificates, read at their first use."""
        if self._certificates is None:
            # The library behind it is slow and large; see there.
            from simulator.station.certificates import Certificates, MemoryCertificates

            services, info = self._station.services, self._station.info
            make = services.certificates
            try:
                self._certificates = Certificates(MemoryCertificates() if make is None else make(info.hash_id))
            except OSError as error:
                self._station.log.error("its certificates cannot be read, it goes on without: %s", error)
                self._certificates = Certificates(MemoryCertificates())
        return self._certificates

    @property
    def renewal(self) -> Renewal:
        """The requests for a certificate of the station."""
        if self._renewal is None:
            from simulator.station.renewal import Renewal

            self._renewal = Renewal(self._station)
        return self._renewal

    def extension_used(self) -> None:
        """The central system has sent a message of the security extension."""
        if not self._extension_used:
            self._extension_used = True
            self._station.remember(SOON)

    def event(self, kind: str, info: str | None = None) -> None:
        """A security event has happened: it is logged, and sent if it is critical and :attr:`notifies`.

        :param kind: its name in the white paper, see :class:`~simulator.station.security_events.Kind`.
        :param info: technical information; what is longer than the standard allows is cut.
        """
        self.events.record(Kind(kind), info or "", notify=self.notifies)

    def log_lines(self) -> list[tuple[float, str]]:
        """The security log, the oldest event first: POSIX seconds on the station's clock, and a line of text."""
        return self.events.log_lines()

    def log_text(self, start: float | None = None, stop: float | None = None) -> str:
        """The security log as text: the lines between two POSIX instants."""
        return "".join(
            f"{line}\n"
            for instant, line in self.log_lines()
            if (start is None or instant >= start) and (stop is None or instant <= stop)
        )

    def manufacturer_roots(self) -> tuple[str, ...]:
        """The installed ManufacturerRootCertificates as PEM: who may sign firmware."""
        return self.certificates.manufacturer_roots()

    def power_up(self) -> None:
        """The station boots."""
        self.events.power_up()
        self.event(Kind.STARTUP_OF_THE_DEVICE)

    def online(self) -> None:
        """The central system has accepted the station."""
        self.events.online()
        if self.profile == HIGHEST_PROFILE or self._certificates is not None:
            self.renewal.watch()

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """Events, what is on trial, and whether the central system knows the extension; None without all of it."""
        kept: dict[str, Any] = self.events.to_memory()
        if self._extension_used:
            kept["extensionUsed"] = True
        if self._trial is not None and self._trial.former:
            kept["formerKeys"] = dict(self._trial.former)
        return kept or None

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave. :raises ValueError: that cannot be used."""
        found = msgspec.convert(kept, _Kept)
        self.events.from_memory(kept)
        self._extension_used = found.extension_used
        if found.former_keys:
            self._trial = Trial(found.former_keys)

    # -- how it connects ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the next connection goes, without the station's id."""
        url = self._station.supervision_url
        return url if self.profile < 2 else as_wss(url)

    def way(self) -> Way:
        """How the next connection is to be opened."""
        options, profile = self._station.info.template.ws_options, self.profile
        if profile < 2:
            return Way(self.url, options, self.basic_auth())
        changes: dict[str, object] = {}
        fallback = self._fallback_root_next and self.certificates.has_fallback_root
        if roots := self.certificates.trusted(fallback=fallback):
            changes |= {"ca": roots, "reject_unauthorized": True}
        if options.min_version not in {"TLSv1.2", "TLSv1.3"}:
            changes["min_version"] = "TLSv1.2"
        identity = self._identity() if profile == HIGHEST_PROFILE else None
        if identity is not None:
            changes |= {"cert": identity.chain, "key": identity.key, "pfx": None, "passphrase": None}
        return Way(
            self.url,
            msgspec.structs.replace(options, **changes),
            self.basic_auth() if profile < HIGHEST_PROFILE else None,
            identity,
            fallback,
        )

    def _identity(self) -> Identity | None:
        return next(iter(self.certificates.identities(time.time())), None)

    def basic_auth(self) -> tuple[str, str | bytes] | None:
        """User and password of HTTP Basic authentication, if there are any.

        What people have set for this central system goes first, until it sets an AuthorizationKey of its own. Then the
        AuthorizationKey with the station's id as user; ``supervisionUser`` and ``supervisionPassword`` where there
        is no key, or only the template's own under profile 0, where no standard asks for it.
        """
        if self._station.credentials is not None:
            return self._station.credentials
        station, template = self._station, self._station.info.template
        of_template = None
        if template.supervision_user and template.supervision_password is not None:
            of_template = (template.supervision_user, template.supervision_password)
        key = station.keys.text("AuthorizationKey")
        if not key or (of_template is not None and key == self._key_of_template and self.profile == 0):
            return of_template
        raw = None if template.authorization_key_as_text else authorization_key_bytes(key)
        return station.info.station_id, key if raw is None else raw

    def opened(self, way: Way, connection: Connection) -> None:
        """A connection has come about this way: what was on trial has passed."""
        self._told = NOTHING_TOLD
        self._anchor = connection.trust_anchor
        if self._trial is not None:
            self._station.log.info("connected with the changed credentials")
            self._trial = None
            self._station.remember()
        if way.fallback_root:
            self._station.log.warning("connected with the former root certificate: the new one did not do")
            self._fallback_root_next = False
        elif self._certificates is not None and self._certificates.has_fallback_root and self.profile >= 2:
            self._confirm_root()

    def _confirm_root(self) -> None:
        try:
            self.certificates.confirm_root()
        except OSError as error:
            self._station.log.error("the former root certificate cannot be removed: %s", error)

    def closed(self) -> None:
        """The connection is gone."""
        self._anchor = b""

    def open_failed(self, way: Way, error: OpenFailed) -> bool:
        """No connection came about this way; returns whether another way is worth an attempt at once."""
        kind = event_of(error)
        if kind is not None and kind not in self._told:
            self._told |= {kind}
            self.event(kind, str(error))
        if isinstance(error, TlsFailed) and error.fault is TlsFault.PEER_CERTIFICATE and self.profile >= 2:
            if way.fallback_root:
                self._fallback_root_next = False
            elif self.certificates.has_fallback_root:
                self._station.log.warning("the new root certificate does not do: tries the former one")
                self._fallback_root_next = True
                return True
        return self._trial is not None and self._judge(self._trial, error)

    def _judge(self, trial: Trial, error: OpenFailed) -> bool:
        """Count a failure against what is on trial; returns whether that is over and the former state in force.

        A refused password says something of any change, a failed TLS handshake not of a password, and a network that
        is away of nothing but a profile: the other scheme may lead nowhere.
        """
        trial.failures += 1
        profile = "SecurityProfile" in trial.former
        if not (
            error.status in {401, 403}
            or (isinstance(error, TlsFailed) and (profile or trial.identity is not None))
            or (profile and (error.refused or trial.failures >= TRIAL_ATTEMPTS))
        ):
            return False
        self._trial = None
        station = self._station
        for name, value in trial.former.items():
            station.keys.set(name, value)
        station.credentials = station.credentials or trial.credentials
        station.remember()
        if trial.identity is not None:
            try:
                self.certificates.drop_identity(trial.identity)
            except OSError as fault:
                station.log.error("the certificate that did not do cannot be removed: %s", fault)
            self.event(Kind.INVALID_CHARGE_POINT_CERTIFICATE, f"no connection with it: {error.stage}")
        what = ", ".join([*trial.former, *(["certificate"] if trial.identity is not None else [])])
        station.log.warning("no connection with the changed credentials: back to the former (%s)", what)
        self.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"fell back: {what}")
        return True

    # -- what the central system changes -----------------------------------------------------------------------------

    def allows_profile(self, value: str) -> bool:
        """Whether the central system may write this SecurityProfile."""
        refusal = profile_refusal(
            value,
            self.profile,
            password=self.basic_auth() is not None,
            root=self._has_root,
            certificate=self._has_certificate,
        )
        if refusal:
            self._station.log.info("SecurityProfile %s is refused: %s", value, refusal)
        return not refusal

    def _has_root(self) -> bool:
        return bool(self._station.info.template.ws_options.ca) or self.certificates.has_valid_root(time.time())

    def _has_certificate(self) -> bool:
        options = self._station.info.template.ws_options
        return bool(options.cert or options.pfx) or self._identity() is not None

    def key_written(self, former: str) -> None:
        """The central system has written AuthorizationKey."""
        station = self._station
        self.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, "AuthorizationKey")
        shown_before, station.credentials = station.credentials, None
        if self.profile < HIGHEST_PROFILE:  # there nobody is shown it
            self._on_trial(former={"AuthorizationKey": former}, credentials=shown_before)
            self._reconnect_soon("AuthorizationKey")

    def profile_written(self, former: str, value: str) -> None:
        """The central system has written SecurityProfile."""
        self.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"SecurityProfile {value}")
        self._on_trial(former={"SecurityProfile": former})
        self._reconnect_soon("SecurityProfile")

    def _on_trial(
        self,
        *,
        former: Mapping[str, str] | None = None,
        credentials: tuple[str, str | bytes] | None = None,
        identity: Identity | None = None,
    ) -> None:
        trial = self._trial = self._trial or Trial()
        trial.failures = 0
        trial.credentials = trial.credentials or credentials
        trial.identity = identity or trial.identity
        for name, value in (former or {}).items():
            trial.former.setdefault(name, value)

    def identity_changed(self, identity: Identity) -> None:
        """The station has a new certificate that is valid now: under profile 3 it connects with it."""
        if self.profile == HIGHEST_PROFILE:
            self._on_trial(identity=identity)
            self._reconnect_soon("ChargePointCertificate")

    def install(self, use: CertificateUse, pem: str) -> CertificateStatus:
        """InstallCertificate (M05); the reason of a refusal goes into the log."""
        station, keys = self._station, self._station.keys
        successor = keys.flag("AdditionalRootCertificateCheck")
        done = self.certificates.install(
            use, pem, time.time(), most=keys.number("CertificateStoreMaxLength"), successor=successor
        )
        if done.status is not CertificateStatus.ACCEPTED:
            station.log.warning("InstallCertificate of a %s: %s: %s", use, done.status, done.reason)
            if done.invalid and use == CertificateUse.CENTRAL_SYSTEM_ROOT_CERTIFICATE:
                self.event(Kind.INVALID_CENTRAL_SYSTEM_CERTIFICATE, done.reason)
            return done.status
        self.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"{use} installed")
        replaced = successor and self.certificates.has_fallback_root
        if replaced and use == CertificateUse.CENTRAL_SYSTEM_ROOT_CERTIFICATE and self.profile >= 2:
            self._reconnect_soon(str(use))
        return done.status

    def delete(self, name: CertificateHashData) -> DeleteCertificateStatus:
        """DeleteCertificate (M04)."""
        try:
            status = self.certificates.delete(name, profile=self.profile, anchor=self._anchor)
        except OSError as error:
            self._station.log.error("the certificate cannot be deleted: %s", error)
            return DeleteCertificateStatus.FAILED
        if status is DeleteCertificateStatus.ACCEPTED:
            self.event(Kind.RECONFIGURATION_OF_SECURITY_PARAMETERS, f"certificate {name.serial_number} deleted")
        return status

    # -- reconnecting ------------------------------------------------------------------------------------------------

    def _reconnect_soon(self, changed: str) -> None:
        """Reconnect once the answer has left. A key of the template may want a reboot for it; it happens there then."""
        station = self._station
        key = station.keys.get(changed)
        if station.powered and not self._reconnecting and (key is None or not key.reboot):
            self._reconnecting = True
            station.spawn(self._reconnect, changed)

    async def _reconnect(self, changed: str) -> None:
        station = self._station
        try:
            with trio.move_on_after(DRAIN_WITHIN):
                # A CALL that loses its answer would be sent twice; transaction messages wait for the next connection.
                await station.lane.delivered()
        finally:
            self._reconnecting = False
        if not station.stopping and not station.reset_under_way:  # else it connects anew anyway, or never again
            station.log.info("reconnects: %s has changed", changed)
            station.line.reconnect()
