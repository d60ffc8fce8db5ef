"""How a running station follows a changed template.

Most of a template is read where it is used, and changes in place: nothing that runs is disturbed. A change of the way
to the central system makes the station connect anew, with its transactions running. What a station cannot have without
being built anew, another number of connectors for example, is a restart.
"""

from __future__ import annotations

import enum
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from simulator.station.memory import SOON
from simulator.station.metering import plan_of
from simulator.templates.info import StationInfo
from simulator.templates.model import GeneratorTemplate, StationTemplate

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation


class Way(enum.IntEnum):
    """What a change takes, the greatest last."""

    NOTHING = 0
    IN_PLACE = 1
    RECONNECT = 2
    RESTART = 3


#: Members of a template that the station reads whenever it needs them, or can take over while everything runs.
IN_PLACE = frozenset(
    {
        "schema_version",
        "auto_start",
        "stop_transactions_on_stopped",
        "x509_certificates",
        "supervision_urls",  # where that changes the station's own URL it connects anew
        "ocpp_strict_compliance",
        "ocpp_persistent_configuration",
        "station_info_persistent_configuration",
        "automatic_transaction_generator_persistent_configuration",
        "authorization_file",
        "ev_profiles_file",
        "firmware_version_pattern",
        "firmware_upgrade",
        "signed_firmware_only",
        "revoked_firmware_signers",
        "power",
        "power_unit",
        "power_shared_by_connectors",
        "conversion_efficiency",
        "reset_time",
        "auto_register",
        "auto_reconnect_max_retries",
        "reconnect_exponential_delay",
        "registration_max_retries",
        "enable_statistics",
        "must_authorize_at_remote_start",
        "force_transaction_on_invalid_id_token",
        "payload_schema_validation",
        "begin_end_meter_values",
        "out_of_order_end_meter_values",
        "transaction_data_meter_values",
        "resume_transactions",
        "tx_profile_fall_back",
        "automatic_vehicle",
        "fixed_cable",
        "post_transaction_delay",
        "metering_per_transaction",
        "main_voltage_meter_values",
        "phase_line_to_line_voltage_meter_values",
        "custom_value_limitation_meter_values",
        "coherent_meter_values",
        "random_seed",
        "commands_support",
        "message_trigger_support",
        "security_events",
        "certificate_key_type",
        "configuration",
        "automatic_transaction_generator",
        "connectors",
    }
)

#: Members that count when the station connects.
OF_CONNECTION = frozenset(
    {"supervision_user", "supervision_password", "ws_options", "authorization_key_as_text"},
)

#: OCPP keys whose value in the template a station takes when it is built.
_BUILT_IN_KEYS = frozenset({"securityprofile", "authorizationkey"})


def way_of_template(before: StationTemplate, after: StationTemplate) -> Way:
    """What a changed template takes, as far as it depends on the template alone."""
    changed = {name for name in StationTemplate.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    if not changed:
        return Way.NOTHING
    if changed - IN_PLACE - OF_CONNECTION or _built_in(before) != _built_in(after):
        return Way.RESTART
    return Way.RECONNECT if changed & OF_CONNECTION else Way.IN_PLACE


def _built_in(template: StationTemplate) -> dict[str, str | None]:
    entries = {entry.key.lower(): entry.value for entry in template.configuration_keys}
    return {name: value for name, value in entries.items() if name in _BUILT_IN_KEYS}


#: Members of :class:`StationInfo` that change in place; ``template`` is looked at by itself.
_INFO_IN_PLACE = frozenset(
    {
        "raw",
        "template",
        "template_name",
        "template_index",
        "template_hash",
        "maximum_power",
        "maximum_amperage",
        "connectors",
        "id_tags",
        "supervision_urls",
        "vehicles",
    }
)


def way_of(before: StationInfo, after: StationInfo) -> Way:
    """What it takes to make a station of ``before`` one of ``after``."""
    way = Way.NOTHING if before.template is after.template else way_of_template(before.template, after.template)
    for name in StationInfo.__struct_fields__:
        if name != "template" and getattr(before, name) != getattr(after, name):
            way = max(way, Way.IN_PLACE if name in _INFO_IN_PLACE else Way.RESTART)
    if before.connectors.keys() != after.connectors.keys():
        return Way.RESTART
    return way


def follow(station: ChargingStation, info: StationInfo, supervision_url: str) -> None:
    """Take over what :func:`way_of` finds can be taken over without a restart; connects anew where that is needed.

    Keys that the central system or the user has changed stay as they are. Running transactions go on.
    """
    before, former_url = station.info, station.supervision_url
    station.info, station.configured_url = info, supervision_url
    template = info.template
    station.settle_energy()
    for connector in station.connectors.values():
        _redefine(station, connector)
    if template.random_seed != before.template.random_seed:
        station.forget_meter_random()
    if info.id_tags != before.id_tags:
        station.authorization.local_list.follow(info.id_tags)
    station.lane.rules = station.call_rules()
    station.line.follow()
    station.keys.follow(info, supervision_url)
    station.memory.follow()
    station.supply.review()
    former = before.template.automatic_transaction_generator or GeneratorTemplate()
    station.generator.follow(former)
    if station.supervision_url != former_url or way_of_template(before.template, template) >= Way.RECONNECT:
        station.connect_to(supervision_url)
    station.remember(SOON)
    station.changed()


def _redefine(station: ChargingStation, connector: Connector) -> None:
    """Let a connector be what the present template says of it."""
    info = station.info
    connector.template = info.connectors[connector.id]
    if connector.meter is None:
        return
    plan, transaction = plan_of(info, connector.template), connector.transaction
    if transaction is not None and plan.switches.per_transaction != connector.meter.plan.switches.per_transaction:
        # What a transaction's register counts from cannot change while it runs.
        transaction.watch(partial(_redefine, station, connector))
    elif plan is not connector.meter.plan:
        connector.meter.plan = plan


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What a station that is built anew takes along, besides what the journal has.

    ``memory``: what it would keep from process to process with all switches on. ``url``: where somebody has moved it
    to. ``held``: somebody has closed its connection. ``plugged``: connectors with a vehicle that somebody plugged in.
    """

    memory: dict[str, object]
    url: str | None = None
    credentials: tuple[str, str | bytes] | None = None
    held: bool = False
    plugged: tuple[int, ...] = ()
