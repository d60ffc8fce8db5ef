"""A client of the UI protocol for the command line: procedures over HTTP, news over a WebSocket."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from simulator.cli.output import Failure
from ui_protocol import PROTOCOL, SUBPROTOCOL, VERSION

_PORTS = {"http": 80, "https": 443}


class UiClient:
    """Talks to one simulator.

    :param ca: file of the certificate authority to trust instead of the system's.
    :param cert: file of the client's own certificate, for a server that asks for one; ``key``: that of its key.
    :param timeout: seconds to wait for an answer.
    :raises Failure: the URL is none.
    """

    def __init__(
        self,
        url: str,
        user: str | None,
        password: str | None,
        ca: Path | None,
        timeout: float,
        *,
        cert: Path | None = None,
        key: Path | None = None,
    ) -> None:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            scheme, port = parts.scheme.replace("ws", "http"), parts.port
        except ValueError as error:
            raise Failure(f"--url {url}: not a URL ({error}), for example http://localhost:8080") from None
        if scheme not in _PORTS or not parts.hostname:
            raise Failure(f"--url {url}: not a URL of a UI server, for example http://localhost:8080")
        self._host, self._port, self._path = parts.hostname, port or _PORTS[scheme], parts.path.rstrip("/")
        self._timeout = timeout
        self._secure = scheme == "https"
        self._ca, self._cert, self._key = ca, cert, key
        if user is None and parts.username:
            user, password = parts.username, parts.password
        self._credentials = None if user is None else f"{user}:{password or ''}"

    @property
    def _where(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    def call(self, procedure: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """The answer of a procedure. :raises Failure: there is none."""
        connection = self._connection()
        headers = {"Content-Type": "application/json"}
        if self._credentials is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
        path = f"{self._path}/{PROTOCOL}/{VERSION}/{quote(procedure, safe='')}"
        try:
            connection.request("POST", path, json.dumps(parameters).encode(), headers)
            response = connection.getresponse()
            body = response.read()
        except TimeoutError:
            raise Failure(f"{self._where}: no answer within {self._timeout:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(self._unreachable(error)) from None
        finally:
            connection.close()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "status" not in answer:
            raise Failure(f"{self._where}: what listens there is no simulator (HTTP status {response.status})")
        if response.status in {401, 403, 429}:
            hint = "; use --user and --password" if response.status == 401 else ""
            raise Failure(f"{self._where}: {answer.get('errorMessage', response.reason)}{hint}")
        return answer

    def find_stations(self, hash_ids: Sequence[str], names: Sequence[str]) -> list[str]:
        """The hashIds of stations that are named by the begin of it, or by their name.

        :raises Failure: there is no such station, or more than one.
        """
        fields = ["stationInfo.chargingStationId"]
        listed = self.call("listChargingStations", {"fields": fields}).get("chargingStations", [])
        known = {each["stationInfo"]["hashId"]: each["stationInfo"]["chargingStationId"] for each in listed}
        found: dict[str, None] = {}
        for begin in hash_ids:
            matches = [hash_id for hash_id in known if hash_id.startswith(begin.lower())]
            if not matches:
                raise Failure(f"--hash-id {begin}: there is no station whose identity begins so")
            if len(matches) > 1:
                raise Failure(f"--hash-id {begin!r}: {len(matches)} stations have such an identity; write more of it")
            found[matches[0]] = None
        for name in names:
            matches = [hash_id for hash_id, known_name in known.items() if known_name == name]
            if not matches:
                raise Failure(f"--station {name}: there is no such station")
            found.update(dict.fromkeys(matches))
        return list(found)

    def follow(self, parameters: dict[str, Any], show: Callable[[str], None]) -> None:
        """Subscribe and show what is told, a line of JSON each, until the simulator ends or Ctrl-C.

        :raises Failure: the subscription is refused.
        """
        import trio

        trio.run(self._follow, parameters, show)

    async def _follow(self, parameters: dict[str, Any], show: Callable[[str], None]) -> None:
        from simulator.config.ws_options import WebSocketOptions
        from simulator.transport.connection import ConnectionClosed, OpenFailed
        from simulator.transport.websocket import Dialer

        headers = {}
        if self._credentials is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self._credentials.encode()).decode()}"
        ca, cert, key = (None if path is None else str(path) for path in (self._ca, self._cert, self._key))
        options = WebSocketOptions(headers=headers, ca=() if ca is None else (ca,), cert=cert, key=key)
        url = f"{'wss' if self._secure else 'ws'}://{self._where}{self._path}/"
        identity = str(uuid.uuid4())
        try:
            async with Dialer().open(url, subprotocols=(SUBPROTOCOL,), options=options) as connection:
                connection.post(json.dumps([identity, "subscribe", parameters]))
                while True:
                    text = await connection.receive()
                    message = json.loads(text)
                    if message[0] != identity:
                        show(text if isinstance(text, str) else text.decode())
                    elif message[1].get("status") != "success":
                        raise Failure(f"subscribe failed: {message[1].get('errorMessage')}")
        except OpenFailed as error:
            raise Failure(f"{self._where}: {error}") from None
        except ConnectionClosed as closed:
            if closed.code not in {1000, 1001}:
                raise Failure(f"{self._where}: the connection ended ({closed.code} {closed.reason})".rstrip()) from None

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            context = ssl.create_default_context(cafile=None if self._ca is None else str(self._ca))
        except OSError as error:
            reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror or error
            raise Failure(f"--ca {self._ca}: {reason}") from None
        if self._cert is not None:
            try:
                context.load_cert_chain(self._cert, self._key, lambda: "")
            except (OSError, ValueError) as error:
                raise Failure(f"--cert {self._cert}: {_cert_trouble(error)}") from None
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"{self._where}: its certificate is not trusted ({error.verify_message}); name its authority by --ca"
        if isinstance(error, ssl.SSLError):
            if error.reason == "WRONG_VERSION_NUMBER":
                return f"{self._where}: no TLS is spoken there; use http://"
            return f"{self._where}: TLS failed ({error.reason or error}); does it ask for a certificate (--cert)?"
        if isinstance(error, http.client.RemoteDisconnected):
            hint = "it may ask for a certificate (--cert)" if self._secure else "if TLS is spoken there use https://"
            return f"{self._where}: the connection was closed without an answer; {hint}"
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"{self._where}: no simulator answers there ({reason}); is it running, and with uiServer.enabled?"


def _cert_trouble(error: Exception) -> str:
    """What is wrong with the files of a certificate, in a few words."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return "cannot be used; it must be PEM, and its key not encrypted, in the same file or in that of --key"
