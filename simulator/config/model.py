"""The simulator's configuration (``config.json``) as the rest of the program sees it.

Legacy names, the ``log`` section and environment variables are folded in by :mod:`simulator.config.load`; defaults are
those of the documented tables.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from simulator.config.fields import TEXTS, doc

SCHEMA_VERSION = 1
"""The newest ``$schemaVersion`` of configuration and template files that is understood."""

DEFAULT_PERFORMANCE_URI = "file:///performanceRecords.json"

Distribution = Literal["round-robin", "random", "charging-station-affinity"]
LogLevel = Literal["emerg", "alert", "crit", "error", "warning", "notice", "info", "debug"]
MaxFiles = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]{1,6}d?$", "examples": ["14d"]}]
}
MaxSize = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^[0-9]{1,12}[kmgKMG]?$", "examples": ["20m"]},
    ]
}


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How stations are grouped into workers, and workers spread over processes."""

    process_type: Annotated[
        Literal["workerSet", "staticPool", "dynamicPool", "fixedPool"],
        doc("How stations are grouped into workers; `fixedPool` is another name of `staticPool`"),
    ] = "workerSet"
    start_delay: Annotated[int, doc("Milliseconds to wait at the start of each worker", ge=0)] = 500
    element_start_delay: Annotated[int, doc("Milliseconds to wait at the start of each station", ge=0)] = 0
    start_rate: Annotated[
        float | None,
        doc(
            "Stations that start in a second, over the whole fleet, those that are added later among them; in place of"
            " `startDelay` and `elementStartDelay`",
            ge=0.001,
            le=100_000,
        ),
    ] = None
    elements_per_worker: Annotated[
        int | Literal["auto", "all"],
        doc(
            "Stations per worker of a `workerSet`: a number, `auto` or `all`",
            schema={"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["auto", "all"]}]},
        ),
    ] = 1
    pool_min_size: Annotated[int, doc("Fewest workers of a `dynamicPool`", acts=False, ge=1)] = 4
    pool_max_size: Annotated[int, doc("Workers of a `staticPool`, most workers of a `dynamicPool`", ge=1)] = 16
    pool_strategy: Annotated[
        Literal[
            "ROUND_ROBIN",
            "LEAST_USED",
            "LEAST_BUSY",
            "LEAST_ELU",
            "LESS_RECENTLY_USED",
            "FAIR_SHARE",
            "WEIGHTED_ROUND_ROBIN",
            "INTERLEAVED_WEIGHTED_ROUND_ROBIN",
        ],
        doc("Which worker of a pool takes the next station", acts=False),
    ] = "FAIR_SHARE"
    resource_limits: Annotated[dict[str, Any], doc("Limits of a worker thread, as Node.js names them", acts=False)] = (
        msgspec.field(default_factory=dict)
    )
    processes: Annotated[
        int | Literal["auto"],
        doc(
            "Operating system processes to spread the workers over: 0 = all in the main process, N = N besides it,"
            " `auto` = as many as the size of the fleet needs",
            acts=False,
            schema={"anyOf": [{"type": "integer", "minimum": 0, "maximum": 1024}, {"enum": ["auto"]}]},
        ),
    ] = "auto"


class UiServerOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the UI server listens."""

    host: Annotated[str, doc("Host name or address to listen on; `localhost` is 127.0.0.1 and ::1")] = "localhost"
    port: Annotated[int, doc("TCP port to listen on; 0 picks a free one", ge=0, le=65535)] = 8080
    path: Annotated[str | None, doc("Unix socket to listen on")] = None
    backlog: Annotated[int | None, doc("Connections that may wait to be taken", ge=1)] = None
    exclusive: Annotated[bool, doc("Accepted; no other process ever shares the port")] = False
    ipv6_only: Annotated[bool, doc("Whether an IPv6 address takes no IPv4 connections")] = False
    readable_all: Annotated[bool, doc("Whether every user may read the Unix socket")] = False
    writable_all: Annotated[bool, doc("Whether every user may write the Unix socket")] = False


class UiAuthentication(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who may use the UI server."""

    enabled: Annotated[bool, doc("Ask for a user name and a password")] = False
    type: Annotated[
        Literal["basic-auth", "protocol-basic-auth"],
        doc("Credentials in the Authorization header, or for WebSockets in the sub-protocol list"),
    ] = "basic-auth"
    username: Annotated[str, doc("User name, without a colon")] = ""
    password: Annotated[str, doc("Password")] = ""

    # Shows no password: structs end up in logs.
    def __repr__(self) -> str:
        return f"UiAuthentication(enabled={self.enabled}, type={self.type!r}, username={self.username!r})"


class UiAccessPolicy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """From where the UI server may be used."""

    require_tls_for_non_loopback: Annotated[bool, doc("Refuse clients of other machines that do not come over TLS")] = (
        True
    )
    trusted_proxies: Annotated[
        tuple[str, ...], doc("Addresses of proxies whose forwarding headers count", schema=TEXTS)
    ] = ()
    allow_loopback_proxy: Annotated[bool, doc("Whether a trusted proxy may run on this machine")] = False
    allowed_hosts: Annotated[tuple[str, ...], doc("Host names that a request may ask for", schema=TEXTS)] = ()
    allowed_origins: Annotated[tuple[str, ...], doc("Origins of web pages that may use the server", schema=TEXTS)] = ()


class UiTls(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Encryption of the UI server. Relative paths begin at the configuration's folder."""

    cert_file: Annotated[str, doc("The server's certificate and those up to its root, PEM", required=True)] = ""
    key_file: Annotated[str, doc("Its private key, PEM", required=True)] = ""
    key_password: Annotated[str | None, doc("Password of the private key")] = None
    ca_file: Annotated[
        str | None, doc("Certificate authorities, PEM; clients must then have a certificate of one of them")
    ] = None

    # Shows no password: structs end up in logs.
    def __repr__(self) -> str:
        return f"UiTls(cert_file={self.cert_file!r}, key_file={self.key_file!r})"


class UiMetrics(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The metrics page of the UI server."""

    enabled: Annotated[bool, doc("Serve `/metrics`")] = False
    soft_sample_cap: Annotated[
        int, doc("Samples of single stations that `/metrics` may give; for more it tells of the fleet only", ge=1)
    ] = 5000


class UiSecurityHeaders(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """HTTP headers of the UI server."""

    strict_transport_security: Annotated[
        str | bool,
        doc(
            "Value of Strict-Transport-Security, or false",
            schema={"anyOf": [{"type": "string"}, {"const": False}]},
        ),
    ] = False


class UiServerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The UI server: HTTP, WebSocket and dashboard on one port."""

    enabled: Annotated[bool, doc("Run the UI server")] = True
    type: Annotated[Literal["ws", "http", "mcp"], doc("Accepted; every transport is always there")] = "ws"
    version: Annotated[Literal["1.1", "2.0"], doc("HTTP version", acts=False)] = "1.1"
    options: Annotated[UiServerOptions, doc("Where it listens")] = UiServerOptions()
    authentication: Annotated[UiAuthentication, doc("Who may use it")] = UiAuthentication()
    access_policy: Annotated[UiAccessPolicy, doc("From where it may be used")] = UiAccessPolicy()
    tls: Annotated[UiTls | None, doc("Serve HTTPS and secure WebSockets instead of plain ones")] = None
    metrics: Annotated[UiMetrics, doc("The metrics page")] = UiMetrics()
    security_headers: Annotated[UiSecurityHeaders, doc("HTTP headers")] = UiSecurityHeaders()


class PerformanceStorageConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where performance records go."""

    enabled: Annotated[bool, doc("Store performance records")] = False
    type: Annotated[
        Literal["none", "jsonfile", "sqlite", "mysql", "mariadb", "postgresql", "mongodb", "sql"],
        doc("Kind of storage; `sql`: whatever SQLAlchemy has a dialect for"),
    ] = "jsonfile"
    uri: Annotated[
        str,
        doc(
            "Where the storage is; a file directly under `file:///` is in the data directory, where the file of"
            " `sqlite` is called `performanceRecords.sqlite` by default"
        ),
    ] = DEFAULT_PERFORMANCE_URI
    interval: Annotated[
        int, doc("Seconds between two records of a station that has measured something", ge=1, le=86_400)
    ] = 60


class StationTemplateEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the fleet: so many stations of one template."""

    file: Annotated[
        str,
        doc(
            "Template file: a path from the configuration's folder, its `station-templates` or `station_templates`,"
            " or the name of a shipped one",
            required=True,
        ),
    ] = ""
    number_of_stations: Annotated[int, doc("Stations to make from it", ge=0, le=1_000_000)] = 0
    provisioned_number_of_stations: Annotated[
        int, doc("Stations that are meant to be added at run time: `simulatorState` shows it", ge=0, le=1_000_000)
    ] = 0


class LogConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Another spelling of the `log…` keys, over which it wins."""

    enabled: Annotated[bool | None, doc("Same as `logEnabled`")] = None
    file: Annotated[str | None, doc("Same as `logFile`")] = None
    error_file: Annotated[str | None, doc("Same as `logErrorFile`")] = None
    level: Annotated[LogLevel | None, doc("Same as `logLevel`")] = None
    console: Annotated[bool | None, doc("Same as `logConsole`")] = None
    format: Annotated[str | None, doc("Same as `logFormat`")] = None
    rotate: Annotated[bool | None, doc("Same as `logRotate`")] = None
    max_files: Annotated[int | str | None, doc("Same as `logMaxFiles`", schema=MaxFiles)] = None
    max_size: Annotated[int | str | None, doc("Same as `logMaxSize`", schema=MaxSize)] = None
    statistics_interval: Annotated[int | None, doc("Same as `logStatisticsInterval`")] = None


class WireLogConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The log of the OCPP messages, as they are on the wire; secrets are masked."""

    file: Annotated[
        str, doc("File of the messages, a line of JSON each; a relative path is under `logs` in the data directory")
    ] = ""
    rotate: Annotated[bool, doc("Begin a new file every day")] = True
    max_files: Annotated[
        int | str, doc("Rotated files to keep, or `14d` for the files of 14 days; 0: all", schema=MaxFiles)
    ] = 7
    max_size: Annotated[int | None, doc("Size at which a file is rotated, in bytes or as `20m`", schema=MaxSize)] = None
    stations: Annotated[
        tuple[str, ...],
        doc("Only messages of these stations, by name or hashId; `*` and `?` stand for any characters", schema=TEXTS),
    ] = ()
    actions: Annotated[tuple[str, ...], doc("Only messages of these actions, answers among them", schema=TEXTS)] = ()
    direction: Annotated[Literal["both", "sent", "received"], doc("Only messages that stations sent, or received")] = (
        "both"
    )
    memory: Annotated[
        int,
        doc("Memory for the latest messages, which the dashboard shows, in bytes or as `16m`; 0: none", schema=MaxSize),
    ] = 16 * 1024 * 1024


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Configuration of the simulator."""

    schema_version: Annotated[int, doc("Version of the file's format", ge=0)] = msgspec.field(
        default=SCHEMA_VERSION, name="$schemaVersion"
    )
    supervision_urls: Annotated[
        tuple[str, ...],
        doc("URL or list of URLs of the OCPP-J central systems, for stations whose template names none", schema=TEXTS),
    ] = ()
    supervision_url_distribution: Annotated[
        Distribution, doc("How stations are spread over several supervision URLs")
    ] = "charging-station-affinity"
    log_enabled: Annotated[bool, doc("Write logs")] = True
    log_statistics_interval: Annotated[
        int, doc("Seconds between two outputs of the statistics in the logs; 0 or less: none")
    ] = 60
    log_console: Annotated[bool, doc("Write logs on the console too")] = False
    log_format: Annotated[str, doc("Format of the logs: `simple`, `json`, `cli`, `prettyPrint` or `logstash`")] = (
        "simple"
    )
    log_rotate: Annotated[bool, doc("Begin a new log file every day")] = True
    log_max_files: Annotated[
        int | str, doc("Rotated log files to keep, or `14d` for the files of 14 days; 0: all", schema=MaxFiles)
    ] = 7
    log_max_size: Annotated[
        int | None, doc("Size at which a log file is rotated, in bytes or as `20m`", schema=MaxSize)
    ] = None
    log_level: Annotated[LogLevel, doc("Least severity to log")] = "info"
    log_file: Annotated[str, doc("Log file; a relative path is under `logs` in the data directory")] = "combined.log"
    log_error_file: Annotated[str, doc("Log file of the errors; likewise")] = "error.log"
    wire_log: Annotated[WireLogConfig, doc("Log of the OCPP messages")] = WireLogConfig()
    worker: Annotated[WorkerConfig, doc("Workers")] = WorkerConfig()
    ui_server: Annotated[UiServerConfig, doc("UI server")] = UiServerConfig()
    performance_storage: Annotated[PerformanceStorageConfig, doc("Storage of performance records")] = (
        PerformanceStorageConfig()
    )
    station_template_urls: Annotated[
        tuple[StationTemplateEntry, ...],
        doc("The fleet: template files and how many stations to make from each", required=True),
    ] = ()
    auto_reconnect_max_retries: Annotated[
        int | None,
        doc(
            "Connection retries of stations whose template says nothing (-1: without end); better set in the template",
            ge=-1,
        ),
    ] = None
    persist_state: Annotated[
        bool,
        doc(
            "Whether a fleet that `stopSimulator` has ended stays so in the next run, until `startSimulator`; without a"
            " UI server, or with `SIMULATOR_COLD_START=1` in the environment, it starts all the same"
        ),
    ] = True
    timer_grid: Annotated[
        int,
        doc(
            "Milliseconds of a step of stations' timers (heartbeats, samples, pings, deadlines): what is due within one"
            " is done together at its end, at a fraction of the cost; 0: each at its exact instant",
            ge=0,
            le=1000,
        ),
    ] = 50
    stagger: Annotated[
        bool,
        doc("Send each station's first heartbeat after a part of the interval, so that a fleet does not march in step"),
    ] = True
    transport: Annotated[
        Literal["auto", "websocket", "hub"],
        doc(
            "How messages reach the network: `hub` serves all stations from one place, at a fraction of the CPU, over"
            " `ws://` without compression on Linux; `websocket` is a client per station; `auto`: the hub where it can"
        ),
    ] = "auto"
