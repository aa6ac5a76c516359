"""Readable names of objects, from the value groups of their OBIS codes (IEC 62056-6-1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from dlms_connector.obis import Obis

#: Value group C of electricity, summed over the phases: name as energy, name as power.
_QUANTITIES = {
    1: ("active_energy", "active_power"),
    2: ("active_energy_export", "active_power_export"),
    3: ("reactive_energy", "reactive_power"),
    4: ("reactive_energy_export", "reactive_power_export"),
    5: ("reactive_energy_q1", "reactive_power_q1"),
    6: ("reactive_energy_q2", "reactive_power_q2"),
    7: ("reactive_energy_q3", "reactive_power_q3"),
    8: ("reactive_energy_q4", "reactive_power_q4"),
    9: ("apparent_energy", "apparent_power"),
    10: ("apparent_energy_export", "apparent_power_export"),
    11: ("current_time", "current"),
    12: ("voltage_time", "voltage"),
    13: ("power_factor_time", "power_factor"),
    14: ("frequency_time", "frequency"),
    15: ("active_energy_absolute", "active_power_absolute"),
    16: ("active_energy_net", "active_power_net"),
    17: ("active_energy_q1", "active_power_q1"),
    18: ("active_energy_q2", "active_power_q2"),
    19: ("active_energy_q3", "active_power_q3"),
    20: ("active_energy_q4", "active_power_q4"),
}
#: Value group C beyond the phases: 21 to 80 repeat the twenty above for L1, L2 and L3.
_OTHERS = {
    82: ("pulses_total", "pulses"),
    83: ("losses_energy", "losses"),
    84: ("power_factor_export_time", "power_factor_export"),
    88: ("ampere_squared_hours", "ampere_squared"),
    89: ("volt_squared_hours", "volt_squared"),
    90: ("current_sum_time", "current_sum"),
    91: ("current_n_time", "current_n"),
    92: ("voltage_n_time", "voltage_n"),
}
_PER_PHASE = 20
_ANGLES = 81
#: Value group D, time integrals: they turn a power into an energy.
_INTEGRALS = {8: "", 9: "_period", 10: "_period2", 29: "_interval", 30: "_interval2"}
#: Value group D, other processing. Sags and swells are the counters under and over thresholds.
_PROCESSINGS = {
    7: "",
    2: "_max_cumulative",
    3: "_min",
    4: "_demand",
    5: "_demand_last",
    6: "_max",
    12: "_max2_cumulative",
    13: "_min2",
    14: "_demand2",
    15: "_demand2_last",
    16: "_max2",
    23: "_min3",
    24: "_average",
    25: "_average_last",
    26: "_max3",
    27: "_average5",
    28: "_average6",
    31: "_under_threshold",
    32: "_under_count",
    33: "_under_duration",
    34: "_under_magnitude",
    35: "_over_threshold",
    36: "_over_count",
    37: "_over_duration",
    38: "_over_magnitude",
}
_INSTANTANEOUS = 7
_MOST_TARIFFS = 63
#: Value group E of harmonics (C of voltage, current or power, D=7).
_MOST_HARMONICS, _THD = 120, 124
_WITH_HARMONICS = (1, 11, 12, 15)
#: The two digits of E of an angle: the measured quantity, and its reference.
_CORNERS = {0: "u1", 1: "u2", 2: "u3", 4: "i1", 5: "i2", 6: "i3", 7: "in"}

#: Objects that do not depend on channel B, by A, C, D and E.
_NAMED = {
    (0, 1, 0, 0): "clock",
    (0, 42, 0, 0): "logicalDeviceName",
    (0, 96, 1, 0): "serialNumber",
    (1, 0, 0, 0): "serialNumber",
    (1, 0, 2, 0): "firmwareVersion",
    (1, 0, 2, 8): "firmwareSignature",
    (0, 0, 2, 0): "firmwareVersion",
    (0, 0, 2, 8): "firmwareSignature",
    (1, 0, 4, 2): "ct_ratio",
    (1, 0, 4, 3): "vt_ratio",
    (0, 0, 1, 0): "billing_resets",
    (1, 0, 1, 0): "billing_resets",
    (0, 17, 0, 0): "limiter",
    (0, 96, 3, 10): "relay_state",
    (0, 96, 5, 0): "operating_status",
    (0, 96, 6, 0): "battery_use_time",
    (0, 96, 6, 1): "battery_charge",
    (0, 96, 6, 3): "battery_voltage",
    (0, 96, 6, 6): "battery_remaining",
    (0, 96, 7, 0): "power_failures_all_phases",
    (0, 96, 7, 9): "long_power_failures",
    (0, 96, 7, 21): "power_failures",
    (0, 96, 8, 0): "operating_time",
    (0, 96, 9, 0): "temperature",
    (0, 96, 13, 0): "message",
    (0, 96, 14, 0): "active_tariff",
    (0, 97, 97, 0): "error_register",
    (0, 97, 98, 0): "alarm_register",
    (6, 1, 0, 0): "heat_energy",
    (7, 3, 0, 0): "gas_volume",
    (8, 1, 0, 0): "water_volume",
    (9, 1, 0, 0): "hot_water_volume",
}
_DEVICE_IDS = (0, 96, 1)
_MBUS_VALUE = (24, 2)

#: Value groups A, C and D of the status of a profile's row, and of the code of an event.
_STATUSES, _EVENT_CODES = (0, 96, 10), (0, 96, 11)
#: The name of the column with the code of an event.
EVENT = "event"
#: Columns of profiles, by A, C, D and E: the time stamp of a billing period.
_SNAPSHOTS = {(0, 0, 1, 2): "billing_time", (1, 0, 1, 2): "billing_time"}
_ELECTRICITY, _CURRENT = 1, 255
_VALUE, _CAPTURE_TIME = 2, 5

#: Profiles by C and D (value group E numbers them where there are several).
_PROFILES = {
    (99, 1): "load",
    (99, 2): "load2",
    (99, 3): "load_test",
    (98, 1): "billing",
    (98, 2): "billing2",
    (99, 97): "power_failure",
    (99, 98): "event",
    (99, 13): "network",
    (99, 14): "quality",
    (94, 91): "instantaneous",
}


def name_of(obis: Obis) -> str | None:
    """Return the key of an object's value; None if the meaning of its code is not known.

    Stored values of earlier billing periods (F other than 255) have none.
    """
    a, b, c, d, e, f = obis.octets
    if f != 255:
        return None
    if named := _NAMED.get((a, c, d, e)):
        return named
    if (a, c, d) == _DEVICE_IDS:
        return f"deviceId{e + 1}" if e < 10 else None
    if a == 0 and (c, d) == _MBUS_VALUE:
        return f"mbus{b}_value" + (f"_{e}" if e > 1 else "")
    return _electricity(c, d, e) if a == 1 else None


def profile_name(obis: Obis) -> str:
    """Return the key of a profile."""
    _, _, c, d, e, _ = obis.octets
    name = _PROFILES.get((c, d))
    if name is None:
        return "profile_" + plain_name(obis).removeprefix("obis_")
    return name if e == 0 else f"{name}_{e}"


def column_name(obis: Obis, attribute: int = 2, part: int = 0) -> str:
    """Return the key of a column of a profile, without the profile's prefix.

    `event` is the code of an event log. Attributes beside the value, and parts of an attribute,
    have their number at the end.
    """
    a, _, c, d, e, _ = obis.octets
    if is_profile_status(obis):
        name = "status"
    elif is_event_code(obis):
        name = EVENT
    else:
        name = _SNAPSHOTS.get((a, c, d, e)) or name_of(obis) or plain_name(obis)
    if attribute == _CAPTURE_TIME and a == _ELECTRICITY:
        name += "_time"
    elif attribute != _VALUE:
        name += f"_attribute{attribute}"
    return name + (f"_part{part}" if part else "")


def is_event_code(obis: Obis) -> bool:
    """Whether an object holds the code of the last event of a log (IEC 62056-6-1, 0-b:96.11.e)."""
    a, _, c, d, _, f = obis.octets
    return (a, c, d) == _EVENT_CODES and f == _CURRENT


def is_profile_status(obis: Obis) -> bool:
    """Whether an object holds the status of a profile's row (IEC 62056-6-1, 0-b:96.10.e)."""
    a, _, c, d, _, f = obis.octets
    return (a, c, d) == _STATUSES and f == _CURRENT


def plain_name(obis: Obis) -> str:
    """Return a key that consists of the OBIS code only."""
    octets = obis.octets[:5] if obis.octets[5] == 255 else obis.octets
    return "obis_" + "_".join(str(octet) for octet in octets)


def free_name(name: str, obis: Obis, taken: Collection[str]) -> str:
    """Return the name; if it is taken, the name with the channel or with the OBIS code."""
    candidates: Iterable[str] = (
        name,
        f"{name}_ch{obis.octets[1]}",
        f"{name}_{plain_name(obis).removeprefix('obis_')}",
    )
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _electricity(c: int, d: int, e: int) -> str | None:
    if c == _ANGLES and d == _INSTANTANEOUS:
        return _angle(e)
    phase, quantity = divmod(c - 1, _PER_PHASE)
    names = _QUANTITIES.get(quantity + 1) if 0 <= phase <= 3 and c else _OTHERS.get(c)
    if names is None:
        return None
    on = f"_l{phase}" if 1 <= phase <= 3 and c <= 4 * _PER_PHASE else ""
    if d in _INTEGRALS:
        if e > _MOST_TARIFFS:
            return None
        return f"{names[0]}{on}{_INTEGRALS[d]}" + (f"_t{e}" if e else "")
    if d not in _PROCESSINGS:
        return None
    name = f"{names[1]}{on}{_PROCESSINGS[d]}"
    if e == 0:
        return name
    if d == _INSTANTANEOUS and quantity + 1 in _WITH_HARMONICS:
        return _harmonic(name, e)
    return f"{name}_t{e}" if e <= _MOST_TARIFFS else None


def _harmonic(name: str, e: int) -> str | None:
    if e == _THD:
        return f"{name}_thd"
    return f"{name}_h{e}" if e <= _MOST_HARMONICS else None


def _angle(e: int) -> str | None:
    of, against = (_CORNERS.get(digit) for digit in divmod(e, 10))
    return f"phase_angle_{of}_{against}" if of and against else None
