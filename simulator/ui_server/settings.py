"""What the UI server is told: where it listens, who may use it, and from where."""

from __future__ import annotations

import ipaddress

import msgspec

from simulator.config.model import UiServerConfig, UiTls


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files of the server's certificate, PEM. ``ca_file``: clients must have a certificate that it vouches for."""

    cert_file: str
    key_file: str
    key_password: str | None = None
    ca_file: str | None = None

    # Shows no password: structs end up in logs.
    def __repr__(self) -> str:
        return f"TlsFiles(cert_file={self.cert_file!r}, key_file={self.key_file!r})"


class UiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the UI server. Sizes in bytes.

    ``metrics_cap``: samples of single stations that ``/metrics`` gives, if it is asked for them.
    ``path``: a Unix socket to listen on instead of host and port. Without ``username`` there is no authentication.
    ``cors``: origins of other sites whose pages may read answers; they are among ``allowed_origins`` too.
    """

    host: str = "localhost"
    port: int = 8080
    path: str | None = None
    backlog: int = 128
    ipv6_only: bool = False
    readable_all: bool = False
    writable_all: bool = False
    tls: TlsFiles | None = None
    username: str | None = None
    password: str = ""
    require_tls_for_non_loopback: bool = True
    trusted_proxies: tuple[str, ...] = ()
    allow_loopback_proxy: bool = False
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    metrics: bool = True
    metrics_cap: int = 5000
    strict_transport_security: str | None = None
    max_message_size: int = 4 * 1024 * 1024
    max_connections: int = 1000

    # Shows no password: structs end up in logs.
    def __repr__(self) -> str:
        return f"UiSettings(host={self.host!r}, port={self.port}, username={self.username!r})"

    @classmethod
    def of(cls, config: UiServerConfig, *, metrics: bool = True) -> UiSettings:
        """The settings that a configuration asks for."""
        options, policy, authentication = config.options, config.access_policy, config.authentication
        hsts = config.security_headers.strict_transport_security
        return cls(
            host=options.host,
            port=options.port,
            path=options.path,
            backlog=options.backlog or 128,
            ipv6_only=options.ipv6_only,
            readable_all=options.readable_all,
            writable_all=options.writable_all,
            tls=None if config.tls is None else _files(config.tls),
            username=authentication.username if authentication.enabled else None,
            password=authentication.password,
            require_tls_for_non_loopback=policy.require_tls_for_non_loopback,
            trusted_proxies=policy.trusted_proxies,
            allow_loopback_proxy=policy.allow_loopback_proxy,
            allowed_hosts=policy.allowed_hosts,
            allowed_origins=policy.allowed_origins,
            metrics=metrics,
            metrics_cap=config.metrics.soft_sample_cap,
            strict_transport_security=hsts if isinstance(hsts, str) else None,
        )

    @property
    def loopback(self) -> bool:
        """Whether only programs of this machine can reach the server."""
        return self.path is not None or is_loopback(self.host)

    def warnings(self) -> list[str]:
        """What whoever runs the server should know about these settings."""
        if self.loopback:
            return []
        found = []
        where = f"the UI server listens on {self.host}: other machines can reach it"
        if self.username is None:
            found.append(f"{where} without a password; set uiServer.authentication")
        elif self.tls is None and not self.trusted_proxies:
            found.append(f"{where}, and passwords cross the network unencrypted")
        if self.tls is None and self.require_tls_for_non_loopback:
            found.append(
                f"{where}, but only over TLS or through a trusted proxy;"
                " uiServer.accessPolicy.requireTlsForNonLoopback: false lets them in"
            )
        return found


def _files(tls: UiTls) -> TlsFiles:
    return TlsFiles(cert_file=tls.cert_file, key_file=tls.key_file, key_password=tls.key_password, ca_file=tls.ca_file)


def is_loopback(host: str) -> bool:
    """Whether a host name or address, maybe in brackets, means this machine only."""
    name = host.strip().strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = read_address(name)
    return address is not None and address.is_loopback


def read_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address, or None; an IPv4 address in the clothes of IPv6 is undressed."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
