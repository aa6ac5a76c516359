"""The shapes of attributes whose meaning is not clear from the data type (IEC 62056-6-2)."""

from __future__ import annotations

from collections.abc import Mapping

from dlms_connector.config import ValueFormat
from dlms_connector.cosem import MESSAGES, NAMES, TRANSPORTS, AttributeRef
from dlms_connector.interpret import shapes
from dlms_connector.interpret.context import Options, Shape
from dlms_connector.interpret.moments import unix_time
from dlms_connector.interpret.shapes import (
    by_size,
    date,
    date_time,
    each,
    fields,
    flags,
    hexadecimal,
    hidden,
    ip,
    label,
    mac,
    name,
    named,
    numbered,
    obis,
    plain,
    short_name,
    text,
    time,
    unsigned_ip,
)
from dlms_connector.protocol.data import CLOCK_STATUS

_FORMATS: Mapping[ValueFormat, Shape] = {
    "text": text,
    "hex": hexadecimal,
    "dateTime": date_time,
    "date": date,
    "time": time,
    "ip": unsigned_ip,
    "mac": mac,
    "obis": obis,
    "unixTime": unix_time,
    "raw": shapes.raw,
}

SCALER_UNIT = fields(scaler=plain, unit=shapes.unit)
#: A reference to an attribute; a capture object has further fields.
ATTRIBUTE = fields(**{"class": plain, "obis": obis, "attribute": plain})
CAPTURE_OBJECT = fields(
    **{"class": plain, "obis": obis, "attribute": plain, "dataIndex": plain, "restriction": plain}
)
SCRIPT = fields(script=obis, selector=plain)

_SEASONS = each(fields(name=label, start=date_time, week=label))
_WEEKS = each(
    fields(
        name=label, monday=plain, tuesday=plain, wednesday=plain, thursday=plain, friday=plain,
        saturday=plain, sunday=plain,
    )
)  # fmt: skip
_DAYS = each(fields(id=plain, schedule=each(fields(start=time, script=obis, selector=plain))))

_WINDOWS = each(fields(start=date_time, end=date_time))

_SCRIPTS = each(
    fields(
        id=plain,
        actions=each(
            fields(
                **{
                    "service": numbered({1: "write", 2: "execute"}),
                    "class": plain,
                    "obis": obis,
                    "index": plain,
                    "parameter": plain,
                }
            )
        ),
    )
)

_LTE_SIGNAL = {"signalQuality": plain, "signalLevel": plain, "signalToNoiseRatio": plain}

_ACCESS_RIGHTS = fields(
    attributes=each(fields(attribute=plain, mode=plain, selectors=plain)),
    methods=each(fields(method=plain, mode=plain)),
)
_OBJECT_LIST = each(
    fields(**{"class": plain, "version": plain, "obis": obis, "accessRights": _ACCESS_RIGHTS})
)

SHAPES: Mapping[tuple[int, int], Shape] = {
    **{attribute: numbered(names) for attribute, names in NAMES.items()},
    (3, 3): SCALER_UNIT,
    (4, 3): SCALER_UNIT,
    (4, 5): date_time,
    (5, 4): SCALER_UNIT,
    (5, 6): date_time,
    (5, 7): date_time,
    (6, 2): each(ATTRIBUTE),
    (6, 3): each(fields(mask=name, registers=plain)),
    (6, 4): name,
    (7, 3): each(CAPTURE_OBJECT),
    (7, 6): CAPTURE_OBJECT,
    (8, 2): date_time,
    (8, 4): flags(CLOCK_STATUS),
    (8, 5): date_time,
    (8, 6): date_time,
    (9, 2): _SCRIPTS,
    (10, 2): each(
        fields(
            index=plain, enabled=plain, script=obis, selector=plain, switchTime=time,
            validityWindow=plain, weekdays=plain, specialDays=plain, begin=date, end=date,
        )
    ),
    (11, 2): each(fields(index=plain, date=date, dayId=plain)),
    (12, 2): each(
        fields(**{"baseName": short_name, "class": plain, "version": plain, "obis": obis})
    ),
    (12, 4): obis,
    (15, 2): _OBJECT_LIST,
    (15, 3): fields(clientSap=plain, serverSap=plain),
    (15, 4): hexadecimal,
    (15, 5): fields(
        conformance=plain, maxReceivePduSize=plain, maxSendPduSize=plain, dlmsVersion=plain,
        qualityOfService=plain, cypheringInfo=hexadecimal,
    ),
    (15, 6): hexadecimal,
    (15, 7): hidden,
    (15, 9): obis,
    (17, 2): each(fields(sap=plain, logicalDeviceName=name)),
    (18, 7): each(fields(size=plain, identification=name, signature=hexadecimal)),
    (19, 7): hidden,
    (19, 8): hidden,
    (19, 9): hidden,
    (20, 2): label,
    (20, 3): _SEASONS,
    (20, 4): _WEEKS,
    (20, 5): _DAYS,
    (20, 6): label,
    (20, 7): _SEASONS,
    (20, 8): _WEEKS,
    (20, 9): _DAYS,
    (20, 10): date_time,
    (21, 3): ATTRIBUTE,
    (21, 4): each(fields(actionUp=SCRIPT, actionDown=SCRIPT)),
    (22, 2): SCRIPT,
    (22, 4): each(fields(time=time, date=date)),
    (28, 3): _WINDOWS,
    (29, 5): _WINDOWS,
    (29, 6): each(label),
    (40, 2): each(CAPTURE_OBJECT),
    (40, 3): fields(
        transport=numbered(TRANSPORTS),
        destination=label,
        message=numbered(MESSAGES),
    ),
    (40, 4): _WINDOWS,
    (40, 7): fields(minimum=plain, exponent=plain, maximum=plain),
    (40, 8): obis,
    (40, 13): date_time,
    (41, 3): obis,
    (42, 2): obis,
    (42, 3): unsigned_ip,
    (42, 4): each(unsigned_ip),
    (42, 7): unsigned_ip,
    (42, 6): unsigned_ip,
    (42, 9): unsigned_ip,
    (42, 10): unsigned_ip,
    (43, 2): mac,
    (44, 2): obis,
    (44, 5): hidden,
    (45, 2): text,
    (45, 3): hidden,
    (46, 3): text,
    (46, 4): hidden,
    (46, 5): text,
    (46, 6): text,
    (47, 2): text,
    (47, 6): fields(
        cellId=plain, locationId=plain, signalQuality=plain, ber=plain, mcc=plain, mnc=plain,
        channelNumber=plain,
    ),
    (47, 7): each(fields(cellId=plain, signalQuality=plain)),
    (47, 8): date_time,
    (48, 2): obis,
    (48, 4): each(ip),
    (48, 5): each(ip),
    (48, 6): each(ip),
    (48, 7): ip,
    (48, 8): ip,
    (61, 4): SCALER_UNIT,
    (62, 2): hexadecimal,
    (62, 3): each(CAPTURE_OBJECT),
    (62, 5): hexadecimal,
    (64, 4): hexadecimal,
    (64, 5): hexadecimal,
    (71, 2): ATTRIBUTE,
    (71, 8): fields(id=plain, activationTime=date_time, duration=plain),
    (71, 11): fields(overThreshold=SCRIPT, underThreshold=SCRIPT),
    (72, 2): obis,
    (72, 3): each(fields(dataInformationBlock=hexadecimal, valueInformationBlock=hexadecimal)),
    (100, 6): hidden,
    (100, 7): hidden,
    (151, 2): by_size(
        # Version 0 of the class, and version 1.
        fields(t3402=plain, t3412=plain, **_LTE_SIGNAL),
        fields(
            t3402=plain, t3412=plain, t3412Ext2=plain, t3324=plain, teDrx=plain, tPtw=plain,
            qRxLevMin=plain, qRxLevMinCe=plain, qRxLevMinCe1=plain,
        ),
        above=5,
    ),
    (151, 3): fields(**_LTE_SIGNAL, coverageEnhancement=named("level0", "level1", "level2")),
}  # fmt: skip


def shape_of(ref: AttributeRef, options: Options) -> Shape:
    """Return the shape of an attribute: from the configuration, the class or the data type.

    A hidden attribute stays hidden with any configuration.
    """
    known = SHAPES.get((ref.class_id, ref.attribute), plain)
    if options.format is not None and known is not hidden:
        return _FORMATS[options.format]
    if ref.attribute == 1:
        return obis
    return known
