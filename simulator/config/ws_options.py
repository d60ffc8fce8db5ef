"""``wsOptions`` of a template: how a station opens its WebSocket, named as in Node's ``ws``, ``http`` and ``tls``."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from simulator.config.fields import TEXTS, doc

MEBIBYTE = 1024 * 1024


class WebSocketOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Options of the WebSocket client of a station, named as in Node's `ws`, `http` and `tls`."""

    headers: Annotated[
        dict[str, str],
        doc(
            "Additional HTTP headers of the opening handshake",
            schema={
                "type": "object",
                "additionalProperties": {"type": ["string", "number", "array"], "items": {"type": "string"}},
            },
        ),
    ] = msgspec.field(default_factory=dict)
    origin: Annotated[str | None, doc("Value of the Origin header")] = None
    auth: Annotated[str | None, doc("HTTP Basic credentials, `user:password`; supervisionUser goes first")] = None
    handshake_timeout: Annotated[int | None, doc("Milliseconds until an unfinished opening handshake fails", gt=0)] = (
        None
    )
    max_payload: Annotated[int, doc("Largest message taken from the central system, in bytes", gt=0)] = 16 * MEBIBYTE
    per_message_deflate: Annotated[
        bool, doc("Offer compression (RFC 7692); an object counts as true", schema={"type": ["boolean", "object"]})
    ] = False
    local_address: Annotated[
        tuple[str, ...],
        doc("Local address to connect from, or a list to take in turn: each has its own TCP ports", schema=TEXTS),
    ] = ()
    family: Annotated[Literal[0, 4, 6], doc("IP version to connect with: 4, 6, or 0 for either")] = 0
    ca: Annotated[
        tuple[str, ...], doc("Trusted certificate authorities: PEM text or path, or a list of them", schema=TEXTS)
    ] = ()
    cert: Annotated[str | None, doc("Client certificate: PEM text or path")] = None
    key: Annotated[str | None, doc("Private key of the client certificate: PEM text or path")] = None
    pfx: Annotated[str | None, doc("Client certificate and key as PKCS#12: path or base64")] = None
    passphrase: Annotated[str | None, doc("Passphrase of `key` or `pfx`")] = None
    servername: Annotated[str | None, doc("Server name for TLS (SNI and host name check), if not the URL's host")] = (
        None
    )
    reject_unauthorized: Annotated[bool, doc("Refuse a central system whose certificate cannot be verified")] = True
    min_version: Annotated[
        Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] | None, doc("Oldest TLS version to accept")
    ] = None
    ciphers: Annotated[str | None, doc("TLS cipher suites, as OpenSSL writes them")] = None

    # The options are the key of the cache of TLS contexts.
    def __hash__(self) -> int:
        values = {**msgspec.structs.asdict(self), "headers": tuple(sorted(self.headers.items()))}
        return hash(tuple(values.values()))

    # Shows no secret: structs end up in logs.
    def __repr__(self) -> str:
        hidden = {"headers", "auth", "key", "pfx", "passphrase"}
        shown = (f"{name}={value!r}" for name, value in msgspec.structs.asdict(self).items() if name not in hidden)
        return f"WebSocketOptions({', '.join(shown)})"
