"""Error codes of a CALLERROR, and the exception with which a handler asks for one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ErrorCode(StrEnum):
    """Why a CALL could not be processed, in the spelling that OCPP-J 1.6 §4.2.3 puts on the wire.

    Two spellings are known mistakes of that version which its errata keep; later versions write ``FormatViolation`` and
    ``OccurrenceConstraintViolation``.
    """

    NOT_IMPLEMENTED = "NotImplemented"
    """The action is unknown."""
    NOT_SUPPORTED = "NotSupported"
    """The action is known, and its feature not offered."""
    INTERNAL_ERROR = "InternalError"
    """The receiver failed while it processed the call."""
    PROTOCOL_ERROR = "ProtocolError"
    """The payload is incomplete, or the call breaks the rules of the exchange."""
    SECURITY_ERROR = "SecurityError"
    """A security issue keeps the receiver from completing the action."""
    FORMATION_VIOLATION = "FormationViolation"
    """The payload is no object, or has a member that the action does not know."""
    PROPERTY_CONSTRAINT_VIOLATION = "PropertyConstraintViolation"
    """The payload is well-formed, but a value is not allowed."""
    OCCURENCE_CONSTRAINT_VIOLATION = "OccurenceConstraintViolation"
    """There are too few or too many of something."""
    TYPE_CONSTRAINT_VIOLATION = "TypeConstraintViolation"
    """A value has the wrong JSON type."""
    GENERIC_ERROR = "GenericError"
    """Anything else."""


_BY_SPELLING: dict[str, ErrorCode] = {
    **{code.value: code for code in ErrorCode},
    "FormatViolation": ErrorCode.FORMATION_VIOLATION,
    "OccurrenceConstraintViolation": ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION,
}


def read_error_code(text: str) -> ErrorCode:
    """The code a peer means, in the spelling of any OCPP version; one that no version has is a GenericError."""
    return _BY_SPELLING.get(text, ErrorCode.GENERIC_ERROR)


class CallRefused(Exception):
    """Raised by a handler to answer a CALL with a CALLERROR.

    Only for calls that are wrong or cannot be processed: a refusal that the action has a status for is an ordinary
    answer.

    :param code: what goes on the wire.
    :param description: one line for people, at most 255 characters (longer ones are cut when sent).
    :param details: anything that JSON can hold.
    """

    def __init__(self, code: ErrorCode, description: str = "", details: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{code}: {description}" if description else str(code))
        self.code = code
        self.description = description
        self.details: dict[str, object] = dict(details or {})
