"""Reading and writing the messages of OCPP-J: CALL, CALLRESULT and CALLERROR (OCPP-J 1.6 §4).

Reading never raises: whatever a peer sends becomes one of five values, and the ones that are no part of a conversation
say what is wrong with them. Numbers keep their size (an integer may have thousands of digits), of duplicate names in an
object the last one counts, and a payload of ``null`` is an empty one. What JSON allows and no program can use (half a
surrogate pair, a number beyond all bounds, nesting without end) is treated as malformed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from simulator.ocpp.errors import ErrorCode

CALL = 2
CALLRESULT = 3
CALLERROR = 4

MAX_MESSAGE_ID = 36
"""Characters of a message id (OCPP-J 1.6 §4.1.4)."""
MAX_DESCRIPTION = 255
"""Characters of the description of a CALLERROR (OCPP-J 1.6 §4.2.3)."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A question. The payload is any JSON value: that it must be an object is for the validation to say."""

    message_id: str
    action: str
    payload: object


class CallResult(msgspec.Struct, frozen=True, gc=False):
    """The answer to a CALL."""

    message_id: str
    payload: object


class CallError(msgspec.Struct, frozen=True, gc=False):
    """The refusal of a CALL. ``code`` is as the peer spelled it; ``errors.read_error_code`` knows what it means."""

    message_id: str
    code: str
    description: str
    details: dict[str, object]


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """A message that is none.

    ``message_id`` and ``message_type`` (2, 3, 4) are there where they could be read, also out of text that is not JSON;
    ``code`` is what a CALLERROR about it should say.
    """

    reason: str
    message_id: str | None = None
    message_type: int | None = None
    code: ErrorCode = ErrorCode.GENERIC_ERROR

    @property
    def answerable(self) -> bool:
        """Whether a CALLERROR may be sent: it was meant as a CALL, and its id is known. An answer is never answered."""
        return self.message_type == CALL and self.message_id is not None


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A message of an unknown type number, to be ignored without an answer (OCPP-J 1.6 §4.1.3)."""

    message_type: int | float


Frame: TypeAlias = Call | CallResult | CallError | Malformed | Ignored

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_BOM = "\ufeff"
# The head of a message, where it is regular enough to be read although the rest is not JSON.
_HEAD = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\\x00-\x1f\ud800-\udfff]{0,36})"')
_HEAD_LENGTH = 128


# -- reading -----------------------------------------------------------------------------------------------------------


def parse_frame(text: str | bytes) -> Frame:
    """Read one message. Never raises on any text; a leading byte order mark is overlooked."""
    try:
        elements = _decode(text)
    except (ValueError, RecursionError, MemoryError) as error:
        return _unreadable(text, error)
    if type(elements) is not list:
        return Malformed("not a JSON array")
    if not elements:
        return Malformed("an empty array")
    message_type = elements[0]
    # To Python a bool is an int; to JSON 2.0 is the same number as 2.
    if isinstance(message_type, bool) or not isinstance(message_type, int | float):
        return Malformed("the message type is not a number")
    if message_type not in (CALL, CALLRESULT, CALLERROR):
        return Ignored(message_type)
    message_type = int(message_type)
    message_id = elements[1] if len(elements) > 1 else None
    if not isinstance(message_id, str):
        return _without_text_id(message_type, message_id)
    if len(message_id) > MAX_MESSAGE_ID:
        reason = f"the message id is longer than {MAX_MESSAGE_ID} characters"
        return Malformed(reason, message_id, message_type, ErrorCode.PROTOCOL_ERROR)
    if message_type == CALL:
        return _call(message_id, elements)
    if message_type == CALLRESULT:
        payload = elements[2] if len(elements) > 2 else None
        return CallResult(message_id, {} if payload is None else payload)
    return _call_error(message_id, elements)


def _without_text_id(message_type: int, message_id: object) -> Malformed:
    """An id that is a number can be read, and its sender may know it again as a text."""
    reason = "no message id, or one that is not a string"
    if isinstance(message_id, int | float) and not isinstance(message_id, bool):
        text = _encode(message_id).decode()
        if len(text) <= MAX_MESSAGE_ID:
            return Malformed(reason, text, message_type, ErrorCode.FORMATION_VIOLATION)
    return Malformed(reason, None, message_type)


def _call(message_id: str, elements: list[object]) -> Call | Malformed:
    if len(elements) != 4:
        reason = f"a CALL has 4 elements, not {len(elements)}"
        return Malformed(reason, message_id, CALL, ErrorCode.FORMATION_VIOLATION)
    action, payload = elements[2], elements[3]
    if not isinstance(action, str):
        return Malformed("the action is not a string", message_id, CALL, ErrorCode.FORMATION_VIOLATION)
    return Call(message_id, action, {} if payload is None else payload)


def _call_error(message_id: str, elements: list[object]) -> CallError:
    # Whatever a peer leaves out or mistypes: its refusal still ends the call.
    code, description, details = (*elements[2:5], None, None, None)[:3]
    return CallError(
        message_id,
        code if isinstance(code, str) else ErrorCode.GENERIC_ERROR.value,
        description if isinstance(description, str) else "",
        details if isinstance(details, dict) else {},
    )


def _unreadable(text: str | bytes, error: Exception) -> Frame:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if text.startswith(_BOM):
        return parse_frame(text.lstrip(_BOM))
    if isinstance(error, RecursionError):
        reason = "nested too deeply"
    elif isinstance(error, MemoryError):
        reason = "too large"
    elif isinstance(error, UnicodeError):
        reason = "not valid Unicode text"
    else:
        reason = f"not readable JSON: {error}"
    head = _HEAD.match(text[:_HEAD_LENGTH])
    if head is None:
        return Malformed(reason)
    return Malformed(reason, head[2], int(head[1]))


# -- writing -----------------------------------------------------------------------------------------------------------


def encode_call(message_id: str, action: str, payload: object) -> str:
    """A CALL as compact JSON. The payload is a message struct or plain values; None is an empty payload.

    :raises TypeError: when the payload holds something that JSON cannot.
    """
    return _text((CALL, message_id, action, {} if payload is None else payload))


def encode_payload(payload: object) -> bytes:
    """A payload by itself as compact JSON: what :func:`frame_call` puts into a frame.

    :raises TypeError: when the payload holds something that JSON cannot.
    """
    try:
        return _encode(payload)
    except UnicodeEncodeError:
        return _encode(_without_lone_surrogates(msgspec.to_builtins(payload)))


def frame_call(message_id: str, action: str, payload: bytes, transaction_id: int | None = None) -> bytes:
    """A CALL of a payload that is a JSON object already, and does not name its transaction yet.

    Id and action are words, with nothing that JSON would escape.
    """
    head = f'[2,"{message_id}","{action}",'
    if transaction_id is None:
        return b"%b%b]" % (head.encode(), payload)
    comma = "" if payload == b"{}" else ","
    return b"%b%b]" % (f'{head}{{"transactionId":{transaction_id}{comma}'.encode(), payload[1:])


def encode_result(message_id: str, payload: object) -> str:
    """A CALLRESULT as compact JSON; the payload as for :func:`encode_call`."""
    return _text((CALLRESULT, message_id, {} if payload is None else payload))


def encode_error(
    message_id: str, code: ErrorCode | str, description: str = "", details: Mapping[str, object] | None = None
) -> str:
    """A CALLERROR as compact JSON, always of five elements; a description beyond 255 characters is cut."""
    return _text((CALLERROR, message_id, code, description[:MAX_DESCRIPTION], details or {}))


def _text(frame: tuple[object, ...]) -> str:
    try:
        return _encode(frame).decode()
    except UnicodeEncodeError:
        # Texts that came from outside (a control client, a file) may hold half a surrogate pair, the wire may not.
        return _encode(_without_lone_surrogates(msgspec.to_builtins(frame))).decode()


def _without_lone_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_without_lone_surrogates(key): _without_lone_surrogates(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_lone_surrogates(member) for member in value]
    return value
