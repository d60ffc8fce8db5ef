"""One request on its way to the procedure that carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from simulator.control.fanout import Act, Failed, aggregate, ask_stations
from ui_protocol.base import Response
from ui_protocol.procedures import Procedure

if TYPE_CHECKING:
    from simulator.control.control import Control
    from simulator.control.feed import Follower


class Asked(msgspec.Struct, frozen=True):
    """Who is asked for what, by whom. ``payload`` is the request as it came; ``follower`` the session, if it is one."""

    control: Control
    procedure: Procedure
    payload: dict[str, Any]
    request: Any
    follower: Follower | None

    async def of_stations(self, act: Act) -> Response:
        """Let the stations meant act, all at once, and tell how each of them fared."""
        stations, unknown = self.control.select(self.request.hash_ids)
        results: dict[str, Failed | None] = {hash_id: Failed("no station has this hashId") for hash_id in unknown}
        if not stations and not unknown:
            return aggregate(self.procedure.name, self.payload, {}, message="there is no station")
        results.update(await ask_stations(stations, act))
        return aggregate(self.procedure.name, self.payload, results)


Handler: TypeAlias = Callable[[Asked], Awaitable[Response]]
