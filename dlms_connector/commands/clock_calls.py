"""Calls about the meter's clock."""

from __future__ import annotations

from datetime import datetime

from dlms_connector.commands.clock import (
    CLOCK,
    THRESHOLD_S,
    TIME,
    Setting,
    read_clock,
    set_clock,
    time_of,
)
from dlms_connector.commands.operations import Attempt
from dlms_connector.commands.policy import require_write
from dlms_connector.commands.request import Arguments
from dlms_connector.commands.work import Context, Work
from dlms_connector.cosem import CLOCK_CLASS
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.reading import Value

_DAY_S = 86_400


def clock_reading(context: Context, arguments: Arguments) -> Work:
    """`readClock`: read the time of the clock, and its drift."""
    obis = _clock(context, arguments)

    def talk(client: Client) -> Talk[Value]:
        return (yield from read_clock(client, context.options, context.now, obis)).describe()

    return Work(talk=talk, what="reading the clock")


def clock_setting(context: Context, arguments: Arguments) -> Work:
    """`syncClock`: set the clock if it has drifted and no row is about to be captured."""
    obis = _clock(context, arguments)
    require_write(context.device, arguments.method, obis)
    device = context.device.device_name
    period_s = None
    if "capturePeriodSeconds" in arguments.values:
        period_s = arguments.integer("capturePeriodSeconds", None, least=0, most=_DAY_S)
    setting = Setting(
        threshold_s=arguments.integer("thresholdSeconds", int(THRESHOLD_S), least=0, most=_DAY_S),
        periods_s=None if period_s is None else (period_s,),
        profiles=context.device.profiles,
        last=_last(context),
        force=arguments.flag("force"),
        skip=frozenset(context.device.workarounds.skip_date_time_fields),
        obis=obis,
    )
    attempt = Attempt()

    def note() -> None:
        context.clock_sets.put(device, {"at": context.now().isoformat()})

    def talk(client: Client) -> Talk[Value]:
        return (yield from set_clock(client, context.options, context.now, setting, note, attempt))

    return Work(
        talk=talk,
        what="setting the clock",
        changes=True,
        attempt=attempt,
        writes=time_of(obis),
    )


def _clock(context: Context, arguments: Arguments) -> Obis:
    """Take `obis`; the default is the clock that is polled, else the standard's."""
    if "obis" in arguments.values:
        return arguments.obis()
    items = (*context.device.attributes, *context.device.timeseries)
    polled = [one.obis for one in items if (one.class_id, one.attribute) == (CLOCK_CLASS, TIME)]
    return CLOCK if CLOCK in polled or not polled else polled[0]


def _last(context: Context) -> datetime | None:
    """Return when the clock was last set; None if that is not known."""
    try:
        at = datetime.fromisoformat(str(context.clock_sets.get(context.device.device_name)["at"]))
    except (KeyError, ValueError):
        return None
    return at if at.tzinfo else None
