"""The clock object (class 8): it runs, and can be set and shifted."""

from __future__ import annotations

from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import (
    INT8,
    INT16,
    NOTHING,
    Data,
    boolean,
    enum,
    i8,
    octets,
    u8,
)
from dlms_connector.simulator.objects import moments
from dlms_connector.simulator.objects.cosem_object import (
    SCOPE_VIOLATED,
    TYPE_UNMATCHED,
    AccessError,
    CosemObject,
    Method,
)
from dlms_connector.simulator.objects.view import MeterView

NAME = Obis.parse("0-0:1.0.0").octets
_QUARTER, _MINUTE = 900, 60
_YEAR_2100 = 4_102_444_800.0
#: Event code: the clock was set.
_CLOCK_SET = 4
_LAST_SUNDAYS = (
    bytes.fromhex("FFFF03FE0702000000003C00"),
    bytes.fromhex("FFFF0AFE0703000000003C00"),
)


def _time(meter: MeterView) -> Data:
    return moments.write(meter, meter.clock())


def _zone(meter: MeterView) -> Data:
    return Data(INT16, moments.deviation(meter))


def _set(meter: MeterView, value: Data) -> None:
    at = moments.read(meter, value)
    if at is None or not 0 <= at < _YEAR_2100:
        raise AccessError(SCOPE_VIOLATED)
    meter.clock_shift = at - meter.true_time()
    meter.note(_CLOCK_SET)


def _adjust_to(step: int) -> Method:
    def adjust(meter: MeterView, argument: Data) -> Data:
        clock = meter.clock()
        meter.clock_shift += round(clock / step) * step - clock
        return NOTHING

    return adjust


def _shift(meter: MeterView, argument: Data) -> Data:
    if argument.tag not in (INT16, INT8):
        raise AccessError(TYPE_UNMATCHED)
    if not -900 <= argument.value <= 900:
        raise AccessError(SCOPE_VIOLATED)
    meter.clock_shift += argument.value
    return NOTHING


def make_clock() -> CosemObject:
    """Make the clock."""
    return CosemObject(
        8,
        NAME,
        {
            2: _time,
            3: _zone,
            4: u8(0),
            5: octets(_LAST_SUNDAYS[0]),
            6: octets(_LAST_SUNDAYS[1]),
            7: i8(60),
            8: boolean(False),
            9: enum(1),
        },
        writable={2: _set, 3: None, 5: None, 6: None, 7: None, 8: None},
        methods={1: _adjust_to(_QUARTER), 3: _adjust_to(_MINUTE), 6: _shift},
        public=True,
    )
