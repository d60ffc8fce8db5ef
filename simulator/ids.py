"""Identifiers on the wire."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from itertools import count

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class MessageIds:
    """Unique ids of CALLs: a random prefix per process and a counter, at most 36 characters (OCPP-J 1.6 §4.1.4).

    The standard forbids to reuse an id on any connection of the same identity, so a counter alone, which starts again
    with the process, will not do; a UUID per message costs ten times as much.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        # 12 characters of base 36: 62 bits, so two runs of a fleet never meet.
        prefix = "".join(secrets.choice(_ALPHABET) for _ in range(12))
        #: Gives the next id. An iterator, which costs less than a method.
        self.next: Callable[[], str] = (f"{prefix}-{number:x}" for number in count(1)).__next__
