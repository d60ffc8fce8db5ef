"""Secrets do not show, and what is no secret stays readable."""

from __future__ import annotations

import json

import msgspec
import pytest

from simulator.telemetry.redaction import MASK, is_secret_name, redact, redact_frame, redact_text

SECRET = "s3cr3t-value"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "supervisionPassword",
        "Authorization",
        "authorization_key",
        "AuthorizationKey",
        "BasicAuthPassword",
        "passphrase",
        "privateKey",
        "auth",
        "Set-Cookie",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["idTag", "key", "authorizeRemoteTxRequests", "LocalAuthListEnabled", "value", "status"]
)
def test_names_of_ordinary_members_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "frame",
    [
        [2, "1", "ChangeConfiguration", {"key": "AuthorizationKey", "value": SECRET}],
        [2, "1", "ChangeConfiguration", {"value": SECRET, "key": "authorizationkey"}],
        [3, "1", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}]}],
        [
            2,
            "1",
            "SetVariables",
            {
                "setVariableData": [
                    {
                        "attributeValue": SECRET,
                        "component": {"name": "SecurityCtrlr"},
                        "variable": {"name": "BasicAuthPassword"},
                    }
                ]
            },
        ],
        [2, "1", "SetNetworkProfile", {"connectionData": {"apn": {"apnPassword": SECRET}}}],
        [2, "1", "GetDiagnostics", {"location": f"ftp://user:{SECRET}@files.example/up"}],
        [2, "1", "DataTransfer", {"vendorId": "x", "data": json.dumps({"password": SECRET})}],
        [2, "1", "DataTransfer", {"vendorId": "x", "data": PEM.replace("MHcCAQEE", SECRET)}],
    ],
)
def test_a_frame_loses_its_secret_and_keeps_its_structure(frame: list[object]) -> None:
    shown = redact_frame(json.dumps(frame))
    assert SECRET not in shown
    assert MASK in shown
    assert json.loads(shown)[:2] == frame[:2]


def test_a_secret_behind_an_escaped_name_is_found() -> None:
    shown = redact_frame(r'[2,"1","ChangeConfiguration",{"key":"Authorization\u004bey","value":"s3cr3t-value"}]')
    assert SECRET not in shown


def test_an_unreadable_frame_that_may_hold_a_secret_is_withheld() -> None:
    shown = redact_frame('[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"s3cr3t-value')
    assert SECRET not in shown
    assert "withheld" in shown


@pytest.mark.parametrize(
    "text",
    [
        '[2,"1","Heartbeat",{}]',
        '[3, "1", {"status": "Accepted"} ]',
        '[2,"1","ChangeConfiguration",{"key": "HeartbeatInterval", "value": "30"}]',
        '[2,"1","Broken',
        '[2,"1","DataTransfer",{"vendorId":"x","messageId": "secretary"}]',
    ],
)
def test_a_frame_without_a_secret_is_shown_as_it_came(text: str) -> None:
    assert redact_frame(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"connecting to wss://admin:{SECRET}@csms.example:443/CS-1",
        f"header Authorization: Basic {SECRET}",
        f"{{'Authorization': 'Basic {SECRET}'}}",
        f"supervisionPassword={SECRET}",
        f'options {{"password": "{SECRET}", "host": "x"}} used',
        f"ChangeConfigurationRequest(key='AuthorizationKey', value='{SECRET}')",
        f'received [2,"1","ChangeConfiguration",{{"key":"AuthorizationKey","value":"{SECRET}"}}]',
        f'truncated [2,"1","ChangeConfiguration",{{"value":"{SECRET}","key":"AuthorizationKey"',
        f'as text "{{\\"password\\":\\"{SECRET}\\"}}"',
        PEM.replace("MHcCAQEE", SECRET),
    ],
)
def test_text_for_people_loses_its_secret(text: str) -> None:
    shown = redact_text(text)
    assert SECRET not in shown
    assert MASK in shown


@pytest.mark.parametrize(
    "text",
    [
        "AuthorizationKey refused: it is write-only",
        "authorization: Accepted",
        "mail to ops@example.org about ws://csms.example/CS-1",
        "connector 1 is Charging",
    ],
)
def test_text_without_a_secret_stays(text: str) -> None:
    assert redact_text(text) == text


class Settings(msgspec.Struct):
    user: str
    password: str


def test_values_of_any_shape_are_masked_and_the_original_is_left_alone() -> None:
    original = {"settings": Settings("u", SECRET), "list": [{"auth": f"u:{SECRET}"}], "plain": 1}
    shown = redact(original)
    assert shown == {"settings": {"user": "u", "password": MASK}, "list": [{"auth": MASK}], "plain": 1}
    assert original["list"] == [{"auth": f"u:{SECRET}"}]


def test_a_value_without_secrets_is_not_copied() -> None:
    original = {"connectorId": 1, "samples": [{"value": "1.5", "unit": "kWh"}]}
    assert redact(original) is original
