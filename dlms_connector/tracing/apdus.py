"""The names of APDUs, and which objects a request asks for (IEC 62056-5-3)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dlms_connector.tracing.fillers import UnclearError, fill_data, length

NAMES = {
    0x01: "InitiateRequest", 0x05: "ReadRequest", 0x06: "WriteRequest", 0x08: "InitiateResponse",
    0x0C: "ReadResponse", 0x0D: "WriteResponse", 0x0E: "ConfirmedServiceError",
    0x0F: "DataNotification", 0x10: "DataNotificationConfirm", 0x16: "UnconfirmedWriteRequest",
    0x18: "InformationReport",
    0x60: "AARQ", 0x61: "AARE", 0x62: "RLRQ", 0x63: "RLRE",
    0xC0: "GET-request", 0xC1: "SET-request", 0xC2: "EventNotification", 0xC3: "ACTION-request",
    0xC4: "GET-response", 0xC5: "SET-response", 0xC7: "ACTION-response",
    0xD8: "ExceptionResponse", 0xD9: "ACCESS-request", 0xDA: "ACCESS-response",
    0xDB: "general-glo-ciphering", 0xDC: "general-ded-ciphering", 0xDD: "general-ciphering",
    0xDF: "general-signing", 0xE0: "general-block-transfer",
    0x21: "glo-InitiateRequest", 0x28: "glo-InitiateResponse", 0x25: "glo-ReadRequest",
    0x26: "glo-WriteRequest", 0x2C: "glo-ReadResponse", 0x2D: "glo-WriteResponse",
    0x2E: "glo-ConfirmedServiceError", 0x41: "ded-InitiateRequest", 0x48: "ded-InitiateResponse",
    0x45: "ded-ReadRequest", 0x46: "ded-WriteRequest", 0x4C: "ded-ReadResponse",
    0x4D: "ded-WriteResponse",
    0xC8: "glo-GET-request", 0xC9: "glo-SET-request", 0xCA: "glo-EventNotification",
    0xCB: "glo-ACTION-request", 0xCC: "glo-GET-response", 0xCD: "glo-SET-response",
    0xCF: "glo-ACTION-response", 0xD0: "ded-GET-request", 0xD1: "ded-SET-request",
    0xD2: "ded-EventNotification", 0xD3: "ded-ACTION-request", 0xD4: "ded-GET-response",
    0xD5: "ded-SET-response", 0xD7: "ded-ACTION-response",
}  # fmt: skip
#: Ciphered APDUs without anything in clear but their security header.
CIPHERED = frozenset(
    tag for tag, name in NAMES.items() if name.startswith(("glo-", "ded-"))
)  # fmt: skip

_KINDS = {
    0xC0: {1: "normal", 2: "next block", 3: "with list"},
    0xC1: {1: "normal", 2: "first block", 3: "block", 4: "with list", 5: "first block of list"},
    0xC3: {1: "normal", 2: "next block", 3: "with list", 4: "first block", 6: "block"},
    0xC4: {1: "normal", 2: "block", 3: "with list"},
    0xC5: {1: "normal", 2: "block", 3: "last block", 5: "with list"},
    0xC7: {1: "normal", 2: "block", 3: "with list", 4: "next block"},
}
_MOST_NAMED = 4
_GET, _SET, _ACTION, _ACCESS = 0xC0, 0xC1, 0xC3, 0xD9
#: Kinds of requests that name one object, and a list of them.
_SINGLE = {_GET: (1,), _SET: (1, 2), _ACTION: (1, 4)}
_LISTS = {_GET: (3,), _SET: (4, 5), _ACTION: (3, 5)}


@dataclass(frozen=True, slots=True)
class Named:
    """What a request names: class, logical name, attribute or method, and where that ends."""

    class_id: int
    obis: bytes
    index: int
    end: int

    def __str__(self) -> str:
        a, b, c, d, e, f = self.obis
        return f"class {self.class_id} {a}-{b}:{c}.{d}.{e}*{f} {self.index}"


def objects_of(apdu: bytes) -> list[Named]:
    """Return the objects that a request names, in clear and by logical names; [] if unclear."""
    if len(apdu) < 4 or apdu[0] not in (_GET, _SET, _ACTION, _ACCESS):
        return []
    try:
        if apdu[0] == _ACCESS:
            return _accessed(apdu)
        if apdu[1] in _LISTS[apdu[0]]:
            return _listed(apdu)
        return [_named(apdu, 3)] if apdu[1] in _SINGLE[apdu[0]] else []
    except (UnclearError, IndexError):
        return []


def _named(apdu: bytes, at: int) -> Named:
    end = at + 9
    if end > len(apdu) or apdu[at]:
        raise UnclearError
    return Named(apdu[at + 1], apdu[at + 2 : at + 8], apdu[at + 8], end)


def _listed(apdu: bytes) -> list[Named]:
    count, at = length(apdu, 3)
    found = []
    for _ in range(count):
        found.append(_named(apdu, at))
        at = found[-1].end
        if apdu[0] != _ACTION:
            at = _after_selection(apdu, at)
    return _until(found, at)


def _accessed(apdu: bytes) -> list[Named]:
    size, at = length(apdu, 5)
    count, at = length(apdu, at + size)
    found = []
    for _ in range(count):
        choice = apdu[at]
        found.append(_named(apdu, at + 1))
        at = found[-1].end
        if choice == 4:
            at = fill_data(bytearray(apdu), at + 1, integers=False)
    return _until(found, at)


def _after_selection(apdu: bytes, at: int) -> int:
    return at + 1 if not apdu[at] else fill_data(bytearray(apdu), at + 2, integers=False)


def _until(found: list[Named], end: int) -> list[Named]:
    """Let the last one end where all of them do."""
    return [*found[:-1], replace(found[-1], end=end)] if found else []


def described(apdu: bytes) -> str:
    """Return the name of an APDU, and the objects of a request."""
    if not apdu:
        return "no APDU"
    tag = apdu[0]
    name = NAMES.get(tag, f"APDU with tag {tag:02X}")
    if kind := _KINDS.get(tag, {}).get(apdu[1] if len(apdu) > 1 else 0):
        name += f" {kind}"
    named = objects_of(apdu)
    if named:
        name += ": " + ", ".join(map(str, named[:_MOST_NAMED]))
        if len(named) > _MOST_NAMED:
            name += f" and {len(named) - _MOST_NAMED} more"
    return name
