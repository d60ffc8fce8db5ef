"""Many stations in one answer, without keeping anybody else waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import trio

T = TypeVar("T")

#: Seconds of encoding after which others get their turn: on a busy loop each turn of theirs takes many times that.
TURN = 0.004
#: Items between two looks at the clock.
BATCH = 10

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def encode_all(items: Iterable[T], picture: Callable[[T], Any]) -> list[msgspec.Raw]:
    """The encoded picture of each item; a checkpoint every :data:`TURN`."""
    await trio.lowlevel.checkpoint()
    encoded = []
    begun = time.perf_counter()
    for number, item in enumerate(items):
        if number % BATCH == BATCH - 1 and time.perf_counter() - begun > TURN:
            await trio.lowlevel.checkpoint()
            begun = time.perf_counter()
        encoded.append(msgspec.Raw(_encode(picture(item))))
    return encoded


def page(items: Sequence[T], offset: int, limit: int | None) -> Sequence[T]:
    """At most ``limit`` items after the first ``offset``."""
    return items[offset:] if limit is None else items[offset : offset + limit]
