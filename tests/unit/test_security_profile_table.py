"""ChangeConfiguration of SecurityProfile: which value is taken when (security white paper, A05)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulator.station.security_profile import as_wss, profile_refusal


def yes() -> bool:
    return True


def no() -> bool:
    return False


@pytest.mark.parametrize(
    ("value", "current", "password", "root", "certificate", "refusal"),
    [
        ("0", 0, True, yes, yes, "more than 0"),
        ("1", 1, True, yes, yes, "more than 1"),
        ("1", 2, True, yes, yes, "more than 2"),
        ("4", 0, True, yes, yes, "at most 3"),
        ("-1", 0, True, yes, yes, "at most 3"),
        ("x", 0, True, yes, yes, "at most 3"),
        ("٢", 0, True, yes, yes, "at most 3"),
        ("1", 0, False, yes, yes, "AuthorizationKey"),
        ("2", 0, False, yes, yes, "AuthorizationKey"),
        ("2", 1, True, no, yes, "CentralSystemRootCertificate"),
        ("3", 1, True, no, yes, "CentralSystemRootCertificate"),
        ("3", 2, True, yes, no, "ChargePointCertificate"),
        ("1", 0, True, no, no, ""),
        ("2", 0, True, yes, no, ""),
        ("3", 0, False, yes, yes, ""),
        ("3", 2, True, yes, yes, ""),
    ],
)
def test_which_profile_may_be_set(
    value: str, current: int, password: bool, root: Callable[[], bool], certificate: Callable[[], bool], refusal: str
) -> None:
    found = profile_refusal(value, current, password=password, root=root, certificate=certificate)
    assert refusal in found
    assert bool(found) == bool(refusal)


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("ws://host/ocpp", "wss://host/ocpp"),
        ("ws://host:8180/ocpp?a=ws://b", "wss://host:8180/ocpp?a=ws://b"),
        ("WS://host/", "wss://host/"),
        ("wss://host/", "wss://host/"),
    ],
)
def test_the_same_place_over_tls(url: str, secure: str) -> None:
    assert as_wss(url) == secure
