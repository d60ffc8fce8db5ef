"""The certificates of a station: roots that it trusts, and its own with their keys (OCPP 1.6 security, M03 to M05).

Texts are PEM. The shelves outlive resets; whether they outlive the process is up to the store. Imported when the first
station needs a certificate, for the reason that :mod:`simulator.station.pki` gives.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from simulator.ocpp.v16.enums import CertificateStatus, CertificateUse, DeleteCertificateStatus
from simulator.ocpp.v16.messages import CertificateHashData
from simulator.station.pki import (
    BadCertificate,
    Certificate,
    check_root,
    der_of,
    hash_data,
    is_named,
    is_signed_by,
    is_valid_at,
    pem_of,
    read_chain,
    read_one,
    validity,
)
from simulator.station.services import CertificateStore

#: Own certificates that are kept: the newest, and its predecessor to fall back to.
IDENTITIES = 2


class Shelf(enum.StrEnum):
    """What is kept where."""

    CENTRAL_SYSTEM_ROOT = "CentralSystemRootCertificate"
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"
    #: The predecessor of a root that has not been connected with yet (AdditionalRootCertificateCheck).
    FALLBACK_ROOT = "FallbackRootCertificate"
    #: Each item is a chain, leaf first, and then its private key.
    CHARGE_POINT = "ChargePointCertificate"
    #: The private key of the certificate request that waits for its answer.
    REQUESTED_KEY = "RequestedKey"


_ROOTS = (Shelf.CENTRAL_SYSTEM_ROOT, Shelf.MANUFACTURER_ROOT, Shelf.FALLBACK_ROOT)


class MemoryCertificates:
    """A store that forgets with the process."""

    def __init__(self) -> None:
        self._shelves: dict[str, tuple[str, ...]] = {}

    def load(self) -> Mapping[str, Sequence[str]]:
        """See :class:`CertificateStore`."""
        return self._shelves

    def save(self, shelf: str, items: Sequence[str]) -> None:
        """See :class:`CertificateStore`."""
        self._shelves[shelf] = tuple(items)


class Installation(msgspec.Struct, frozen=True):
    """The answer to InstallCertificate; why it is not Accepted; whether the certificate itself was at fault."""

    status: CertificateStatus
    reason: str = ""
    invalid: bool = False


class Identity(msgspec.Struct, frozen=True):
    """A certificate of the station with its key."""

    chain: str
    key: str

    @classmethod
    def read(cls, item: str) -> Identity:
        """From the item of its shelf."""
        blocks = list(_blocks(item))
        return cls(
            "".join(block for block in blocks if "PRIVATE KEY" not in block),
            "".join(block for block in blocks if "PRIVATE KEY" in block),
        )

    @property
    def item(self) -> str:
        """For its shelf."""
        return self.chain + self.key

    # Shows no secret.
    def __repr__(self) -> str:
        return f"Identity({len(self.chain)} characters)"


class Certificates:
    """The shelves of one station. :raises OSError: they cannot be read."""

    def __init__(self, store: CertificateStore) -> None:
        self._store = store
        self._shelves = {name: tuple(items) for name, items in store.load().items()}

    def _shelf(self, shelf: Shelf) -> tuple[str, ...]:
        return self._shelves.get(shelf, ())

    def _put(self, shelf: Shelf, items: Sequence[str]) -> None:
        if tuple(items) != self._shelf(shelf):
            self._store.save(shelf, items)
            self._shelves[shelf] = tuple(items)

    # -- roots -------------------------------------------------------------------------------------------------------

    def trusted(self, *, fallback: bool = False) -> tuple[str, ...]:
        """The roots to check a central system against; with ``fallback`` the predecessors of a new one."""
        items = self._shelf(Shelf.FALLBACK_ROOT if fallback else Shelf.CENTRAL_SYSTEM_ROOT)
        return tuple(next(_blocks(item), item) for item in items)

    def manufacturer_roots(self) -> tuple[str, ...]:
        """Who may sign firmware."""
        return tuple(next(_blocks(item), item) for item in self._shelf(Shelf.MANUFACTURER_ROOT))

    @property
    def has_fallback_root(self) -> bool:
        """Whether a new root waits for its first connection."""
        return bool(self._shelf(Shelf.FALLBACK_ROOT))

    def has_valid_root(self, now: float) -> bool:
        """Whether a central system could be checked at wall instant ``now``."""
        return any(is_valid_at(chain[0], now) for _, chain in self._chains(Shelf.CENTRAL_SYSTEM_ROOT))

    def install(self, use: CertificateUse, pem: str, now: float, *, most: int, successor: bool) -> Installation:
        """Install a root (M05). One that is installed already stays as it is.

        :param most: certificates that there is room for.
        :param successor: AdditionalRootCertificateCheck: a central system's root takes the place of the present one,
            which must have signed it and is kept as fallback until :meth:`confirm_root`.
        """
        shelf = Shelf(use)
        present = [chain[0] for _, chain in self._chains(shelf)]
        try:
            certificate = read_one(pem)
            check_root(certificate, now)
        except BadCertificate as error:
            return Installation(CertificateStatus.REJECTED, str(error), invalid=True)
        if certificate in present:
            return Installation(CertificateStatus.ACCEPTED)
        replaces = successor and shelf is Shelf.CENTRAL_SYSTEM_ROOT and bool(present)
        signer = next((root for root in present if is_signed_by(certificate, root)), None)
        if replaces and signer is None:
            reason = "it is not signed by the root certificate that it would replace"
            return Installation(CertificateStatus.REJECTED, reason, invalid=True)
        if not replaces and self._count() >= most:
            reason = f"{most} certificates are installed (CertificateStoreMaxLength)"
            return Installation(CertificateStatus.REJECTED, reason)
        # Whoever signed it goes along: the certificate's name by hash needs the issuer's key.
        item = pem_of([certificate] if signer is None else [certificate, signer])
        try:
            if replaces:
                self._put(Shelf.FALLBACK_ROOT, self._shelf(Shelf.FALLBACK_ROOT) or self._shelf(shelf))
                self._put(shelf, [item])
            else:
                self._put(shelf, [*self._shelf(shelf), item])
        except OSError as error:
            return Installation(CertificateStatus.FAILED, f"it cannot be stored: {error}")
        return Installation(CertificateStatus.ACCEPTED)

    def _count(self) -> int:
        return sum(len(self._shelf(shelf)) for shelf in _ROOTS)

    def confirm_root(self) -> None:
        """A connection with the new root has succeeded: its predecessor goes. :raises OSError: it cannot."""
        self._put(Shelf.FALLBACK_ROOT, ())

    def ids(self, use: CertificateUse) -> tuple[CertificateHashData, ...]:
        """The names of the installed certificates of that use (M03)."""
        return tuple(hash_data(chain[0], issuer) for chain, issuer in self._with_issuers(Shelf(use)))

    def delete(self, name: CertificateHashData, *, profile: int, anchor: bytes) -> DeleteCertificateStatus:
        """Delete an installed certificate (M04); the station's own and the root in use are refused with Failed.

        :param profile: the security profile in force.
        :param anchor: DER of the root that the present connection was checked against, as far as known.
        :raises OSError: it cannot be deleted.
        """
        for shelf in _ROOTS:
            for place, (chain, issuer) in enumerate(self._with_issuers(shelf)):
                if not is_named(chain[0], issuer, name):
                    continue
                if profile >= 2 and self._needed(shelf, der_of(chain[0]), anchor):
                    return DeleteCertificateStatus.FAILED
                item = [item for item, _ in self._chains(shelf)][place]
                self._put(shelf, [other for other in self._shelf(shelf) if other != item])
                return DeleteCertificateStatus.ACCEPTED
        for _, chain in self._chains(Shelf.CHARGE_POINT):
            if any(is_named(chain[0], issuer, name) for issuer in self._issuers_of(chain)):
                return DeleteCertificateStatus.FAILED
        return DeleteCertificateStatus.NOT_FOUND

    def _needed(self, shelf: Shelf, der: bytes, anchor: bytes) -> bool:
        if shelf is Shelf.MANUFACTURER_ROOT:
            return False
        return der == anchor or (shelf is Shelf.CENTRAL_SYSTEM_ROOT and len(self._shelf(shelf)) == 1)

    def _chains(self, shelf: Shelf) -> Iterator[tuple[str, list[Certificate]]]:
        """The items of a shelf that can be read, with their certificates."""
        for item in self._shelf(shelf):
            try:
                yield item, read_chain(item)
            except BadCertificate:
                continue  # a file that somebody else has put there

    def _with_issuers(self, shelf: Shelf) -> Iterator[tuple[list[Certificate], Certificate]]:
        for _, chain in self._chains(shelf):
            yield chain, self._issuers_of(chain)[0]

    def _issuers_of(self, chain: list[Certificate]) -> list[Certificate]:
        """Who may have signed the first certificate of a chain: its successor in it, a root; failing these itself."""
        known = [*chain[1:2], *(root[0] for shelf in _ROOTS for _, root in self._chains(shelf)), chain[0]]
        return [issuer for issuer in known if is_signed_by(chain[0], issuer)] or [chain[0]]

    # -- the station's own -------------------------------------------------------------------------------------------

    def identities(self, now: float) -> list[Identity]:
        """The station's certificates that are valid at ``now``: the newest notBefore first, then the latest to come."""
        found = [
            (validity(chain[0])[0], place, item)
            for place, (item, chain) in enumerate(self._own())
            if is_valid_at(chain[0], now)
        ]
        return [Identity.read(item) for _, _, item in sorted(found, reverse=True)]

    def next_beginning(self, now: float) -> float | None:
        """The wall instant at which the next of them becomes valid, if there is one."""
        return min((begin for _, chain in self._own() if (begin := validity(chain[0])[0]) > now), default=None)

    def _own(self) -> Iterator[tuple[str, list[Certificate]]]:
        return ((item, chain) for item, chain in self._chains(Shelf.CHARGE_POINT) if "PRIVATE KEY" in item)

    def ask_for(self, key: str) -> None:
        """Keep the key of a certificate request; it replaces that of an earlier one. :raises OSError: it cannot."""
        self._put(Shelf.REQUESTED_KEY, [key])

    def give_up_request(self) -> None:
        """Forget the key of the request. :raises OSError: it cannot."""
        self._put(Shelf.REQUESTED_KEY, ())

    @property
    def requested_key(self) -> str | None:
        """The key of the request that waits for its certificate."""
        return next(iter(self._shelf(Shelf.REQUESTED_KEY)), None)

    def add_identity(self, chain: Sequence[Certificate], key: str, now: float) -> Identity:
        """Keep the certificate of the request with its key, and the one before it. :raises OSError: it cannot."""
        added = Identity(pem_of(chain), key)
        former = [identity.item for identity in self.identities(now) if identity != added]
        self._put(Shelf.CHARGE_POINT, [*reversed(former[: IDENTITIES - 1]), added.item])
        self.give_up_request()
        return added

    def drop_identity(self, identity: Identity) -> None:
        """Forget a certificate of the station. :raises OSError: it cannot."""
        self._put(Shelf.CHARGE_POINT, [item for item in self._shelf(Shelf.CHARGE_POINT) if item != identity.item])


def _blocks(text: str) -> Iterator[str]:
    """The PEM blocks of a text."""
    begin = text.find("-----BEGIN ")
    while begin >= 0:
        end = text.find("\n-----END ", begin)
        if end < 0:
            return
        end = text.find("\n", end + 1)
        yield text[begin:].rstrip() + "\n" if end < 0 else text[begin : end + 1]
        if end < 0:
            return
        begin = text.find("-----BEGIN ", end)
