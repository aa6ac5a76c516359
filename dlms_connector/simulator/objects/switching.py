"""Relay, limiter, register monitor and the scripts that drive them (classes 70, 71, 21, 9, 22)."""

from __future__ import annotations

from dlms_connector.simulator.encoding.data import (
    NOTHING,
    UINT16,
    Data,
    array,
    boolean,
    enum,
    i8,
    octets,
    structure,
    u16,
    u32,
)
from dlms_connector.simulator.objects.cosem_object import (
    DENIED,
    OTHER_REASON,
    TYPE_UNMATCHED,
    AccessError,
    CosemObject,
    Source,
    logical_name,
)
from dlms_connector.simulator.objects.view import MeterView

DISCONNECTOR = logical_name("0-0:96.3.10")
LIMITER = logical_name("0-0:17.0.0")
_SCRIPTS = logical_name("0-0:10.0.106")
_TARIFF_SCRIPTS = logical_name("0-0:10.0.100")
DISCONNECTED, CONNECTED, READY = 0, 1, 2
#: Control modes in which remote_reconnect needs no manual reconnection (Blue Book, class 70).
_REMOTE_MODES = (2, 4)
_EVENT_DISCONNECTED, _EVENT_CONNECTED = 62, 63


def control_mode(meter: MeterView) -> int:
    """Return the relay's control mode."""
    return int(meter.value(70, DISCONNECTOR, 4).value)


def disconnect(meter: MeterView, argument: Data = NOTHING) -> Data:
    """Open the relay, as remote_disconnect does."""
    if control_mode(meter) == 0:
        raise AccessError(DENIED)
    meter.relay_state = DISCONNECTED
    meter.supply.cut(meter.measuring())
    meter.note(_EVENT_DISCONNECTED)
    return NOTHING


def reconnect(meter: MeterView, argument: Data = NOTHING) -> Data:
    """Close the relay, as remote_reconnect does; some modes also need a manual reconnection."""
    mode = control_mode(meter)
    if mode == 0:
        raise AccessError(DENIED)
    if meter.relay_state == CONNECTED:
        return NOTHING
    meter.relay_state = READY
    if mode in _REMOTE_MODES:
        press_button(meter)
    return NOTHING


def press_button(meter: MeterView) -> None:
    """Close the relay manually if the meter is ready for reconnection."""
    if meter.relay_state == READY:
        meter.relay_state = CONNECTED
        meter.supply.restore(meter.measuring())
        meter.note(_EVENT_CONNECTED)


def _output(meter: MeterView) -> Data:
    return boolean(meter.relay_state == CONNECTED)


def _state(meter: MeterView) -> Data:
    return enum(meter.relay_state)


def _execute(meter: MeterView, argument: Data) -> Data:
    if argument.tag != UINT16:
        raise AccessError(TYPE_UNMATCHED)
    scripts = {1: disconnect, 2: reconnect}
    if argument.value not in scripts:
        raise AccessError(OTHER_REASON)
    return scripts[argument.value](meter)


def _script(number: int, method: int) -> Data:
    action = structure(enum(2), u16(70), octets(DISCONNECTOR), i8(method), i8(0))
    return structure(u16(number), array(action))


def _tariff_script(number: int) -> Data:
    active = octets(logical_name("0-0:96.14.0"))
    return structure(u16(number), array(structure(enum(1), u16(1), active, i8(2), i8(number))))


def _monitored() -> Data:
    return structure(u16(3), octets(logical_name("1-0:1.7.0")), i8(2))


def _call(selector: int) -> Data:
    return structure(octets(_SCRIPTS), u16(selector))


def _active_threshold(meter: MeterView) -> Data:
    return meter.value(71, LIMITER, 4)


def make_switching() -> list[CosemObject]:
    """Make the relay and the objects that control it."""
    never = octets(bytes.fromhex("FFFFFFFFFFFFFFFFFF800000"))
    limiter: dict[int, Source] = {
        2: _monitored(),
        3: _active_threshold,
        4: u32(9200),
        5: u32(4600),
        6: u32(15),
        7: u32(15),
        8: structure(u16(0), never, u32(0)),
        9: array(),
        10: boolean(False),
        11: structure(_call(1), _call(2)),
    }
    monitor = {2: array(u32(10_000)), 3: _monitored(), 4: array(structure(_call(0), _call(0)))}
    schedule = {
        2: structure(octets(_SCRIPTS), u16(1)),
        3: enum(1),
        4: array(structure(octets(bytes.fromhex("16000000")), octets(bytes.fromhex("FFFFFFFFFF")))),
    }
    return [
        CosemObject(
            70,
            DISCONNECTOR,
            {2: _output, 3: _state, 4: enum(2)},
            writable={4: None},
            methods={1: disconnect, 2: reconnect},
        ),
        CosemObject(71, LIMITER, limiter, writable=dict.fromkeys((2, 4, 5, 6, 7, 8, 9, 11))),
        CosemObject(9, _SCRIPTS, {2: array(_script(1, 1), _script(2, 2))}, methods={1: _execute}),
        CosemObject(
            9,
            _TARIFF_SCRIPTS,
            {2: array(_tariff_script(1), _tariff_script(2))},
            methods={1: lambda meter, argument: NOTHING},
        ),
        CosemObject(21, logical_name("0-0:16.1.0"), monitor, writable={2: None, 3: None, 4: None}),
        CosemObject(22, logical_name("0-0:15.0.0"), schedule, writable={2: None, 4: None}),
    ]
