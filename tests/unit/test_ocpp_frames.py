"""Reading and writing OCPP-J messages."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.ocpp.errors import CallRefused, ErrorCode, read_error_code
from simulator.ocpp.frames import (
    Call,
    CallError,
    CallResult,
    Frame,
    Ignored,
    Malformed,
    encode_call,
    encode_error,
    encode_result,
    parse_frame,
)
from simulator.ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, DataTransferStatus
from simulator.ocpp.v16.messages import DataTransferResponse, HeartbeatRequest, StatusNotificationRequest

ID_36 = "x" * 36
ID_37 = "x" * 37


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[2,"1","Heartbeat",null]', Call("1", "Heartbeat", {})),
        (' [ 2 , "1" , "Reset" , {"type":"Hard"} ] \n', Call("1", "Reset", {"type": "Hard"})),
        ('[2,"","Heartbeat",{}]', Call("", "Heartbeat", {})),
        (f'[2,"{ID_36}","Heartbeat",{{}}]', Call(ID_36, "Heartbeat", {})),
        # To JSON 2.0 is 2; whether a payload is an object is for the validation to say.
        ('[2.0,"1","Heartbeat",[]]', Call("1", "Heartbeat", [])),
        ('[2,"1","DataTransfer",{"data":"a","data":"b"}]', Call("1", "DataTransfer", {"data": "b"})),
        ('[2,"1","DataTransfer",{"data":"\\ud83d\\udd0b ö"}]', Call("1", "DataTransfer", {"data": "🔋 ö"})),
        ('[2,"1","X",{"n":123456789012345678901234567890}]', Call("1", "X", {"n": 123456789012345678901234567890})),
        ('\ufeff[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        (b'\xef\xbb\xbf[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        (b'[2,"1","Heartbeat",{}]', Call("1", "Heartbeat", {})),
        ('[3,"1",{"status":"Accepted"}]', CallResult("1", {"status": "Accepted"})),
        ('[3,"1",null]', CallResult("1", {})),
        ('[3,"1"]', CallResult("1", {})),
        ('[3,"1",{},"extra"]', CallResult("1", {})),
        ('[4,"1","NotSupported","no",{"a":1}]', CallError("1", "NotSupported", "no", {"a": 1})),
        ('[4,"1","NotSupported","no"]', CallError("1", "NotSupported", "no", {})),
        ('[4,"1","NotSupported"]', CallError("1", "NotSupported", "", {})),
        ('[4,"1","NotSupported",null,null]', CallError("1", "NotSupported", "", {})),
        ('[4,"1","NotSupported",7,"details",8]', CallError("1", "NotSupported", "", {})),
        ('[4,"1",404,"no",{}]', CallError("1", "GenericError", "no", {})),
        ('[4,"1"]', CallError("1", "GenericError", "", {})),
    ],
)
def test_messages(text: str | bytes, frame: Frame) -> None:
    assert parse_frame(text) == frame


@pytest.mark.parametrize(
    ("text", "number"),
    [('[5,"1",{}]', 5), ('[6,"1","NotifyEvent",{}]', 6), ("[1]", 1), ("[-2]", -2), ("[2.5]", 2.5), ("[5,7]", 5)],
)
def test_unknown_message_types_are_ignored_with_their_number(text: str, number: float) -> None:
    assert parse_frame(text) == Ignored(number)


@pytest.mark.parametrize(
    ("text", "message_id", "message_type", "code"),
    [
        ("", None, None, ErrorCode.GENERIC_ERROR),
        ("hello", None, None, ErrorCode.GENERIC_ERROR),
        ("{}", None, None, ErrorCode.GENERIC_ERROR),
        ("[]", None, None, ErrorCode.GENERIC_ERROR),
        ('["2","1","Heartbeat",{}]', None, None, ErrorCode.GENERIC_ERROR),
        ('[true,"1","Heartbeat",{}]', None, None, ErrorCode.GENERIC_ERROR),
        ("[2]", None, 2, ErrorCode.GENERIC_ERROR),
        # An id that is a number is wrong, and its sender hears so under the number's text.
        ('[2,1,"Heartbeat",{}]', "1", 2, ErrorCode.FORMATION_VIOLATION),
        ("[3,1,{}]", "1", 3, ErrorCode.FORMATION_VIOLATION),
        ('[2,1.5,"Heartbeat",{}]', "1.5", 2, ErrorCode.FORMATION_VIOLATION),
        (f'[2,{"9" * 40},"Heartbeat",{{}}]', None, 2, ErrorCode.GENERIC_ERROR),
        ('[2,true,"Heartbeat",{}]', None, 2, ErrorCode.GENERIC_ERROR),
        ('[2,null,"Heartbeat",{}]', None, 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1"]', "1", 2, ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Heartbeat"]', "1", 2, ErrorCode.FORMATION_VIOLATION),
        ('[2,"1","Heartbeat",{},{}]', "1", 2, ErrorCode.FORMATION_VIOLATION),
        ('[2,"1",{},"Heartbeat"]', "1", 2, ErrorCode.FORMATION_VIOLATION),
        (f'[2,"{ID_37}","Heartbeat",{{}}]', ID_37, 2, ErrorCode.PROTOCOL_ERROR),
        (f'[3,"{ID_37}",{{}}]', ID_37, 3, ErrorCode.PROTOCOL_ERROR),
        # Not JSON, but with a head that can be read.
        ('[2,"1","Heartbeat",{}', "1", 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1","Heartbeat",{}] x', "1", 2, ErrorCode.GENERIC_ERROR),
        ("[2,\"1\",'Heartbeat',{}]", "1", 2, ErrorCode.GENERIC_ERROR),
        ('\n[ 3 , "1" , {"limit":NaN}]', "1", 3, ErrorCode.GENERIC_ERROR),
        ('\ufeff[2,"1","X",{"limit":Infinity}]', "1", 2, ErrorCode.GENERIC_ERROR),
        (b'[2,"1","X",{"data":"\xff"}]', "1", 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1","X",{"data":"\ud800"}]', "1", 2, ErrorCode.GENERIC_ERROR),
        # JSON, but of no use: half a surrogate pair, numbers beyond all bounds, nesting without end.
        ('[2,"1","X",{"data":"\\ud800"}]', "1", 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1","X",{"limit":1e999}]', "1", 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1","X",' + "9" * 10_000 + "]", "1", 2, ErrorCode.GENERIC_ERROR),
        ('[2,"1","X",' + "[" * 200_000 + "]" * 200_000 + "]", "1", 2, ErrorCode.GENERIC_ERROR),
        ("[" * 200_000, None, None, ErrorCode.GENERIC_ERROR),
        (b"\x00\xff\xfe", None, None, ErrorCode.GENERIC_ERROR),
    ],
)
def test_malformed_messages_keep_what_can_be_read(
    text: str | bytes, message_id: str | None, message_type: int | None, code: ErrorCode
) -> None:
    frame = parse_frame(text)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.message_type, frame.code) == (message_id, message_type, code)
    assert frame.reason


def test_only_a_malformed_call_with_an_id_is_answerable() -> None:
    def answerable(text: str) -> bool:
        frame = parse_frame(text)
        return isinstance(frame, Malformed) and frame.answerable

    assert answerable('[2,"1","Heartbeat"]')
    assert answerable(f'[2,"{ID_37}","Heartbeat",{{}}]')
    assert answerable('[2,1,"Heartbeat",{}]')
    assert not answerable("[3,1,{}]")
    assert not answerable('[2,null,"Heartbeat",{}]')
    # An answer to an answer could go on for ever.
    assert not answerable('[3,"1",{"a":NaN}]')
    assert not answerable('[4,"1","GenericError","",{]')
    assert not answerable("hello")


# With half surrogate pairs, which st.text() alone leaves out.
any_text = st.text(st.characters())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text | st.sampled_from([2, 3, 4, ID_37]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=10,
)
# With NaN and Infinity: what json.dumps writes is not always JSON.
json_texts = json_values.map(json.dumps)
frame_texts = st.tuples(st.sampled_from([2, 3, 4]), json_values, json_values, json_values).map(json.dumps)
broken_texts = st.tuples(frame_texts, st.integers(0, 40), st.text(max_size=3)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + 1 :]
)


@settings(deadline=None)
@given(st.one_of(st.text(), any_text, st.binary(), json_texts, frame_texts, broken_texts))
def test_reading_never_raises(text: str | bytes) -> None:
    frame = parse_frame(text)
    assert isinstance(frame, Frame)
    if isinstance(frame, Call | CallResult | CallError):
        # What was read can be written: no half surrogate pair or endless number has come through.
        json.loads(encode_result(frame.message_id, msgspec.to_builtins(frame)))


# -- writing -----------------------------------------------------------------------------------------------------------


def test_calls_are_compact_and_leave_absent_members_out() -> None:
    request = StatusNotificationRequest(
        connector_id=1,
        error_code=ChargePointErrorCode.NO_ERROR,
        status=ChargePointStatus.SUSPENDED_EVSE,
        info="größer",
    )
    assert encode_call("1", "StatusNotification", request) == (
        '[2,"1","StatusNotification",{"connectorId":1,"errorCode":"NoError","info":"größer","status":"SuspendedEVSE"}]'
    )


def test_an_empty_payload_is_an_object() -> None:
    assert encode_call("1", "Heartbeat", HeartbeatRequest()) == '[2,"1","Heartbeat",{}]'
    assert encode_call("1", "Heartbeat", None) == '[2,"1","Heartbeat",{}]'
    assert encode_result("1", None) == '[3,"1",{}]'


def test_results() -> None:
    response = DataTransferResponse(status=DataTransferStatus.ACCEPTED, data="{}")
    assert encode_result("1", response) == '[3,"1",{"status":"Accepted","data":"{}"}]'
    assert encode_result("1", {"n": 10**30, "limit": 21.4}) == f'[3,"1",{{"n":{10**30},"limit":21.4}}]'


def test_errors_always_have_five_elements() -> None:
    assert encode_error("1", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION) == (
        '[4,"1","OccurenceConstraintViolation","",{}]'
    )
    assert encode_error("1", ErrorCode.FORMATION_VIOLATION, "no", {"path": "x"}) == (
        '[4,"1","FormationViolation","no",{"path":"x"}]'
    )


def test_a_long_error_description_is_cut() -> None:
    assert json.loads(encode_error("1", ErrorCode.INTERNAL_ERROR, "ö" * 300))[3] == "ö" * 255


def test_half_surrogate_pairs_do_not_reach_the_wire() -> None:
    text = encode_call("1", "DataTransfer", {"vendorId": "a\ud800b", "data": "\ud83d\udd0b", "\udc00": [1.5, None]})
    assert text == '[2,"1","DataTransfer",{"vendorId":"a\ufffdb","data":"🔋","\ufffd":[1.5,null]}]'
    assert encode_result("1", DataTransferResponse(status=DataTransferStatus.ACCEPTED, data="\ud800")) == (
        '[3,"1",{"status":"Accepted","data":"\ufffd"}]'
    )


@settings(deadline=None)
@given(any_text, any_text, json_values)
def test_what_is_written_is_valid_and_can_be_read(message_id: str, action: str, payload: object) -> None:
    text = encode_call(message_id[:36], action, payload)
    text.encode("utf-8")
    assert isinstance(parse_frame(text), Call)
    error = parse_frame(encode_error(message_id[:36], action, action, {"payload": payload}))
    assert isinstance(error, CallError)


# -- error codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("OccurenceConstraintViolation", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION),
        ("OccurrenceConstraintViolation", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION),
        ("FormationViolation", ErrorCode.FORMATION_VIOLATION),
        ("FormatViolation", ErrorCode.FORMATION_VIOLATION),
        ("NotImplemented", ErrorCode.NOT_IMPLEMENTED),
        ("notimplemented", ErrorCode.GENERIC_ERROR),
        ("MyOwnError", ErrorCode.GENERIC_ERROR),
        ("", ErrorCode.GENERIC_ERROR),
    ],
)
def test_codes_are_read_in_every_spelling(text: str, code: ErrorCode) -> None:
    assert read_error_code(text) is code


def test_a_refusal_says_its_code_and_description() -> None:
    refusal = CallRefused(ErrorCode.NOT_SUPPORTED, "no smart charging")
    assert str(refusal) == "NotSupported: no smart charging"
    assert refusal.details == {}
