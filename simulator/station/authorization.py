"""Whether a tag may charge (OCPP 1.6 §3.5, §4.1, §5.11): local list, cache, and the central system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from simulator.ocpp.v16.enums import AuthorizationStatus, ChargePointErrorCode
from simulator.ocpp.v16.messages import AuthorizeRequest, IdTagInfo
from simulator.station.call_results import CallFailed
from simulator.station.known_tags import AuthorizationCache, LocalList, current
from simulator.station.memory import SOON

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
    """The authorisation of one station."""

    __slots__ = ("_station", "cache", "local_list")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self.local_list = LocalList(station.info.id_tags)
        self.cache = AuthorizationCache()

    # -- what is known locally ---------------------------------------------------------------------------------------

    @property
    def list_enabled(self) -> bool:
        """Whether the local list is in use."""
        return self._station.keys.flag("LocalAuthListEnabled")

    @property
    def cache_enabled(self) -> bool:
        """Whether the cache is in use."""
        return self._station.keys.flag("AuthorizationCacheEnabled")

    def known(self, id_tag: str) -> IdTagInfo | None:
        """What the list, else the cache, says of a tag now."""
        info = self.local_list.find(id_tag) if self.list_enabled else None
        if info is None and self.cache_enabled:
            info = self.cache.find(id_tag)
        return None if info is None else current(info, self._station.now())

    def parent_of(self, id_tag: str) -> str | None:
        """The parent of a tag as known locally, while the entry is valid."""
        info = self.known(id_tag)
        return info.parent_id_tag if info is not None and info.status == AuthorizationStatus.ACCEPTED else None

    def learn(self, id_tag: str, info: IdTagInfo) -> None:
        """Take note of what the central system says of a tag in any answer (OCPP 1.6 §3.5.1).

        Where that contradicts the local list, connector 0 reports LocalListConflict (§3.5.2).
        """
        station = self._station
        if self.list_enabled:
            listed = self.local_list.find(id_tag)
            if listed is not None:
                accepted = current(listed, station.now()).status == AuthorizationStatus.ACCEPTED
                if accepted != (info.status in {AuthorizationStatus.ACCEPTED, AuthorizationStatus.CONCURRENT_TX}):
                    station.log.warning("the central system contradicts the local list about tag %s", id_tag)
                    station.status.warn(station.connectors.get(0), ChargePointErrorCode.LOCAL_LIST_CONFLICT)
                return
        if self.cache_enabled and info.status != AuthorizationStatus.CONCURRENT_TX:
            self.cache.learn(id_tag, info)
            station.remember(SOON)

    # -- deciding ----------------------------------------------------------------------------------------------------

    async def authorize(self, id_tag: str) -> Decision:
        """Decide about a tag that was presented at the station (OCPP 1.6 §3.5).

        Online: valid in the list or the cache and ``LocalPreAuthorize`` starts at once, everything else asks the
        central system. Offline: valid there and ``LocalAuthorizeOffline``, or unknown and
        ``AllowOfflineTxForUnknownId``; a tag known as invalid is refused.
        """
        keys = self._station.keys
        known = self.known(id_tag)
        valid = known is not None and known.status == AuthorizationStatus.ACCEPTED
        if self._station.online:
            if valid and keys.flag("LocalPreAuthorize"):
                return Decision(True, info=known)
            return await self.ask(id_tag)
        if valid and keys.flag("LocalAuthorizeOffline"):
            return Decision(True, info=known)
        if known is None and keys.flag("AllowOfflineTxForUnknownId"):
            return Decision(True)
        if known is not None and not valid:
            return Decision(False, f"offline, and the tag is known as {known.status}", known)
        return Decision(False, "offline, and the tag may not start without the central system", known)

    async def ask(self, id_tag: str) -> Decision:
        """Send Authorize and decide by its answer."""
        try:
            answer = await self._station.lane.call(AuthorizeRequest(id_tag=id_tag))
        except CallFailed as error:
            return Decision(False, str(error), asked=True)
        info = answer.id_tag_info
        self.learn(id_tag, info)
        if info.status == AuthorizationStatus.ACCEPTED:
            return Decision(True, info=info, asked=True)
        return Decision(False, f"the central system answered {info.status}", info, asked=True)

    async def authorize_remote_start(self, id_tag: str) -> Decision:
        """Decide about a tag that RemoteStartTransaction brought (OCPP 1.6 §5.11).

        Without ``AuthorizeRemoteTxRequests`` the request itself is the authorisation. With it the tag counts as
        presented; ``mustAuthorizeAtRemoteStart: false`` then leaves out the Authorize.
        """
        return await self.authorize(id_tag) if self.asks_at_remote_start else Decision(True)

    @property
    def asks_at_remote_start(self) -> bool:
        """Whether the tag of a remote start is to be authorised."""
        station = self._station
        return station.keys.flag("AuthorizeRemoteTxRequests") and station.info.template.must_authorize_at_remote_start
