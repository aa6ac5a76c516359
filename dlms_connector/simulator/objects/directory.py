"""Objects that describe the meter: names, association, security (classes 1, 15, 17, 64)."""

from __future__ import annotations

from dlms_connector.simulator.encoding import acse
from dlms_connector.simulator.encoding.data import (
    BIT_STRING,
    NOTHING,
    TEXT,
    Data,
    array,
    enum,
    i8,
    octets,
    structure,
    u8,
    u16,
    u32,
)
from dlms_connector.simulator.objects.cosem_object import CosemObject, Objects, Source, logical_name
from dlms_connector.simulator.objects.view import MeterView, Role

ASSOCIATION = logical_name("0-0:40.0.0")
COUNTER = logical_name("0-0:43.1.0")
_NO_ACCESS, _READ, _WRITE, _READ_WRITE = 0, 1, 2, 3
_ASSOCIATED = 2
#: Security policy of the security setup, version 1: bits for requests and responses.
_POLICIES = {
    "NONE": 0,
    "AUTHENTICATION": 0x24,
    "ENCRYPTION": 0x48,
    "AUTHENTICATION_ENCRYPTION": 0x6C,
}


def object_list(objects: Objects, role: Role) -> Data:
    """Return the association's object list with this role's rights."""
    return array(
        *(
            structure(u16(o.class_id), u8(o.version), octets(o.name), _rights(o, role))
            for o in objects.values()
            if role.everything or o.public
        )
    )


def _rights(o: CosemObject, role: Role) -> Data:
    readable = {1, *o.attributes, *([2] if o.table else [])}
    attributes = (
        structure(i8(index), enum(_mode(index, readable, o, role)), _selectors(o, index))
        for index in sorted(readable | set(o.writable))
    )
    allowed = enum(_READ if role.everything else _NO_ACCESS)
    methods = (structure(i8(index), allowed) for index in sorted(o.methods))
    return structure(array(*attributes), array(*methods))


def _mode(index: int, readable: set[int], o: CosemObject, role: Role) -> int:
    may_write = role.everything and index in o.writable
    return (_READ if index in readable else 0) | (_WRITE if may_write else 0)


def _selectors(o: CosemObject, index: int) -> Data:
    return array(i8(1), i8(2)) if o.table and index == 2 else NOTHING


def _device_name(meter: MeterView) -> Data:
    return octets(b"SIM%013d" % meter.seed)


def _serial_number(meter: MeterView) -> Data:
    return octets(b"%08d" % meter.seed)


def _partners(meter: MeterView) -> Data:
    return structure(i8(meter.options.client_address), u16(meter.options.logical_address))


def _context(meter: MeterView) -> Data:
    bits = Data(BIT_STRING, f"{meter.options.offered_services():024b}")
    size = u16(meter.options.max_pdu)
    return structure(bits, size, size, u8(6), i8(0), octets(b""))


def _mechanism(meter: MeterView) -> Data:
    return octets(acse.mechanism_name(acse.MECHANISMS[meter.options.authentication]))


def _context_name(meter: MeterView) -> Data:
    ciphered = meter.options.security != "NONE"
    return octets(acse.context_name(acse.LN_CIPHERED if ciphered else acse.LN))


def _access_points(meter: MeterView) -> Data:
    return array(structure(u16(meter.options.logical_address), _device_name(meter)))


def _received_counter(meter: MeterView) -> Data:
    return u32(max(0, meter.received_counter))


def _policy(meter: MeterView) -> Data:
    return enum(_POLICIES[meter.options.security])


def _title(meter: MeterView) -> Data:
    return octets(meter.options.title())


def _suite(meter: MeterView) -> Data:
    return enum(meter.options.security_suite)


def make_identity() -> list[CosemObject]:
    """Make the objects that identify the meter."""
    return [
        CosemObject(1, logical_name("0-0:42.0.0"), {2: _device_name}, public=True),
        CosemObject(1, logical_name("0-0:96.1.0"), {2: _serial_number}),
        CosemObject(1, logical_name("1-0:0.2.0"), {2: Data(TEXT, b"SIM-1.0")}),
        CosemObject(1, logical_name("0-0:97.97.0"), {2: u32(0)}, writable={2: None}),
    ]


def make_directory() -> list[CosemObject]:
    """Make the objects about associations and security."""
    association: dict[int, Source] = {
        3: _partners,
        4: _context_name,
        5: _context,
        6: _mechanism,
        7: octets(b""),
        8: enum(_ASSOCIATED),
        9: octets(logical_name("0-0:43.0.0")),
    }
    return [
        CosemObject(15, ASSOCIATION, {2: array(), **association}, 1, public=True),
        CosemObject(17, logical_name("0-0:41.0.0"), {2: _access_points}, public=True),
        CosemObject(1, COUNTER, {2: _received_counter}, public=True),
        CosemObject(
            64,
            logical_name("0-0:43.0.0"),
            {2: _policy, 3: _suite, 4: octets(b""), 5: _title, 6: array()},
            1,
        ),
    ]
