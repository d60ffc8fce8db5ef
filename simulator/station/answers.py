"""What the central system answers, as structs (OCPP 1.6 JSON schemas)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import outcome

from simulator.ocpp.v16.messages import RESPONSES
from simulator.ocpp.validation import PayloadValidator
from simulator.station.call_results import BadAnswer
from simulator.station.queued_call import CallRules


@lru_cache(maxsize=256)
def empty_answer(validator: PayloadValidator, action: str) -> outcome.Value[Any] | None:
    """The answer to that action that says nothing, where its schema allows it.

    The same object for all; its ``value`` may be read, but it may not be unwrapped, which can be done only once.
    """
    if validator.response(action, {}) is not None:
        return None
    return outcome.Value(msgspec.convert({}, RESPONSES[action]))


def read_answer(validator: PayloadValidator, rules: CallRules, action: str, payload: object) -> tuple[Any, str | None]:
    """The answer to an action, and what is wrong with it if it can be used all the same.

    :raises BadAnswer: it cannot, or by the rules may not, be used.
    """
    violation = validator.response(action, payload) if rules.validate else None
    if violation is not None and rules.strict:
        raise BadAnswer(f"the answer to {action} is invalid: {violation.description}")
    try:
        answer = msgspec.convert(payload, RESPONSES[action])
    except msgspec.ValidationError as error:
        detail = violation.description if violation is not None else str(error)
        raise BadAnswer(f"the answer to {action} is invalid: {detail}") from None
    if violation is None:
        return answer, None
    # Central systems in the field add members or write null for "absent". What can be read is used.
    return answer, f"the answer to {action} breaks the OCPP schema: {violation.description}"
