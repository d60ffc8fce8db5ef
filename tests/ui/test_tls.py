"""``uiServer.tls``: HTTPS and secure WebSockets, and what is wrong with its files in one line."""

from __future__ import annotations

import contextlib
import json
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trustme
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from simulator.cli.ctl import ctl
from simulator.config.load import load_config
from simulator.config.problems import ConfigurationError
from simulator.control.registry.secrets import without_secrets
from simulator.ui_server.listeners import CannotListen
from simulator.ui_server.settings import UiSettings
from simulator.ui_server.tls import server_context
from tests.ui.house import PATIENCE, UiServer, exchange, ui_house
from tests.ui.test_ctl import follow

FLEET = [{"file": "keba", "numberOfStations": 1}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration's folder with the files of an authority, a server, a client and a stranger."""
    authority, other = trustme.CA(), trustme.CA()
    for name, certificate in {
        "server": authority.issue_cert("localhost", "127.0.0.1"),
        "client": authority.issue_cert("operator@example.com"),
        "stranger": other.issue_cert("stranger@example.com"),
    }.items():
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        (tmp_path / f"{name}.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    key = load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    (tmp_path / "locked.key").write_bytes(locked)
    return tmp_path


def settings(folder: Path, **tls: str) -> UiSettings:
    """The settings of a configuration file in that folder."""
    tls = {"certFile": "server.pem", "keyFile": "server.key", **tls}
    ui_server: dict[str, Any] = {"options": {"host": "127.0.0.1", "port": 0}, "tls": tls}
    path = folder / "config.json"
    path.write_text(json.dumps({"stationTemplateUrls": FLEET, "uiServer": ui_server}))
    return UiSettings.of(load_config(path, environ={}).config.ui_server)


async def run(server: UiServer, *arguments: str | Path) -> Result:
    """``simulator ctl`` in a thread, towards that server over TLS."""
    words = [str(word) for word in (*arguments, "--url", f"https://localhost:{server.port}")]
    return await trio.to_thread.run_sync(lambda: CliRunner().invoke(ctl, words, standalone_mode=False))


async def test_https_and_only_http_1_1(folder: Path) -> None:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with ui_house(stations={"keba": 1}) as house, house.serving(settings(folder)) as server:
        assert server.urls == [f"https://127.0.0.1:{server.port}"]
        stream = await trio.open_ssl_over_tcp_stream(
            "127.0.0.1", server.port, ssl_context=context, https_compatible=True
        )
        async with stream:
            assert (await exchange(stream, "GET", "/healthz")).status == 200
            assert stream.selected_alpn_protocol() == "http/1.1"
        async with await server.stream() as plain:
            await plain.send_all(b"GET / HTTP/1.1\r\n\r\n")
            answer = b""
            # The end comes at once, or after the alert that says what is expected.
            with trio.fail_after(PATIENCE), contextlib.suppress(trio.BrokenResourceError):
                while received := await plain.receive_some():
                    answer += received
            assert not answer.startswith(b"HTTP")


async def test_the_command_line_calls_and_follows_over_tls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        ui_house() as house,
        house.serving(settings(folder, keyFile="locked.key", keyPassword="secret")) as server,
    ):
        await house.ready()
        good = await run(server, "heartbeat", "--compact", "--ca", folder / "ca.pem")
        assert json.loads(good.stdout) == {"status": "success", "hashIdsSucceeded": house.hash_ids}
        unknown = await run(server, "listTemplates")
        assert "its certificate is not trusted" in str(unknown.exception)
        assert "--ca" in str(unknown.exception)
        nothing = await run(server, "listTemplates", "--ca", folder / "server.key")
        assert "no certificate in it" in str(nothing.exception)

        subscribe = partial(run, server, "subscribe", 'topics=["stations"]', "--ca", folder / "ca.pem")
        assert (await follow(house, subscribe, monkeypatch))[0] == "stations"


async def test_clients_need_a_certificate_of_the_authority_named(folder: Path) -> None:
    async with ui_house(stations={"keba": 1}) as house, house.serving(settings(folder, caFile="ca.pem")) as server:
        trust = ("--ca", folder / "ca.pem")
        nobody = await run(server, "listTemplates", *trust)
        assert nobody.exception is not None
        assert "--cert" in str(nobody.exception)
        stranger = await run(
            server, "listTemplates", *trust, "--cert", folder / "stranger.pem", "--key", folder / "stranger.key"
        )
        assert stranger.exception is not None
        client = await run(
            server, "listTemplates", *trust, "--cert", folder / "client.pem", "--key", folder / "client.key"
        )
        assert client.return_value == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key_file": "stranger.key"}, "uiServer.tls.keyFile: stranger.key: not the key of server.pem"),
        ({"key_file": "locked.key"}, "give its password as keyPassword"),
        ({"key_file": "locked.key", "key_password": "guess"}, "keyPassword does not open it"),
        ({"key_file": "ca.pem"}, "uiServer.tls.keyFile: ca.pem: no private key in it"),
        ({"cert_file": "server.key"}, "uiServer.tls.certFile: server.key: no certificate in it"),
        ({"cert_file": "none.pem"}, "uiServer.tls.certFile: none.pem: No such file"),
        ({"ca_file": "server.key"}, "uiServer.tls.caFile: server.key: no certificate in it"),
        ({"ca_file": "broken.pem"}, "uiServer.tls.caFile: broken.pem: no certificate in it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], says: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    tls = settings(folder).tls
    assert tls is not None
    right = {"cert_file": "server.pem", "key_file": "server.key", "ca_file": None}
    with pytest.raises(CannotListen) as caught:
        server_context(msgspec.structs.replace(tls, **{**right, **change}))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_configuration_says_which_file_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(folder, certFile="none.pem")
    assert "uiServer.tls.certFile: no file none.pem; paths count from" in str(caught.value)


def test_the_password_of_the_key_is_shown_to_nobody(folder: Path) -> None:
    found = settings(folder, keyFile="locked.key", keyPassword="secret")
    assert "secret" not in repr(found)
    assert "secret" not in repr(found.tls)
    config = load_config(folder / "config.json", environ={}).config
    shown = without_secrets(msgspec.to_builtins(config))["uiServer"]["tls"]
    assert shown == {"certFile": str(folder / "server.pem"), "keyFile": str(folder / "locked.key"), "caFile": None}
