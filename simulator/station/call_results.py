"""How a CALL ended: the CALLRESULT as a struct, or why there is none."""

from __future__ import annotations

from typing import Any, TypeAlias

import outcome

#: The answer to a CALL as a struct, or the :class:`CallFailed` that stands for it.
Result: TypeAlias = outcome.Value[Any] | outcome.Error


class CallFailed(Exception):
    """A CALL did not get its CALLRESULT; the text says why in a few words."""


class NotConnected(CallFailed):
    """There is no connection, or it went before the answer came."""


class CallRefusedByPeer(CallFailed):
    """The central system answered with a CALLERROR."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code


class CallTimeout(CallFailed):
    """No answer within the deadline."""


class BadAnswer(CallFailed):
    """The CALLRESULT does not fit the OCPP schema of its action."""


class NotAllowed(CallFailed):
    """The station may not send this now (not registered), or at all (``commandsSupport``, invalid content)."""
