"""Whether a tag may charge (OCPP 1.6 §3.5, §5.1 and §4.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from simulator.ocpp.v16.enums import AuthorizationStatus
from simulator.ocpp.v16.messages import AuthorizeRequest, IdTagInfo
from simulator.station.calls import CallFailed

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: The tag of a session for which the template gives no list.
DEFAULT_ID_TAG = "00000000"


class Decision(msgspec.Struct, frozen=True):
    """The answer to a presented tag."""

    accepted: bool
    #: Why not, in words for the log and the control protocol; empty when accepted.
    reason: str = ""
    info: IdTagInfo | None = None
    #: Whether the central system was asked.
    asked: bool = False


class Authorization:
    """The authorisation of one station: its list of known tags, then the central system."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        # The template's tag list serves as local list while the central system has sent none. Tags compare without
        # case (CiString20Type).
        self._listed = frozenset(tag.casefold() for tag in station.info.id_tags)

    def known_locally(self, id_tag: str) -> bool:
        """Whether the local authorisation list is in use and holds the tag."""
        return self._station.keys.flag("LocalAuthListEnabled") and id_tag.casefold() in self._listed

    async def authorize(self, id_tag: str) -> Decision:
        """Decide about a tag that was presented at the station.

        Online: known locally and ``LocalPreAuthorize`` starts at once, everything else asks the central system.
        Offline: known locally and ``LocalAuthorizeOffline``, or ``AllowOfflineTxForUnknownId``.
        """
        keys = self._station.keys
        known = self.known_locally(id_tag)
        if not self._station.online:
            if known and keys.flag("LocalAuthorizeOffline"):
                return Decision(True)
            if not known and keys.flag("AllowOfflineTxForUnknownId"):
                return Decision(True)
            return Decision(False, "offline, and the tag is not known locally")
        if known and keys.flag("LocalPreAuthorize"):
            return Decision(True)
        return await self.ask(id_tag)

    async def ask(self, id_tag: str) -> Decision:
        """Send Authorize and decide by its answer."""
        try:
            answer = await self._station.lane.call(AuthorizeRequest(id_tag=id_tag))
        except CallFailed as error:
            return Decision(False, str(error), asked=True)
        info = answer.id_tag_info
        if info.status == AuthorizationStatus.ACCEPTED:
            return Decision(True, info=info, asked=True)
        return Decision(False, f"the central system answered {info.status}", info, asked=True)

    async def authorize_remote_start(self, id_tag: str) -> Decision:
        """Decide about a tag that RemoteStartTransaction brought (OCPP 1.6 §5.11).

        Without ``AuthorizeRemoteTxRequests`` the request itself is the authorisation. With it the tag counts as
        presented; ``mustAuthorizeAtRemoteStart: false`` then leaves out the Authorize.
        """
        if not self._station.keys.flag("AuthorizeRemoteTxRequests"):
            return Decision(True)
        if self.known_locally(id_tag):
            return Decision(True)
        if not self._station.info.template.must_authorize_at_remote_start:
            return Decision(True)
        return await self.authorize(id_tag)
