"""Tells a clock in the wrong time zone from a clock that runs wrongly."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

from dlms_connector.interpret.context import Options
from dlms_connector.protocol.data import DateTime

#: Daylight saving time moves clocks by one hour, in some zones by half an hour.
_STEP_S = 1800
#: A clock may be a little off besides.
_TOLERANCE_S = 120
_MOST_OFFSET = timedelta(hours=14)


def zone_error(moment: DateTime, drift_s: Decimal | float, options: Options) -> str | None:
    """Return what to do about a clock that is off by whole hours or half hours, else None.

    `moment` is what the clock shows, `drift_s` how far that is ahead with these options.
    """
    steps = round(float(drift_s) / _STEP_S)
    if not steps or abs(float(drift_s) - steps * _STEP_S) > _TOLERANCE_S:
        return None
    shown = moment.instant(options.zone, from_utc=options.from_utc)
    taken = shown.utcoffset() if shown else None
    error = timedelta(seconds=steps * _STEP_S)
    if shown is None or taken is None or abs(taken + error) > _MOST_OFFSET:
        return None
    how = f"its clock is {_hours(error)} {'ahead' if steps > 0 else 'behind'}, as in another zone"
    return f"{how}: {_advice(moment, shown, taken + error, options)}"


def _advice(moment: DateTime, shown: datetime, right: timedelta, options: Options) -> str:
    """Return what explains the error; `right` is the offset from UTC at which there is none."""
    taken = shown.utcoffset() or timedelta(0)
    if moment.deviation is None:
        if isinstance(options.zone, timezone):
            return (
                f"set dlms.timeZone to a zone by name if it changes with daylight saving time, "
                f'else to "{_offset(right)}"'
            )
        return (
            f"it may keep standard time all year: then set dlms.timeZone to the fixed offset "
            f'"{_offset(right)}", not to a zone by name'
        )
    if right == -taken:
        other = "toUtc" if options.from_utc else "fromUtc"
        return f'it gives its deviation with the other sign: set dlms.deviation to "{other}"'
    return (
        f"it says UTC{_offset(taken)} and shows the time of UTC{_offset(right)}: correct its time "
        "zone or its daylight saving time in the meter; profile rows may have wrong times too"
    )


def _hours(error: timedelta) -> str:
    return f"{abs(error) / timedelta(hours=1):g} h"


def _offset(offset: timedelta) -> str:
    sign, minutes = "-" if offset < timedelta(0) else "+", abs(offset) // timedelta(minutes=1)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"
