"""What all messages of OCPP 1.6 have in common."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec


class Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base of everything on the wire: camelCase names, and optional members that are None are left out.

    Every field is immutable (arrays are tuples), so values hash, compare and can be shared between tasks; they can
    form no reference cycle, which lets the garbage collector pass them by.
    """


class Response(Data, frozen=True, kw_only=True):
    """Payload of a CALLRESULT."""


R = TypeVar("R", bound=Response)


class Request(Data, Generic[R], frozen=True, kw_only=True):
    """Payload of a CALL. The type parameter is the response that answers it."""
