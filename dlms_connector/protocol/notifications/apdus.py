"""DataNotification, EventNotification and InformationReport in clear (IEC 62056-5-3).

Some meters write the date-time of a DataNotification as COSEM data, with the tag 09 before its
length; both forms are read. Some write an object's name with tag and length exchanged (06 09 for
09 06); that is tried only where the octets make no sense as the standard has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ProtocolError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import (
    Budget,
    Cursor,
    Data,
    DateTime,
    date_time_of,
    decode_whole,
)

DATA_NOTIFICATION, CONFIRMATION = 0x0F, 0x10
EVENT_NOTIFICATION, INFORMATION_REPORT = 0xC2, 0x18

#: Values of one notification: the longest known lists have some hundred.
MOST_VALUES = 1 << 12
_DOING = "reading a notification"
#: Service class in the long-invoke-id-and-priority: the meter waits for a confirmation.
_CONFIRMED = 0x40
_OCTET_STRING, _DATE_TIME = 0x09, 0x19
_DATE_TIME_SIZE = 12
#: variable-name, the only form in which meters name a variable.
_VARIABLE_NAME = 2
_SWAPPED_NAME = re.compile(rb"\x06\x09(?=[\x00-\x0f].{4}\xff)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Notification:
    """What a meter says unasked, and the date-time that it gives.

    A DataNotification has a `body`, whose meaning is agreed elsewhere; an EventNotification names
    `attributes`; an InformationReport names `variables` by their short names. `invoke_id` are the
    four octets of the long invoke-id of a DataNotification that is to be confirmed, else empty.
    """

    moment: DateTime | None = None
    body: Data | None = None
    attributes: tuple[tuple[AttributeRef, Data], ...] = ()
    variables: tuple[tuple[int, Data], ...] = ()
    invoke_id: bytes = b""


def parse(apdu: bytes) -> Notification:
    """Read a notification in clear. Raises ProtocolError."""
    tag = apdu[0] if apdu else None
    if tag == DATA_NOTIFICATION:
        return _data_notification(apdu)
    cursor = Cursor(apdu[1:], _DOING, Budget(MOST_VALUES))
    if tag == EVENT_NOTIFICATION:
        return _event_notification(cursor)
    if tag == INFORMATION_REPORT:
        return _information_report(cursor)
    raise ProtocolError(_DOING, f"{apdu[:8].hex(' ') or 'nothing'} is none")


def confirmation(invoke_id: bytes) -> bytes:
    """Return the APDU that confirms a DataNotification, without a date-time."""
    return bytes((CONFIRMATION,)) + invoke_id + b"\x00"


def _data_notification(apdu: bytes) -> Notification:
    cursor = Cursor(apdu[1:], _DOING)
    invoke_id = cursor.take(4)
    moment = _moment(cursor)
    body = _body(cursor.take(cursor.left))
    return Notification(moment, body, invoke_id=invoke_id if invoke_id[0] & _CONFIRMED else b"")


def _body(octets: bytes) -> Data:
    try:
        return decode_whole(octets, 0, Budget(MOST_VALUES))
    except ProtocolError:
        repaired = _SWAPPED_NAME.sub(b"\x09\x06", octets)
        if repaired == octets:
            raise
        return decode_whole(repaired, 0, Budget(MOST_VALUES))


def _event_notification(cursor: Cursor) -> Notification:
    moment = _moment(cursor) if cursor.flag() else None
    ref = AttributeRef(cursor.number(2), Obis(cursor.take(6)), cursor.octet())
    data = cursor.data()
    cursor.end()
    return Notification(moment, attributes=((ref, data),))


def _information_report(cursor: Cursor) -> Notification:
    moment = date_time_of(cursor.string()) if cursor.flag() else None
    names = []
    for _ in range(cursor.count(least=3)):
        if (choice := cursor.octet()) != _VARIABLE_NAME:
            raise cursor.wrong(f"a variable is named in the form {choice}, not by its short name")
        names.append(cursor.number(2))
    if cursor.count(least=1) != len(names):
        raise cursor.wrong(f"{len(names)} variables with another number of values")
    values = [cursor.data() for _ in names]
    cursor.end()
    return Notification(moment, variables=tuple(zip(names, values, strict=True)))


def _moment(cursor: Cursor) -> DateTime | None:
    """Take a date-time: a length and so many octets, or COSEM data with its tag."""
    first = cursor.octet()
    if first == _DATE_TIME:
        first = _DATE_TIME_SIZE
    elif first == _OCTET_STRING:
        first = cursor.octet()
    if first not in (0, _DATE_TIME_SIZE):
        raise cursor.wrong(f"a date-time of {first} octets")
    if not first:
        return None
    moment = DateTime.parse(cursor.take(_DATE_TIME_SIZE))
    return None if moment.unspecified else moment
