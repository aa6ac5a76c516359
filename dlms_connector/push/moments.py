"""The instant of a push: what the meter says, if it can be true, else when it arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlms_connector.config import Device
from dlms_connector.interpret import is_date_time, options_of
from dlms_connector.protocol.data import Data, DataType, DateTime, date_time_of
from dlms_connector.protocol.notifications import Notification
from dlms_connector.push.mapping import Found, elements_of

#: A push is not older: a meter keeps what it could not send for some weeks at most.
_OLDEST_MS = 100 * 86_400_000
#: A clock may be wrong by that much.
_AHEAD_MS = 86_400_000
#: Value groups C to E of a clock.
_CLOCK = b"\x01\x00\x00"
_TIME = 2
_DATE_TIMES = (DataType.OCTET_STRING, DataType.DATE_TIME)


def moment_of_push(
    notification: Notification, found: Sequence[Found], device: Device, now_ms: int
) -> tuple[int, bool]:
    """Return the Unix time of a push in ms, and false if the meter's own cannot be true.

    It is the date-time of the APDU, else that of a clock among its values, else that at the
    beginning of the body. One without a deviation needs `dlms.timeZone` to be an instant.
    """
    for moment in _moments(notification, found):
        options = options_of(device.dlms)
        instant = moment.instant(options.zone, from_utc=options.from_utc)
        if instant is None or instant.tzinfo is None:
            continue
        ts_ms = round(instant.timestamp() * 1000)
        if now_ms - _OLDEST_MS <= ts_ms <= now_ms + _AHEAD_MS:
            return ts_ms, True
        return now_ms, False
    return now_ms, True


def _moments(notification: Notification, found: Sequence[Found]) -> Iterator[DateTime]:
    if notification.moment is not None:
        yield notification.moment
    for one in found:
        octets = one.place.obis.octets
        if octets[0] == 0 and octets[2:5] == _CLOCK and one.place.attribute == _TIME:
            yield from _in(one.data)
    if notification.body is not None:
        for element in elements_of(notification.body)[:1]:
            yield from _in(element)


def _in(data: Data) -> Iterator[DateTime]:
    if data.type in _DATE_TIMES and len(data.value) == 12 and is_date_time(data.value):
        moment = date_time_of(data.value)
        if moment is not None:
            yield moment
