"""The keys of meters' values that dashboards and alarm rules show.

Names come from OBIS codes, as those of presets and `discover` do, so that they agree.
"""

from __future__ import annotations

from dlms_connector.config import automatic_key
from dlms_connector.cosem import name_of, profile_name
from dlms_connector.history import NAME_SUFFIX
from dlms_connector.obis import Obis
from dlms_connector.platform_keys import Key, Place

_THREE_PHASES = "a meter with three phases"
_LOAD, _EVENTS = Obis.parse("1-0:99.1.0"), Obis.parse("0-0:99.98.0")


def _value(
    obis: str, label: str, unit: str, decimals: int, needs: str = "", place: Place = "timeseries"
) -> Key:
    name = name_of(Obis.parse(obis))
    assert name is not None, obis
    return Key(name, label, unit, decimals, place, needs)


ACTIVE_POWER = _value("1-0:1.7.0", "Active power", "W", 0)
ACTIVE_ENERGY = _value("1-0:1.8.0", "Active energy", "kWh", 1)
ENERGY_EXPORT = _value("1-0:2.8.0", "Energy exported", "kWh", 1, "a meter that counts export")
VOLTAGES = (
    _value("1-0:32.7.0", "Voltage L1", "V", 1),
    _value("1-0:52.7.0", "Voltage L2", "V", 1, _THREE_PHASES),
    _value("1-0:72.7.0", "Voltage L3", "V", 1, _THREE_PHASES),
)
CURRENTS = (
    _value("1-0:31.7.0", "Current L1", "A", 2),
    _value("1-0:51.7.0", "Current L2", "A", 2, _THREE_PHASES),
    _value("1-0:71.7.0", "Current L3", "A", 2, _THREE_PHASES),
)
FREQUENCY = _value("1-0:14.7.0", "Frequency", "Hz", 2)

RELAY = _value("0-0:96.3.10", "Relay closed", "", 0, "`relay_state` among the meter's `timeseries`")
SERIAL_NUMBER = _value(
    "0-0:96.1.0", "Serial number", "", 0, "`serialNumber` among `attributes`", "client"
)
FIRMWARE = _value(
    "1-0:0.2.0", "Firmware", "", 0, "`firmwareVersion` among the meter's `attributes`", "client"
)

#: In the unit that the meter or the configured column has: mostly Wh.
LOAD_ENERGY = Key(
    automatic_key(profile_name(_LOAD), Obis.parse("1-0:1.8.0")),
    "Energy per interval",
    needs="the load profile in `profiles`",
)
_EVENT = automatic_key(profile_name(_EVENTS), Obis.parse("0-0:96.11.0"))
EVENT = Key(_EVENT, "Code", needs="the event log in `profiles`")
EVENT_NAME = Key(_EVENT + NAME_SUFFIX, "Event", needs="the event log in `profiles`, with `events`")
