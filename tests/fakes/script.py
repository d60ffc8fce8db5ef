"""What a scripted central system may do instead of giving its usual answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from simulator.csms import Station
from simulator.ocpp.errors import CallRefused, ErrorCode


class Default:
    """The usual answer."""


class Delay:
    """Answer after a while. See :func:`delay`."""

    def __init__(self, seconds: float, then: Reply) -> None:
        self.seconds = seconds
        self.then = then


class Withhold:
    """Answer nothing, or not yet. See :func:`withhold`."""

    def __init__(self, process: bool) -> None:
        self.process = process
        self._held: list[Callable[[], None]] = []

    @property
    def held(self) -> int:
        """How many calls wait for their answer."""
        return len(self._held)

    def hold(self, give: Callable[[], None]) -> None:
        """Keep back an answer: ``give()`` gives it."""
        self._held.append(give)

    def release(self) -> None:
        """Give the usual answer to every call that was held back and whose connection is still open."""
        held, self._held = self._held, []
        for give in held:
            give()


class Close:
    """Close the connection with a close frame. See :func:`close`."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class Cut:
    """Cut the line without goodbye. See :func:`cut`."""

    def __init__(self, process: bool) -> None:
        self.process = process


class Raw:
    """Send a text frame of any content in place of the answer. See :func:`raw`."""

    def __init__(self, text: str) -> None:
        self.text = text


Reply: TypeAlias = Mapping[str, Any] | msgspec.Struct | CallRefused | Default | Delay | Withhold | Close | Cut | Raw
Handler: TypeAlias = Callable[[Station, dict[str, Any]], Reply | Awaitable[Reply]]

DEFAULT = Default()


def refuse(code: ErrorCode | str = ErrorCode.INTERNAL_ERROR, description: str = "", **details: object) -> CallRefused:
    """Answer with a CALLERROR."""
    return CallRefused(ErrorCode(code), description, details)


def delay(seconds: float, then: Reply = DEFAULT) -> Delay:
    """Give ``then`` after so many seconds of trio's clock; other calls are answered meanwhile."""
    return Delay(seconds, then)


def withhold(*, process: bool = False) -> Withhold:
    """Give no answer; ``release()`` of the result gives it later.

    :param process: book the call (a transaction begins in the ledger): its answer is what gets lost.
    """
    return Withhold(process)


def close(code: int = 1000, reason: str = "") -> Close:
    """Close the connection instead of answering."""
    return Close(code, reason)


def cut(*, process: bool = False) -> Cut:
    """Cut the line instead of answering; only for connections in memory.

    :param process: book the call before.
    """
    return Cut(process)


def raw(text: str) -> Raw:
    """Send this text instead of the answer; ``{id}`` in it becomes the message id of the call."""
    return Raw(text)


class Rule:
    """An entry of the script."""

    __slots__ = ("action", "reply", "station_id", "times")

    def __init__(self, action: str, reply: Reply | Handler, station_id: str | None, times: int | None) -> None:
        self.action = action
        self.reply = reply
        self.station_id = station_id
        self.times = times


class Script:
    """Which reply is next for an action of a station.

    Rules for one station come before those for all; among them limited ones in the order they were given, then the
    unlimited one, of which the latest counts.
    """

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, rule: Rule) -> None:
        """Add a rule; an unlimited one replaces its predecessor, used up or not."""
        if rule.times is None:
            self.remove(rule.action, rule.station_id, limited=False)
        self._rules.append(rule)

    def remove(self, action: str, station_id: str | None, *, limited: bool = True) -> None:
        """Forget the unlimited rule of an action, and with ``limited`` all of them."""
        self._rules = [
            rule
            for rule in self._rules
            if (rule.action, rule.station_id) != (action, station_id) or (rule.times is not None and not limited)
        ]

    def next(self, action: str, station_id: str) -> Reply | Handler:
        """The reply for this call; a limited rule is one use closer to its end."""
        candidates = [rule for rule in self._rules if rule.action == action and rule.station_id in (None, station_id)]
        if not candidates:
            return DEFAULT
        rule = min(candidates, key=lambda rule: (rule.station_id is None, rule.times is None))
        if rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self._rules.remove(rule)
        return rule.reply
