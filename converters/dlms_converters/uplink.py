"""Convert readings into the gateway's telemetry and attributes.

Every telemetry key has a report strategy: its own, else the device's, else the connector's,
else ON_RECEIVED. The gateway's own default could drop equal values, but an unchanged register
is still a reading. Rows of a profile are ON_RECEIVED unless their own key has a strategy,
because two equal rows are two rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from logging import Logger
from typing import Any

from thingsboard_gateway.connectors.converter import Converter
from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey
from thingsboard_gateway.gateway.entities.report_strategy_config import ReportStrategyConfig
from thingsboard_gateway.gateway.entities.telemetry_entry import TelemetryEntry

from dlms_connector.alike import Alike
from dlms_connector.config import (
    Device,
    Item,
    acceptable,
    prefixes,
)
from dlms_connector.reading import Kind, Poll, Reading
from dlms_converters.columns import column_of
from dlms_converters.device_data import DeviceData
from dlms_converters.hashed_key import HashedKey
from dlms_converters.json_value import NUMBER_SIZE, json_size
from dlms_converters.message_size import LARGEST_ENTRY, LARGEST_VALUE, chunks
from dlms_converters.report_strategy import ON_RECEIVED, ReportStrategyError, report_strategy
from dlms_converters.shaping import shaped
from dlms_converters.statistics import count_message
from dlms_converters.stored_value import NumericTexts, stored_number, stored_value
from dlms_converters.units import UnitError

_PROFILE_GENERIC = 7
#: One for all converters: each empty set that is made takes room of its own.
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the values of one key are sent."""

    key: DatapointKey
    unit: str | None = None
    multiplier: Decimal | None = None
    decimals: int | None = None
    #: Octets of the key.
    size: int = field(init=False)
    #: Whether numbers are sent as they are.
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(self.key.key.encode()))
        plain = self.unit is None and self.multiplier is None and self.decimals is None
        object.__setattr__(self, "is_plain", plain)


#: The shapes of the items of a device, and what is wrong with them.
_SHAPES: Alike[tuple[Mapping[tuple[Kind, str], _Shape], Sequence[str]]] = Alike()


class DLMSUplinkConverter(Converter):  # type: ignore[misc]
    """Converts the polls of one device.

    `config` is the device, as a `Device` or as its JSON object. `connector_strategy`
    is the `reportStrategy` of the whole connector. `numeric_texts`, the configuration's
    `numericTexts`, is set by the connector, for converters that derive from this one, too.
    """

    numeric_texts: NumericTexts = "quoted"
    #: A user's class may do without `__init__` of this one: then there is nothing to apply.
    _has_strategy = True

    def __init__(
        self,
        config: Device | Mapping[str, Any],
        logger: Logger,
        connector_strategy: Mapping[str, Any] | None = None,
    ) -> None:
        self._device = config if isinstance(config, Device) else Device.model_validate(config)
        self._log = logger
        self._complained = _NONE
        self._has_strategy = connector_strategy is not None
        self._apply(connector_strategy)

    def inherit(self, connector_strategy: Mapping[str, Any] | None) -> None:
        """Take the connector's `reportStrategy`, unless one was given when this was made.

        A user's class that derives from this one is made without it.
        """
        if connector_strategy is not None and not self._has_strategy:
            self._apply(connector_strategy)

    def _apply(self, connector_strategy: Mapping[str, Any] | None) -> None:
        self._general = self._strategy(
            "device", self._device.report_strategy, self._strategy("connector", connector_strategy)
        )
        timeseries, attributes = self._device.timeseries, self._device.attributes
        rest = len(timeseries), self._general
        # The devices of a template have the same items.
        self._shapes, problems = _SHAPES.of((*timeseries, *attributes), rest, self._shapes_of_items)
        for problem in problems:
            self._complain(problem)
        #: Shapes of what is read besides the items, and of the values in a profile's rows.
        self._others: dict[tuple[Kind, str], _Shape] = {}
        self._rows: dict[str, _Shape] = {}
        polled = (item.key for item in timeseries if item.class_id == _PROFILE_GENERIC)
        self._polled_profiles = frozenset(polled) or _NONE

    def convert(self, config: Any, data: Poll | Reading | Sequence[Reading]) -> DeviceData:
        """Return the readings of a poll as data for the platform.

        A value that cannot be sent is left out, counted, and logged once. `config` is not
        used, because a converter belongs to one device.
        """
        result = DeviceData(self._device.device_name, self._device.device_type)
        telemetry: dict[int, dict[DatapointKey, Any]] = {}
        attributes: dict[DatapointKey, Any] = {}
        dropped = size = 0
        for reading in _readings(data):
            shape = self._shape_of(reading)
            value = stored_number(reading.value) if shape.is_plain else None
            if value is not None:
                size += shape.size + NUMBER_SIZE
            else:
                value = self._value(reading, shape)
                size += shape.size + json_size(value)
            if value is None:
                dropped += 1
            elif reading.kind == "attributes":
                attributes[shape.key] = value
            else:
                if (values := telemetry.get(reading.ts_ms)) is None:
                    values = telemetry[reading.ts_ms] = {}
                values[shape.key] = value
        for ts_ms, values in sorted(telemetry.items()):
            if size <= LARGEST_ENTRY:
                result.add_to_telemetry(TelemetryEntry(values, ts_ms))
                continue
            # Values beyond the limit of one instant are sent 1 ms later.
            for later, entry in enumerate(chunks(values, LARGEST_ENTRY)):
                result.add_to_telemetry(TelemetryEntry(entry, ts_ms + later))
        if attributes:
            result.add_to_attributes(attributes)
        self._count(result, dropped)
        return result

    def _shapes_of_items(self) -> tuple[Mapping[tuple[Kind, str], _Shape], Sequence[str]]:
        """Return the shapes of the items' values, and what is wrong with the items."""
        shapes, problems = dict[tuple[Kind, str], _Shape](), list[str]()
        items: tuple[tuple[Kind, Iterable[Item]], ...] = (
            ("timeseries", self._device.timeseries),
            ("attributes", self._device.attributes),
        )
        for kind, item in ((kind, item) for kind, group in items for item in group):
            strategy = self._default(kind, item.class_id)
            try:
                strategy = report_strategy(item.report_strategy) or strategy
            except ReportStrategyError as error:
                problems.append(f"{kind} {item.key}: {error}")
            key = HashedKey(item.key, strategy)
            shapes[kind, item.key] = _Shape(key, item.unit, item.multiplier, item.decimals)
        return shapes, problems

    def _shape_of(self, reading: Reading) -> _Shape:
        if (
            reading.class_id == _PROFILE_GENERIC
            and reading.kind == "timeseries"
            and reading.key not in self._polled_profiles
        ):
            return self._shape_of_column(reading)
        name = reading.kind, reading.key
        shape = self._shapes.get(name) or self._others.get(name)
        if shape is None:
            strategy = self._default(reading.kind, reading.class_id)
            shape = _Shape(HashedKey(acceptable(reading.key), strategy))
            self._others[name] = shape
        return shape

    def _shape_of_column(self, reading: Reading) -> _Shape:
        """Return the shape of a value in a profile's row, which may share its key with an item."""
        shape = self._rows.get(reading.key)
        if shape is None:
            key = HashedKey(acceptable(reading.key), ON_RECEIVED)
            profiles = self._device.profiles
            column = column_of(reading, profiles, prefixes(profiles))
            shape = (
                _Shape(key)
                if column is None
                else _Shape(key, column.unit, column.multiplier, column.decimals)
            )
            self._rows[reading.key] = shape
        return shape

    def _default(self, kind: Kind, class_id: int) -> ReportStrategyConfig | None:
        if kind == "attributes":
            return self._general
        return ON_RECEIVED if class_id == _PROFILE_GENERIC else self._general or ON_RECEIVED

    def _strategy(
        self,
        where: str,
        raw: Mapping[str, Any] | None,
        default: ReportStrategyConfig | None = None,
    ) -> ReportStrategyConfig | None:
        try:
            return report_strategy(raw) or default
        except ReportStrategyError as error:
            self._complain(f"{where}: {error}")
            return default

    def _value(self, reading: Reading, shape: _Shape) -> Any:
        try:
            value = stored_value(
                shaped(
                    reading.value,
                    reading.unit,
                    to_unit=shape.unit,
                    multiplier=shape.multiplier,
                    decimals=shape.decimals,
                ),
                self.numeric_texts,
            )
        except (UnitError, TypeError) as error:
            self._complain(f"{reading.key} ({reading.obis}) is not sent: {error}")
            return None
        if (size := json_size(value)) > (most := LARGEST_VALUE[reading.kind]):
            self._complain(
                f"{reading.key} ({reading.obis}) is not sent: {size} bytes of JSON are more than "
                f"the {most} that pass through the gateway safely among {reading.kind}"
            )
            return None
        return value

    def _complain(self, problem: str) -> None:
        if problem not in self._complained:
            self._complained |= {problem}
            self._log.error("%s: %s", self._device.device_name, problem)

    def _count(self, result: DeviceData, dropped: int) -> None:
        for name, count in (
            ("convertersMsgProcessed", 1),
            ("convertersTsProduced", result.telemetry_datapoints_count),
            ("convertersAttrProduced", result.attributes_datapoints_count),
            ("convertersMsgDropped", dropped),
        ):
            if count:
                count_message(self._log.name, name, count)


def _readings(data: Poll | Reading | Sequence[Reading]) -> Sequence[Reading]:
    if isinstance(data, Poll):
        return data.readings
    return (data,) if isinstance(data, Reading) else data
