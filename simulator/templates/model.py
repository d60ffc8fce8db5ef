"""A station template: the description of a station model that a fleet is made of.

Attributes are the JSON keys in snake case; defaults are those of the documented tables. Other spellings of a key
(``idTagsFile``, ``remoteAuthorization``, ``Evses``) are folded in by :mod:`simulator.templates.load`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from simulator.config.fields import COUNTS, NUMBERS, TEXTS, doc
from simulator.config.model import SCHEMA_VERSION
from simulator.config.ws_options import WebSocketOptions
from simulator.energy.meter_values import SampledValueTemplate
from simulator.ocpp.v16.enums import ChargePointStatus

CurrentOutType = Literal["AC", "DC"]
Distribution = Literal["fixed", "uniform", "exponential"]
IdTagDistribution = Literal["random", "round-robin", "connector-affinity"]

_SCALAR = {"type": ["string", "number", "boolean"]}
_STATUSES = {"enum": [str(status) for status in ChargePointStatus]}
_SWITCHES = {"type": "object", "additionalProperties": {"type": "boolean"}}


class ConfigurationKeyTemplate(msgspec.Struct, frozen=True):
    """One OCPP configuration key that the station has from the start."""

    key: Annotated[str, doc("Name of the key, at most 50 characters", required=True)] = ""
    value: Annotated[str | None, doc("Value, at most 500 characters", schema=_SCALAR)] = None
    readonly: Annotated[bool, doc("Refuse ChangeConfiguration")] = False
    visible: Annotated[bool, doc("Show the key in GetConfiguration")] = True
    reboot: Annotated[bool, doc("A change takes effect at the next reboot and is answered RebootRequired")] = False


class ConfigurationSection(msgspec.Struct, frozen=True):
    """The OCPP configuration keys of the station."""

    configuration_key: Annotated[tuple[ConfigurationKeyTemplate, ...], doc("The keys")] = msgspec.field(
        default=(), name="configurationKey"
    )


_RATES = {"type": "array", "items": {"type": "number", "minimum": 0}}


class SecondsTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A random number of seconds."""

    distribution: Annotated[Distribution, doc("How it is drawn")] = "exponential"
    mean_seconds: Annotated[float, doc("Its mean", required=True, gt=0)] = 0
    min_seconds: Annotated[float, doc("The least", ge=0)] = 0
    max_seconds: Annotated[
        float | None,
        doc("The most; if absent, no bound, and for `uniform` as far above the mean as the least below", gt=0),
    ] = None


class EnergyTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A random energy."""

    distribution: Annotated[Distribution, doc("How it is drawn")] = "uniform"
    mean_wh: Annotated[float, doc("Its mean, in Wh", required=True, gt=0)] = 0
    min_wh: Annotated[float, doc("The least", ge=0)] = 0
    max_wh: Annotated[
        float | None,
        doc("The most; if absent, no bound, and for `uniform` as far above the mean as the least below", gt=0),
    ] = None


class GeneratorTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The automatic transaction generator (ATG): charges on every connector, over and over."""

    enable: Annotated[bool, doc("Start the generator with the station")] = False
    min_duration: Annotated[float, doc("Shortest transaction, in seconds", ge=0)] = 60
    max_duration: Annotated[float, doc("Longest transaction, in seconds", ge=0)] = 120
    min_delay_between_two_transactions: Annotated[float, doc("Shortest pause, in seconds", ge=0)] = 15
    max_delay_between_two_transactions: Annotated[float, doc("Longest pause, in seconds", ge=0)] = 30
    probability_of_start: Annotated[float, doc("Probability that a transaction follows a pause", ge=0, le=1)] = 1.0
    stop_after_hours: Annotated[float, doc("Hours after which the generator stops", ge=0)] = 0.25
    stop_absolute_duration: Annotated[
        bool, doc("Count the hours from the first start on, pauses of the generator included")
    ] = False
    stop_on_connection_failure: Annotated[bool, doc("Stop the generator while there is no connection")] = False
    require_authorize: Annotated[bool, doc("Ask the central system (Authorize) before each transaction")] = True
    id_tag_distribution: Annotated[IdTagDistribution, doc("How tags of the list are given to transactions")] = (
        "round-robin"
    )
    arrival: Annotated[
        SecondsTemplate | None,
        doc("From one vehicle to the next on a connector; instead of the shortest and the longest pause"),
    ] = None
    stay: Annotated[
        SecondsTemplate | None,
        doc("How long a vehicle stays, charged or not; instead of the shortest and the longest transaction"),
    ] = None
    energy_wanted: Annotated[
        EnergyTemplate | None,
        doc("What a driver wants; the vehicle stops then and, without `stay`, leaves; needs `coherentMeterValues`"),
    ] = None
    weekday_rates: Annotated[
        tuple[float, ...],
        doc("24 numbers, one for each hour of the day (UTC): how many times as often vehicles come", schema=_RATES),
    ] = ()
    weekend_rates: Annotated[
        tuple[float, ...], doc("The same for Saturday and Sunday; as on other days if absent", schema=_RATES)
    ] = ()


class ConnectorTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One connector."""

    boot_status: Annotated[str | None, doc("Status that the connector has after a boot", schema=_STATUSES)] = (
        msgspec.field(default=None, name="bootStatus")
    )
    meter_values: Annotated[tuple[SampledValueTemplate, ...], doc("What the connector's meter measures")] = (
        msgspec.field(default=(), name="MeterValues")
    )
    maximum_power: Annotated[float | None, doc("Most that the connector can deliver, in W", gt=0)] = msgspec.field(
        default=None, name="maximumPower"
    )


class EvseTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """One EVSE: connectors that share its part of the power. Its connectors count as connectors of the station."""

    connectors: Annotated[dict[int, ConnectorTemplate], doc("Connectors by number; EVSE 0 has only connector 0")] = (
        msgspec.field(default_factory=dict, name="Connectors")
    )
    meter_values: Annotated[
        tuple[SampledValueTemplate, ...], doc("What the meter of the EVSE measures; goes before that of a connector")
    ] = msgspec.field(default=(), name="MeterValues")


class CommandsSupport(msgspec.Struct, frozen=True, rename="camel"):
    """Which OCPP commands the station has; an empty section means all of them."""

    incoming_commands: Annotated[
        dict[str, bool],
        doc("Commands of the central system: only those that are true are carried out", schema=_SWITCHES),
    ] = msgspec.field(default_factory=dict)
    outgoing_commands: Annotated[
        dict[str, bool], doc("Commands of the station: only those that are true are sent", schema=_SWITCHES)
    ] = msgspec.field(default_factory=dict)

    def allows_incoming(self, action: str) -> bool:
        """Whether a CALL of the central system is carried out."""
        return not self.incoming_commands or self.incoming_commands.get(action, False)

    def allows_outgoing(self, action: str) -> bool:
        """Whether the station sends such a CALL."""
        return not self.outgoing_commands or self.outgoing_commands.get(action, False)


class VersionUpgrade(msgspec.Struct, frozen=True, rename="camel"):
    """How a firmware update raises the version."""

    pattern_group: Annotated[
        int | None, doc("Group of `firmwareVersionPattern` to raise; its last number if absent", ge=1)
    ] = None
    step: Annotated[int, doc("Amount to raise it by")] = 1


class FirmwareUpgrade(msgspec.Struct, frozen=True, rename="camel"):
    """What a firmware update does."""

    version_upgrade: Annotated[VersionUpgrade, doc("New version")] = VersionUpgrade()
    reset: Annotated[bool, doc("Reboot after the installation")] = True
    failure_status: Annotated[
        Literal["DownloadFailed", "InstallationFailed"] | None, doc("Fail the update in this way")
    ] = None


class StationTemplate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Template of a charging station."""

    schema_version: Annotated[int, doc("Version of the file's format", ge=0)] = msgspec.field(
        default=SCHEMA_VERSION, name="$schemaVersion"
    )
    supervision_urls: Annotated[
        tuple[str, ...],
        doc("URL or list of URLs of the OCPP-J central systems; those of the configuration if absent", schema=TEXTS),
    ] = ()
    supervision_user: Annotated[str | None, doc("User name of HTTP Basic authentication at the central system")] = None
    supervision_password: Annotated[str | None, doc("Password of HTTP Basic authentication")] = None
    supervision_url_ocpp_configuration: Annotated[
        bool, doc("Let the central system change the supervision URL with an OCPP configuration key")
    ] = False
    supervision_url_ocpp_key: Annotated[str, doc("Name of that key", max_length=50)] = "ConnectionUrl"
    auto_start: Annotated[bool, doc("Start the station with the simulator; else `startChargingStation` does")] = True
    ocpp_version: Annotated[Literal["1.6"], doc("OCPP version")] = "1.6"
    ocpp_protocol: Annotated[Literal["json"], doc("OCPP transport")] = "json"
    ocpp_strict_compliance: Annotated[bool, doc("Adhere strictly to the OCPP specification")] = False
    ocpp_persistent_configuration: Annotated[
        bool, doc("Keep the OCPP configuration keys of each station from run to run")
    ] = True
    station_info_persistent_configuration: Annotated[
        bool, doc("Keep serial numbers and other facts of each station from run to run")
    ] = True
    automatic_transaction_generator_persistent_configuration: Annotated[
        bool, doc("Keep the state of the generator from run to run")
    ] = True
    ws_options: Annotated[WebSocketOptions, doc("Options of the WebSocket client, named as in Node's ws and tls")] = (
        WebSocketOptions()
    )
    authorization_file: Annotated[
        str | None, doc("RFID tag list, a JSON array of strings; only the base name counts")
    ] = None
    base_name: Annotated[str, doc("Base of the stations' names", required=True)] = ""
    name_suffix: Annotated[str, doc("End of the stations' names")] = ""
    fixed_name: Annotated[bool, doc("Use `baseName` as the name of the only station")] = False
    charge_point_model: Annotated[str, doc("Model, at most 20 characters", required=True)] = ""
    charge_point_vendor: Annotated[str, doc("Vendor, at most 20 characters", required=True)] = ""
    charge_point_serial_number_prefix: Annotated[str | None, doc("Begin of the charge point's serial number")] = None
    charge_box_serial_number_prefix: Annotated[
        str | None, doc("Begin of the charge box's serial number (deprecated in OCPP 1.6)")
    ] = None
    meter_serial_number_prefix: Annotated[str | None, doc("Begin of the meter's serial number")] = None
    meter_type: Annotated[str | None, doc("Type of the meter, at most 25 characters")] = None
    firmware_version: Annotated[str | None, doc("Firmware version, at most 50 characters")] = None
    firmware_version_pattern: Annotated[str | None, doc("Regular expression of firmware versions")] = None
    firmware_upgrade: Annotated[FirmwareUpgrade | None, doc("What a firmware update does")] = None
    signed_firmware_only: Annotated[bool, doc("Refuse UpdateFirmware: take signed firmware only")] = False
    revoked_firmware_signers: Annotated[
        tuple[str, ...], doc("Serial numbers, in hex, of signing certificates that count as revoked")
    ] = ()
    iccid: Annotated[str | None, doc("ICCID of the SIM card, at most 20 characters")] = None
    imsi: Annotated[str | None, doc("IMSI of the SIM card, at most 20 characters")] = None
    power: Annotated[
        tuple[float, ...], doc("Maximum power of the station; of a list each station gets one", schema=NUMBERS)
    ] = ()
    power_unit: Annotated[Literal["W", "kW"], doc("Unit of `power`")] = "W"
    power_shared_by_connectors: Annotated[
        bool, doc("Share the power among running transactions rather than among connectors")
    ] = False
    current_out_type: Annotated[CurrentOutType, doc("Kind of current")] = "AC"
    voltage_out: Annotated[float | None, doc("Voltage; 230 V for AC and 400 V for DC if absent", gt=0)] = None
    number_of_phases: Annotated[Literal[0, 1, 3] | None, doc("Phases: 1 or 3 (the default) for AC; DC has none")] = None
    conversion_efficiency: Annotated[
        float, doc("Share of the power of a DC station that reaches the vehicle", gt=0, le=1)
    ] = 1.0
    number_of_connectors: Annotated[
        tuple[int, ...],
        doc("Connectors of the station, of a list each station gets one; those defined if absent", schema=COUNTS),
    ] = ()
    use_connector_id0: Annotated[bool, doc("Use the definition of connector 0")] = True
    random_connectors: Annotated[bool, doc("Give each connector the definition of one picked at random")] = False
    reset_time: Annotated[float, doc("Seconds that a reset takes", ge=0)] = 60
    auto_register: Annotated[bool, doc("Count as registered whatever the answer to BootNotification")] = False
    auto_reconnect_max_retries: Annotated[
        int | None, doc("Connection retries, -1 without end (the default); the configuration's value if absent", ge=-1)
    ] = None
    reconnect_exponential_delay: Annotated[bool, doc("Double the pause from one connection retry to the next")] = False
    registration_max_retries: Annotated[int, doc("BootNotification retries, -1 without end", ge=-1)] = -1
    amperage_limitation_ocpp_key: Annotated[
        str | None,
        doc("OCPP configuration key that limits the current: per phase and connector for AC, of the station for DC"),
    ] = None
    amperage_limitation_unit: Annotated[Literal["A", "cA", "dA", "mA"], doc("Unit of that limit")] = "A"
    enable_statistics: Annotated[bool, doc("Keep statistics of the station")] = True
    must_authorize_at_remote_start: Annotated[
        bool, doc("Send Authorize at a remote start when AuthorizeRemoteTxRequests is true")
    ] = True
    force_transaction_on_invalid_id_token: Annotated[
        bool, doc("Go on with a transaction whose tag the central system refused")
    ] = False
    payload_schema_validation: Annotated[bool, doc("Validate messages against the OCA's JSON schemas")] = True
    begin_end_meter_values: Annotated[bool, doc("Send meter values at begin and end of a transaction")] = False
    out_of_order_end_meter_values: Annotated[
        bool, doc("Send those of the end after StopTransaction; not under `ocppStrictCompliance`")
    ] = False
    metering_per_transaction: Annotated[bool, doc("Let the energy register start anew with each transaction")] = True
    transaction_data_meter_values: Annotated[bool, doc("Send meter values inside StopTransaction")] = False
    stop_transactions_on_stopped: Annotated[
        bool, doc("End running transactions when the station is stopped; else at its next start, with reason Reboot")
    ] = True
    resume_transactions: Annotated[
        bool,
        doc("Go on with transactions that were running when the simulator was killed; else they end with `PowerLoss`"),
    ] = False
    tx_profile_fall_back: Annotated[
        bool, doc("Let TxDefaultProfiles act again where the TxProfile of a transaction has come to its end")
    ] = True
    automatic_vehicle: Annotated[
        bool, doc("Let a vehicle come where one is needed and leave after the end; else only when it is told to")
    ] = True
    fixed_cable: Annotated[bool, doc("Answer UnlockConnector with NotSupported: the cable cannot be taken off")] = False
    post_transaction_delay: Annotated[
        float, doc("Seconds that a connector stays Finishing after a transaction", ge=0)
    ] = 0
    main_voltage_meter_values: Annotated[bool, doc("Send the main voltage of three-phase stations")] = True
    phase_line_to_line_voltage_meter_values: Annotated[
        bool, doc("Send the line-to-line voltages of three-phase stations")
    ] = True
    custom_value_limitation_meter_values: Annotated[
        bool, doc("Keep the values that the template gives within the station's limits")
    ] = True
    coherent_meter_values: Annotated[
        bool,
        doc("Let a vehicle draw the power and all values follow from it; else each is drawn by itself, at random"),
    ] = True
    ev_profiles_file: Annotated[
        str | None,
        doc("Vehicles that come, a JSON file; only the base name counts; those of the simulator if absent"),
    ] = None
    random_seed: Annotated[
        int | None,
        doc("Seed of vehicles and meter values: the same in each run, also without `--seed`", ge=0, le=2**32 - 1),
    ] = None
    commands_support: Annotated[CommandsSupport, doc("Which OCPP commands the station has; all if absent")] = (
        CommandsSupport()
    )
    message_trigger_support: Annotated[
        dict[str, bool], doc("Which messages TriggerMessage may ask for; those not named may", schema=_SWITCHES)
    ] = msgspec.field(default_factory=dict)
    security_events: Annotated[
        bool | None,
        doc(
            "Send security events to the central system; if absent, once it has used the security extension or the"
            " station has a security profile"
        ),
    ] = None
    authorization_key_as_text: Annotated[
        bool, doc("Use the hexadecimal digits of AuthorizationKey as password, not the bytes that they stand for")
    ] = False
    certificate_key_type: Annotated[
        Literal["EC", "RSA"], doc("Kind of key that the station makes for its certificate: P-256 or RSA 3072")
    ] = "EC"
    x509_certificates: Annotated[dict[str, Any], doc("Certificates of the station by type", acts=False)] = (
        msgspec.field(default_factory=dict)
    )
    configuration: Annotated[ConfigurationSection, doc("OCPP configuration keys")] = msgspec.field(
        default=ConfigurationSection(), name="Configuration"
    )
    automatic_transaction_generator: Annotated[GeneratorTemplate | None, doc("Automatic transaction generator")] = (
        msgspec.field(default=None, name="AutomaticTransactionGenerator")
    )
    connectors: Annotated[dict[int, ConnectorTemplate], doc("Connectors by number; 0 is the station itself")] = (
        msgspec.field(default_factory=dict, name="Connectors")
    )
    evses: Annotated[
        dict[int, EvseTemplate],
        doc("EVSEs by number, instead of `Connectors`; OCPP 1.6 sees their connectors numbered one after the other"),
    ] = msgspec.field(default_factory=dict, name="Evses")

    @property
    def configuration_keys(self) -> tuple[ConfigurationKeyTemplate, ...]:
        """The OCPP configuration keys that the template sets (``Configuration.configurationKey``)."""
        return self.configuration.configuration_key

    # Shows no secret: structs end up in logs.
    def __repr__(self) -> str:
        return (
            f"StationTemplate({self.charge_point_vendor!r}, {self.charge_point_model!r}, base_name={self.base_name!r})"
        )
