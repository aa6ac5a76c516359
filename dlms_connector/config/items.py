"""Items, attribute updates and RPC methods of a device."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dlms_connector.config.base import Model
from dlms_connector.config.platform_names import PlatformName
from dlms_connector.config.report_strategy import ReportStrategy
from dlms_connector.config.types import (
    LONGEST_PERIOD_MS,
    AttributeIndex,
    BaseName,
    ClassId,
    Encoding,
    JsonValue,
    Multiplier,
    Name,
    ObisCode,
    TypeName,
    Whole,
)

ValueFormat = Literal[
    "text", "hex", "dateTime", "date", "time", "ip", "mac", "obis", "unixTime", "raw"
]

OBIS = "OBIS code of the object, `A-B:C.D.E[*F]` or `A.B.C.D.E.F`"
_CLASS = "interface class by name (`register`, `data`, `clock` …) or number"
ATTRIBUTE = "index of the attribute"
_BASE_NAME = (
    "base name of the object in a meter with short names, as number or `0x…`; if each object that "
    "is read has one, the meter's object list is not read"
)
SCALER = "scaler (power of ten) to use instead of the meter's own"
NO_VALUE = (
    'raw values (before the scaler) that mean "no reading", such as `[4294967295]`: they are not '
    "sent"
)
_TYPE = "COSEM type of the value, such as `uint16`; if not set, the type that the meter uses"


class Item(Model):
    """One attribute of a COSEM object, and the key it is sent under."""

    key: PlatformName = Field(min_length=1, description="the key on the platform")
    obis: ObisCode = Field(description=OBIS)
    class_id: ClassId = Field(default=3, alias="class", description=_CLASS)
    base_name: BaseName | None = Field(default=None, description=_BASE_NAME)
    attribute: AttributeIndex = Field(default=2, description=ATTRIBUTE)
    scaler: Whole | None = Field(default=None, ge=-128, le=127, description=SCALER)
    unit: str | None = Field(
        default=None,
        description="unit to send; the value is converted from the meter's unit (`Wh` to `kWh`)",
    )
    no_value: tuple[Whole, ...] = Field(default=(), description=NO_VALUE)
    multiplier: Multiplier | None = Field(
        default=None, description="factor for the value, such as a transformer ratio"
    )
    decimals: Whole | None = Field(
        default=None, ge=0, le=15, description="number of decimals to round to"
    )
    format: ValueFormat | None = Field(
        default=None,
        description="how to show the value, if class and type do not define it; `raw` uses the "
        "COSEM type only",
    )
    encoding: Encoding | None = Field(
        default=None, description="text encoding, such as `cp1251`; if not set, UTF-8"
    )
    poll_period_ms: Whole | None = Field(
        default=None,
        ge=100,
        le=LONGEST_PERIOD_MS,
        alias="pollPeriod",
        description="poll period of this item, in ms; if not set, the device's",
    )
    report_strategy: ReportStrategy | None = Field(
        default=None, description="the gateway's report strategy for this key"
    )

    def has_no_value(self, raw: object) -> bool:
        """Whether a raw value means that there is no reading."""
        return stands_for_none(raw, self.no_value)


class AttributeUpdate(Model):
    """A shared attribute of the platform that is written to the meter."""

    key: PlatformName = Field(min_length=1, description="the shared attribute")
    obis: ObisCode = Field(description=OBIS)
    class_id: ClassId = Field(default=3, alias="class", description=_CLASS)
    base_name: BaseName | None = Field(default=None, description=_BASE_NAME)
    attribute: AttributeIndex = Field(default=2, description=ATTRIBUTE)
    type: TypeName | None = Field(default=None, description=_TYPE)
    scaler: Whole | None = Field(default=None, ge=-128, le=127, description=SCALER)


class RpcMethod(Model):
    """A method that the platform may call on the device."""

    method: Name = Field(min_length=1, description="the method's name")
    request_type: Literal["get", "set", "action", "profile"] = Field(
        default="get", description="what the call does"
    )
    obis: ObisCode = Field(description=OBIS)
    class_id: ClassId = Field(default=3, alias="class", description=_CLASS)
    base_name: BaseName | None = Field(default=None, description=_BASE_NAME)
    attribute: AttributeIndex = Field(default=2, description=ATTRIBUTE)
    method_index: Whole | None = Field(
        default=None, ge=1, le=127, description="the method's index, for actions"
    )
    type: TypeName | None = Field(default=None, description=_TYPE)
    value: JsonValue = Field(default=None, description="value to use if the call has none")
    scaler: Whole | None = Field(default=None, ge=-128, le=127, description=SCALER)
    request_timeout_ms: Whole | None = Field(
        default=None,
        ge=100,
        le=LONGEST_PERIOD_MS,
        alias="requestTimeout",
        description="timeout for the whole call, in ms",
    )


def stands_for_none(raw: object, no_value: tuple[int, ...]) -> bool:
    """Whether a raw value is one of the numbers that mean "no reading"; True is not 1 here."""
    return isinstance(raw, int) and not isinstance(raw, bool) and raw in no_value
