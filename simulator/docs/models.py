"""Tables of the configuration's and the templates' keys, made from the models and their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from simulator.config.fields import Key, Schema, keys_of
from simulator.config.model import (
    LogConfig,
    PerformanceStorageConfig,
    SimulatorConfig,
    StationTemplateEntry,
    UiAccessPolicy,
    UiAuthentication,
    UiMetrics,
    UiSecurityHeaders,
    UiServerConfig,
    UiServerOptions,
    UiTls,
    WireLogConfig,
    WorkerConfig,
)
from simulator.config.schemas import IGNORED_KEYS as IGNORED_CONFIG_KEYS
from simulator.config.schemas import LEGACY_KEYS as LEGACY_CONFIG_KEYS
from simulator.config.schemas import config_schema
from simulator.config.ws_options import WebSocketOptions
from simulator.docs.markdown import NOTHING, code, default, key_table, sentence, table
from simulator.energy.electrical import Circuit
from simulator.energy.meter_values import UNITS, SampledValueTemplate
from simulator.energy.vehicle import VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles
from simulator.templates.fleet import shipped_folder, shipped_templates
from simulator.templates.info import circuit_of
from simulator.templates.load import load_template
from simulator.templates.model import (
    CommandsSupport,
    ConfigurationKeyTemplate,
    ConnectorTemplate,
    EnergyTemplate,
    EvseTemplate,
    FirmwareUpgrade,
    GeneratorTemplate,
    SecondsTemplate,
    StationTemplate,
    VersionUpgrade,
)
from simulator.templates.schemas import LEGACY_KEYS as LEGACY_TEMPLATE_KEYS
from simulator.templates.schemas import NODE_ONLY_OPTIONS, OTHER_NAMES, template_schema

CONFIG_SECTIONS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "wireLog": WireLogConfig,
        "worker": WorkerConfig,
        "stationTemplateUrls[]": StationTemplateEntry,
        "log": LogConfig,
        "uiServer": UiServerConfig,
        "uiServer.options": UiServerOptions,
        "uiServer.authentication": UiAuthentication,
        "uiServer.accessPolicy": UiAccessPolicy,
        "uiServer.tls": UiTls,
        "uiServer.metrics": UiMetrics,
        "uiServer.securityHeaders": UiSecurityHeaders,
        "performanceStorage": PerformanceStorageConfig,
    }
)
"""The sections of the configuration in the order in which the README has them."""


def _of_config(model: type[msgspec.Struct]) -> str:
    return _model_table(model, config_schema())


def _of_template(model: type[msgspec.Struct]) -> str:
    return _model_table(model, template_schema())


def _model_table(model: type[msgspec.Struct], schema: Schema) -> str:
    return key_table(_shown(model), _properties(model, schema))


def _properties(model: type[msgspec.Struct], schema: Schema) -> Schema:
    definition: Schema = schema["$defs"].get(model.__name__, schema)
    properties: Schema = definition["properties"]
    return properties


def _shown(model: type[msgspec.Struct]) -> list[Key]:
    """The keys of a model, those of the program's own first where the file's format comes first in the model."""
    keys = keys_of(model)
    return [key for key in keys if not key.name.startswith("$")] + [key for key in keys if key.name.startswith("$")]


# -- config.json -------------------------------------------------------------------------------------------------------


def config_keys() -> str:
    """The keys of ``config.json``."""
    return _of_config(SimulatorConfig)


def config_sections() -> str:
    """A heading and a table for each section of ``config.json``."""
    return "\n\n".join(f"#### {code(name)}\n\n{_of_config(model)}" for name, model in CONFIG_SECTIONS.items())


def config_other_names() -> str:
    """Old names of keys, and keys without a meaning."""
    rows = [(code(old), code(".".join(now))) for old, now in LEGACY_CONFIG_KEYS.items()]
    rows += [
        (code("worker.elementAddDelay"), code("worker.elementStartDelay")),
        (code("performanceStorage.URI"), code("performanceStorage.uri")),
        (code("stationTemplateUrls[].numberOfStation"), code("stationTemplateUrls[].numberOfStations")),
    ]
    rows += [(code(name), "ignored") for name in IGNORED_CONFIG_KEYS]
    return table(("In your file", "Read as"), rows)


# -- station templates -------------------------------------------------------------------------------------------------


def station_models() -> str:
    """The templates that are shipped."""
    rows = []
    for file in shipped_templates():
        loaded = load_template(shipped_folder() / file)
        template, circuit = loaded.template, circuit_of(loaded.template)
        unit = template.power_unit
        counts = template.number_of_connectors or (sum(number > 0 for number in template.connectors),)
        generator = template.automatic_transaction_generator
        current = "DC" if circuit.direct else f"AC, {circuit.phases} phase{'s' if circuit.phases > 1 else ''}"
        rows.append(
            (
                code(file.removesuffix(".station-template.json")),
                f"{template.charge_point_vendor} {template.charge_point_model}",
                code(template.base_name),
                " or ".join(map(str, counts)),
                f"{_list(template.power)} {unit}, {current}",
                "on" if generator is not None and generator.enable else "off",
            )
        )
    return table(("Template", "Vendor and model", "`baseName`", "Connectors", "Power", "Generator"), rows)


def _list(values: Iterable[float]) -> str:
    return " or ".join(f"{value:g}" if value < 1e5 else str(int(value)) for value in values)


def template_keys() -> str:
    """The keys of a station template, and its section about firmware updates."""
    parts = [
        _of_template(StationTemplate),
        f"#### {code('firmwareUpgrade')}",
        _of_template(FirmwareUpgrade),
        f"#### {code('firmwareUpgrade.versionUpgrade')}",
        _of_template(VersionUpgrade),
    ]
    return "\n\n".join(parts)


def template_other_names() -> str:
    """Other and old names of keys."""
    names = {**OTHER_NAMES, **LEGACY_TEMPLATE_KEYS, "Connectors.<n>.MeterValues[].minimum": "minimumValue"}
    rows = [(code(name), code(now)) for name, now in names.items()]
    rows.append((code("Connectors.<n>.status"), "ignored"))
    return table(("In your file", "Read as"), rows)


def ocpp_key_entries() -> str:
    """An entry of ``Configuration.configurationKey``."""
    return _of_template(ConfigurationKeyTemplate)


def generator() -> str:
    """The section ``AutomaticTransactionGenerator``."""
    parts = [
        _of_template(GeneratorTemplate),
        f"{code('arrival')} and {code('stay')}:",
        _of_template(SecondsTemplate),
        f"{code('energyWanted')}:",
        _of_template(EnergyTemplate),
    ]
    return "\n\n".join(parts)


def connectors() -> str:
    """Connectors, entries of ``MeterValues``, EVSEs."""
    units = [
        (code(measurand), " ".join(code(unit) if unit else NOTHING for unit in names))
        for measurand, names in UNITS.items()
    ]
    parts = [
        _of_template(ConnectorTemplate),
        f"An entry of {code('MeterValues')}:",
        _of_template(SampledValueTemplate),
        "What a meter delivers, and in which units, the default first:",
        table(("Measurand", "Units"), units),
        f"An entry of {code('Evses')}:",
        _of_template(EvseTemplate),
    ]
    return "\n\n".join(parts)


def vehicle_models() -> str:
    """The vehicles that come with the simulator."""
    rows = [
        (
            code(model.id),
            model.name,
            "1" if model.ac_phases == 1 else f"1 to {model.ac_phases}",
            NOTHING if model.dc_max_power_w == 0 else f"{model.power_limit(Circuit(400, 0)) / 1000:g} kW",
            f"{model.weight:g}",
        )
        for model in shipped_vehicles()
    ]
    return table(("Vehicle", "Description", "Phases of AC", "Most on DC", "`weight`"), rows)


def vehicle_keys() -> str:
    """The members of a vehicle in a file."""
    required = {field.encode_name for field in msgspec.structs.fields(VehicleModel) if field.required}
    rows = [
        (code(key.name), "required" if key.name in required else default(key), sentence(key.description))
        for key in keys_of(VehicleModel)
    ]
    return table(("Member", "Default", "Meaning"), rows)


def command_support() -> str:
    """The section ``commandsSupport``."""
    return _of_template(CommandsSupport)


def ws_options() -> str:
    """The section ``wsOptions``."""
    others = ", ".join(map(code, NODE_ONLY_OPTIONS))
    return f"{_of_template(WebSocketOptions)}\n\nAccepted without effect, with a warning: {others}."
