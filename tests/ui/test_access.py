"""Who is let in, from where, with what: the rules alone."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest

from simulator.ui_server.access import AccessPolicy, Denied, Visitor
from simulator.ui_server.auth import FAILURES, SECONDS_PER_FAILURE, Authenticator
from simulator.ui_server.settings import UiSettings, is_loopback

LOCAL = UiSettings()
WIDE = UiSettings(host="0.0.0.0", require_tls_for_non_loopback=False)


def visitor(
    peer: str = "127.0.0.1",
    *,
    encrypted: bool = False,
    host: str = "localhost:8080",
    origin: str | None = None,
    forwarded: Mapping[str, str] | None = None,
) -> Visitor:
    pairs = [("host", host), *(forwarded or {}).items()]
    if origin is not None:
        pairs.append(("origin", origin))
    return Visitor(peer=peer, encrypted=encrypted, headers=tuple(pairs))


def admits(settings: UiSettings, who: Visitor) -> bool:
    try:
        AccessPolicy(settings).admit(who)
    except Denied:
        return False
    return True


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080", "a.localhost"]
)
def test_a_local_server_answers_to_local_names(host: str) -> None:
    assert admits(LOCAL, visitor(host=host))


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.168.1.1", "127.0.0.1.evil.example:80"])
def test_a_local_server_answers_to_no_other_name(host: str) -> None:
    """A name that an attacker points to 127.0.0.1 would make his page one of the server's own."""
    assert not admits(LOCAL, visitor(host=host))
    assert admits(UiSettings(allowed_hosts=(host,)), visitor(host=host))


def test_a_wide_server_answers_to_addresses_and_names_that_are_allowed() -> None:
    assert admits(WIDE, visitor("10.0.0.9", host="10.0.0.1:8080"))
    assert not admits(WIDE, visitor("10.0.0.9", host="evil.example"))
    assert admits(UiSettings(host="sim.lan", require_tls_for_non_loopback=False), visitor("10.0.0.9", host="sim.lan"))


@pytest.mark.parametrize(
    ("origin", "admitted"),
    [
        ("http://localhost:3030", True),
        ("https://127.0.0.1", True),
        ("http://[::1]:9", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://[bad", False),
    ],
)
def test_pages_of_this_machine_may_use_a_local_server(origin: str, admitted: bool) -> None:
    assert admits(LOCAL, visitor(origin=origin)) is admitted


def test_a_wide_server_admits_its_own_pages_and_those_that_are_allowed() -> None:
    assert admits(WIDE, visitor("10.0.0.9", host="10.0.0.1:8080", origin="http://10.0.0.1:8080"))
    assert not admits(WIDE, visitor("10.0.0.9", host="10.0.0.1:8080", origin="http://10.0.0.1:9090"))
    assert not admits(WIDE, visitor("10.0.0.9", host="10.0.0.1:8080", origin="http://localhost:8080"))
    allowed = UiSettings(host="0.0.0.0", require_tls_for_non_loopback=False, allowed_origins=("https://tool.example/",))
    admitted = AccessPolicy(allowed).admit(visitor("10.0.0.9", host="10.0.0.1", origin="https://tool.example"))
    assert admitted.cors == "https://tool.example"


def test_two_hosts_or_origins_are_refused() -> None:
    double = Visitor(peer="127.0.0.1", encrypted=False, headers=(("host", "localhost"), ("host", "localhost")))
    assert not admits(LOCAL, double)


def test_other_machines_must_come_over_tls() -> None:
    wide = UiSettings(host="0.0.0.0")
    assert not admits(wide, visitor("10.0.0.9", host="10.0.0.1"))
    assert admits(wide, visitor("10.0.0.9", host="10.0.0.1", encrypted=True))
    assert admits(wide, visitor("127.0.0.1", host="127.0.0.1"))


def test_a_trusted_proxy_speaks_for_its_client() -> None:
    behind = UiSettings(host="0.0.0.0", trusted_proxies=("10.0.0.2",))
    forwarded = {"x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "https"}
    admitted = AccessPolicy(behind).admit(visitor("10.0.0.2", host="10.0.0.1", forwarded=forwarded))
    assert (admitted.client, admitted.encrypted) == ("203.0.113.5", True)
    assert not admits(behind, visitor("10.0.0.3", host="10.0.0.1", forwarded=forwarded)), "nobody else may say so"
    assert not admits(
        behind, visitor("10.0.0.2", host="10.0.0.1", forwarded={**forwarded, "x-forwarded-for": "1.2.3.4, 5.6.7.8"})
    )
    assert not admits(
        behind, visitor("10.0.0.2", host="10.0.0.1", forwarded={**forwarded, "x-forwarded-proto": "http"})
    )


def test_a_proxy_on_this_machine_needs_leave() -> None:
    forwarded = {"x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "https"}
    trusted = UiSettings(trusted_proxies=("127.0.0.1",))
    assert AccessPolicy(trusted).admit(visitor(forwarded=forwarded)).client == "127.0.0.1"
    allowed = UiSettings(trusted_proxies=("127.0.0.1",), allow_loopback_proxy=True)
    assert AccessPolicy(allowed).admit(visitor(forwarded=forwarded)).client == "203.0.113.5"


def test_who_runs_a_server_that_others_reach_is_warned() -> None:
    assert LOCAL.warnings() == []
    assert "without a password" in WIDE.warnings()[0]
    assert any("requireTlsForNonLoopback" in text for text in UiSettings(host="::", username="a").warnings())


def test_loopback_is_told_from_everything_else() -> None:
    assert all(map(is_loopback, ["localhost", "localhost.", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "localhost.example", "127.example"]))


# -- credentials -------------------------------------------------------------------------------------------------------


class Time:
    now = 0.0


def authenticator(time: Time | None = None) -> Authenticator:
    clock = time or Time()
    return Authenticator(UiSettings(username="admin", password="a:b"), lambda: clock.now)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("header", [f"Basic {encoded('admin:a:b')}", f"bAsIc  {encoded('admin:a:b')} "])
def test_the_right_header_is_right(header: str) -> None:
    assert authenticator().from_header(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        f"Bearer {encoded('admin:a:b')}",
        f"Basic {encoded('admin:a')}",
        f"Basic {encoded('Admin:a:b')}",
        f"Basic {encoded('admin:a:b ')}",
        "Basic é",
    ],
)
def test_any_other_header_is_wrong(header: str | None) -> None:
    assert not authenticator().from_header(header)


def test_sub_protocols_carry_credentials_without_padding_in_either_alphabet() -> None:
    settings = UiSettings(username="admin", password="~~?ÿ>")
    both = Authenticator(settings, lambda: 0.0)
    plain = encoded("admin:~~?ÿ>").rstrip("=")
    assert "+" in plain or "/" in plain
    for token in (plain, plain.replace("+", "-").replace("/", "_")):
        assert both.from_subprotocols(["ui0.0.1", f"authorization.basic.{token}"])
    assert not both.from_subprotocols(["ui0.0.1"])
    assert not both.from_subprotocols([f"authorization.basic.{plain}"] * 2)


def test_guessing_is_slowed_down_by_address_and_forgiven_with_time() -> None:
    time = Time()
    guarded = authenticator(time)
    for _ in range(FAILURES):
        assert guarded.wait("10.0.0.9") == 0
        guarded.failed("10.0.0.9")
    assert 0 < guarded.wait("10.0.0.9") <= SECONDS_PER_FAILURE
    assert guarded.wait("10.0.0.8") == 0
    time.now += SECONDS_PER_FAILURE
    assert guarded.wait("10.0.0.9") == 0
    guarded.failed("10.0.0.9")
    assert guarded.wait("10.0.0.9") > 0
    time.now += FAILURES * SECONDS_PER_FAILURE * 2
    assert guarded.wait("10.0.0.9") == 0


def test_all_addresses_of_one_ipv6_network_count_as_one() -> None:
    guarded = authenticator()
    for number in range(FAILURES):
        guarded.failed(f"2001:db8:1:2::{number:x}")
    assert guarded.wait("2001:db8:1:2:ffff::1") > 0
    assert guarded.wait("2001:db8:1:3::1") == 0


def test_without_authentication_everybody_is_right() -> None:
    open_door = Authenticator(UiSettings(), lambda: 0.0)
    assert open_door.from_header(None)
    assert open_door.from_subprotocols([])
