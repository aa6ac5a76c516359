"""How single values of the configuration are read.

Readers raise ValueError with a sentence that completes "PATH: …".
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from datetime import timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, WithJsonSchema

from dlms_connector.config.formula import evaluate
from dlms_connector.config.shown import shown
from dlms_connector.cosem import class_id, type_tag
from dlms_connector.obis import Obis

_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)
_HOST_AND_PORT = re.compile(r"[^:]+:\d*|\[.*\]:\d+")
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_EVERY_OCTET = bytes(range(256))
_SOME_SERIAL_NUMBER = 12_345_678
#: One year; a longer period is taken for a typing error.
LONGEST_PERIOD_MS = 366 * 24 * 3_600_000
#: Maximum characters of a name or key: ThingsBoard stores no more. The gateway sends the key
#: with every value, so a key of 64 KiB would block the gateway for ever.
LONGEST_NAME = 255


def _obis(value: Any) -> Obis:
    if isinstance(value, Obis):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not an OBIS code such as 1-0:1.8.0")
    return Obis.parse(value.strip())


def _hex(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise ValueError(f"{shown(value)} is not hexadecimal") from None


def _time_zone(value: Any) -> str:
    """Take a zone by its name (`Europe/Berlin`), or its offset (`+01:00`)."""
    if isinstance(value, str):
        try:
            read_zone(value)
            return value
        except (ValueError, LookupError, OSError):
            pass
    raise ValueError(f"{shown(value)} is no time zone known here, such as Europe/Berlin or +01:00")


def read_zone(text: str) -> tzinfo:
    """Return a time zone; raises ValueError or LookupError if there is none of that name."""
    if match := _OFFSET.fullmatch(text):
        sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-offset if sign == "-" else offset)
    return ZoneInfo(text)


def _encoding(value: Any) -> str:
    """Take the name of a text encoding that can decode whatever a meter sends."""
    if isinstance(value, str):
        try:
            _EVERY_OCTET.decode(value, "replace").encode("utf-8")
            return value
        except (LookupError, ValueError, OverflowError):
            pass  # such as idna, which knows no replacement
    raise ValueError(f"{shown(value)} is no text encoding such as cp1251")


def _whole(value: Any) -> Any:
    """Take a whole number, also written as text (as in a CSV); refuse booleans."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"expected a whole number, got {shown(value)}")
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        return int(value)
    if not isinstance(value, int | float):
        raise ValueError(f"expected a whole number, got {shown(value)}")
    return int(value)


def _base_name(value: Any) -> Any:
    """Take a short name: a whole number, or hexadecimal text such as `0x2BC0`."""
    if isinstance(value, str) and re.fullmatch(r"\s*0[xX][0-9A-Fa-f]{1,4}\s*", value):
        return int(value, 16)
    return _whole(value)


def _name(value: Any) -> Any:
    """Take a name: a text that is printable and not blank."""
    if isinstance(value, str) and value and not (value.strip() and value.isprintable()):
        raise ValueError(f"{shown(value)} is not a name: blank, or not printable")
    return value


def _host(value: Any) -> Any:
    """Take a host name or an address; refuse other parts of a URL, such as the port."""
    if not isinstance(value, str):
        return value
    host = value.strip()
    if _HOST_AND_PORT.fullmatch(host):
        raise ValueError(f"{shown(value)} has the port in it: that is a key of its own, `port`")
    if "/" in host or any(each.isspace() for each in host):
        raise ValueError(f"{shown(value)} is not a name or address such as 192.168.1.127")
    return host


def _truth(value: Any) -> Any:
    truths = {"true": True, "false": False}
    if isinstance(value, str):
        value = truths.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {shown(value)}")
    return value


def _decimal(value: Any) -> Decimal:
    """Take a number exactly as it is written."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = Decimal(str(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"expected a number, got {shown(value)}") from None
    if not number.is_finite() or not number:
        raise ValueError(f"expected a number other than 0, got {shown(value)}")
    return number


def duration(text: str) -> timedelta:
    """Read an ISO 8601 duration in weeks, days, hours, minutes and seconds; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{shown(text)} is not a duration such as P7D or PT12H")
    try:
        return timedelta(**{unit: int(count) for unit, count in match.groupdict("0").items()})
    except OverflowError:
        raise ValueError(f"{shown(text)} is too long a duration") from None


def _duration(value: Any) -> str:
    if not isinstance(value, str) or not duration(value):
        raise ValueError(f"{shown(value)} is not a duration such as P7D or PT12H")
    return value


def _network(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise ValueError(f"{shown(value)} is not a network such as 10.0.0.0/8") from None


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"{shown(value)} is not an address such as 10.0.0.5") from None


def _line_text(value: Any) -> str:
    """Take a short text, also where it was written as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or not value.strip().isprintable():
        raise ValueError(f"{shown(value)} is not a text of one line")
    return str(value.strip())


def _sign_on_address(value: Any) -> str:
    """Take a device address (IEC 62056-21 clause 6.3.1), also where it was written as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not re.fullmatch(r"[0-9A-Za-z ]{0,32}", text):
        raise ValueError(f"{shown(value)} is not up to 32 letters, digits and spaces")
    return text


def _finite(value: Any) -> Any:
    """Refuse NaN and infinities, which JSON does not have, at any depth."""
    match value:
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be written")
        case dict():
            return {key: _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
    return value


def _one_or_list(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return _truth(value)
        if isinstance(value, bool):
            return value
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected true, false or a list of OBIS codes, got {shown(value)}")
        return tuple(reader(inner) for inner in value)

    return read


def _type_name(value: Any) -> str:
    """Take the name of a COSEM data type."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not the name of a COSEM type such as long-unsigned")
    type_tag(value)
    return value


def _formula(value: Any) -> str:
    """Take a formula that computes an address from a serial number."""
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a formula such as 'SN % 10000 + 1000'")
    evaluate(value, _SOME_SERIAL_NUMBER)
    return value


def _keep_open(value: Any) -> Any:
    text = value.strip().lower() if isinstance(value, str) else value
    known = {"auto": "auto", "true": True, "false": False, True: True, False: False}
    if not isinstance(text, str | bool) or text not in known:
        raise ValueError(f'{shown(value)} is not one of "auto", true, false')
    return known[text]


_OBIS_SCHEMA = {
    "type": "string",
    "pattern": r"^\s*(\d+-\d+:\d+\.\d+\.\d+([*.]\d+)?|(\d+\.){5}\d+)\s*$",
}

Name = Annotated[str, Field(max_length=LONGEST_NAME), BeforeValidator(_name)]
Host = Annotated[str, BeforeValidator(_host)]
Whole = Annotated[int, BeforeValidator(_whole)]
# Choices among numbers; in a CSV they are written as text.
Baudrate = Annotated[Literal[300, 600, 1200, 2400, 4800, 9600, 19200], BeforeValidator(_whole)]
DataBits = Annotated[Literal[7, 8], BeforeValidator(_whole)]
StopBits = Annotated[Literal[1, 2], BeforeValidator(_whole)]
AddressSize = Annotated[Literal[1, 2, 4], BeforeValidator(_whole)]
SecuritySuite = Annotated[Literal[0, 1, 2], BeforeValidator(_whole)]
Truth = Annotated[bool, BeforeValidator(_truth)]
ObisCode = Annotated[
    InstanceOf[Obis],
    BeforeValidator(_obis),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema(_OBIS_SCHEMA),
]
BaseName = Annotated[
    int,
    BeforeValidator(_base_name),
    Field(ge=0, le=0xFFFF),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 0xFFFF},
                {"type": "string", "pattern": "^\\s*(0[xX][0-9A-Fa-f]{1,4}|\\d+)\\s*$"},
            ]
        }
    ),
]
ClassId = Annotated[
    int,
    BeforeValidator(class_id),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 65535}]}
    ),
]
TypeName = Annotated[str, BeforeValidator(_type_name), WithJsonSchema({"type": "string"})]
AttributeIndex = Annotated[Whole, Field(ge=1, le=127)]
HexBytes = Annotated[
    bytes,
    BeforeValidator(_hex),
    PlainSerializer(bytes.hex, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^([0-9A-Fa-f]{2}\\s*)*$"}),
]
Multiplier = Annotated[
    Decimal, BeforeValidator(_decimal), WithJsonSchema({"type": ["number", "string"]})
]
Duration = Annotated[
    str, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": "^P"})
]
Formula = Annotated[str, BeforeValidator(_formula), WithJsonSchema({"type": "string"})]
TimeZone = Annotated[str, BeforeValidator(_time_zone), WithJsonSchema({"type": "string"})]
Encoding = Annotated[str, BeforeValidator(_encoding), WithJsonSchema({"type": "string"})]
Network = Annotated[str, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
Address = Annotated[str, BeforeValidator(_address), WithJsonSchema({"type": "string"})]
LineText = Annotated[
    str, BeforeValidator(_line_text), WithJsonSchema({"type": ["string", "integer"]})
]
SignOnAddress = Annotated[
    str,
    BeforeValidator(_sign_on_address),
    WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9A-Za-z ]{0,32}$"}),
]
JsonValue = Annotated[Any, BeforeValidator(_finite)]
KeepOpen = Annotated[
    Literal["auto"] | bool,
    BeforeValidator(_keep_open),
    WithJsonSchema({"enum": ["auto", True, False]}),
]
Writable = Annotated[
    bool | tuple[ObisCode, ...],
    BeforeValidator(_one_or_list(_obis)),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "array", "items": _OBIS_SCHEMA}]}),
]
