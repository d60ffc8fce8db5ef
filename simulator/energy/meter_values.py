"""What the meter of a connector reports: template entries, samples, and the text of a value.

The entries come from ``Connectors.<id>.MeterValues`` of a station template; a sample is one ``SampledValue`` of
OCPP 1.6 (§7.43) before it is put on the wire.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT_FLUCTUATION_PERCENT = 5.0

SOC = "SoC"
VOLTAGE = "Voltage"
POWER = "Power.Active.Import"
CURRENT = "Current.Import"
ENERGY = "Energy.Active.Import.Register"


class SampledValueTemplate(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One entry of ``MeterValues`` of a connector: how one measurand, or one phase of it, is reported."""

    measurand: Annotated[str, Meta(description="the OCPP measurand that the entry describes")] = ENERGY
    unit: Annotated[
        str | None, Meta(description="Wh or kWh, W or kW, A, V, Percent; value and minimumValue are in it")
    ] = None
    phase: Annotated[str | None, Meta(description="the phase that the entry describes; absent: the whole")] = None
    context: Annotated[str | None, Meta(description="the OCPP reading context of periodic samples")] = None
    location: Annotated[str | None, Meta(description="the OCPP location; EV for SoC when absent")] = None
    format: Annotated[str | None, Meta(description="accepted; samples are always Raw")] = None
    value: Annotated[
        float | str | None,
        Meta(description="a number or numeric text around which the value fluctuates; absent, empty or 0: simulated"),
    ] = None
    fluctuation_percent: Annotated[
        float | str | None, Meta(description="how far the value strays from its base, 0 to 100")
    ] = DEFAULT_FLUCTUATION_PERCENT
    minimum_value: Annotated[
        float | str | None, Meta(description="the least value that the simulation draws when no value is given")
    ] = None


class Sample(msgspec.Struct, frozen=True):
    """One measured value, in the unit that it names."""

    measurand: str
    value: float
    unit: str | None = None
    phase: str | None = None
    context: str | None = None
    location: str | None = None
