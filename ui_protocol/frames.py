"""SRPC framing: requests ``[uuid, procedure, payload]``, responses ``[uuid, payload]``, notifications ``[name, …]``."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_encode = msgspec.json.Encoder(decimal_format="number").encode

#: Tells every client that something has changed.
REFRESH = '["refresh"]'


class FrameError(Exception):
    """A message that is no request: nobody can be answered, so the connection is closed with 1007."""


class SrpcRequest(msgspec.Struct, frozen=True):
    """A request; ``payload`` is whatever JSON the client sent."""

    uuid: str
    procedure: str
    payload: Any


def parse_request(text: str | bytes) -> SrpcRequest:
    """Read a request. :raises FrameError: with the reason, in at most 120 characters."""
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise FrameError("the message is not JSON") from None
    if not isinstance(message, list) or len(message) != 3:
        raise FrameError("the message is not an array [uuid, procedure, payload]")
    uuid, procedure, payload = message
    if not isinstance(uuid, str) or _UUID.fullmatch(uuid) is None:
        raise FrameError("the first element is not a UUID")
    if not isinstance(procedure, str):
        raise FrameError("the second element is not the name of a procedure")
    return SrpcRequest(uuid, procedure, payload)


def encode_request(uuid: str, procedure: str, payload: Any) -> str:
    """The request as text."""
    return _encode([uuid, procedure, payload]).decode()


def encode_response(uuid: str, payload: Any) -> str:
    """The response as text."""
    return _encode([uuid, payload]).decode()


def encode_notification(name: str, payload: Any) -> str:
    """A notification with content as text."""
    return _encode([name, payload]).decode()


def encode_payload(payload: Any) -> bytes:
    """A payload alone: the body of an HTTP answer."""
    return _encode(payload)
