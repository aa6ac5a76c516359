"""Talks to a simulated meter's application layer, octet for octet as the standard has it."""

from __future__ import annotations

from typing import Any

from dlms_connector.obis import Obis
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.encoding.data import Data, Reader, encode
from dlms_connector.simulator.services.session import Session

NOW = 1_790_000_000.0
ALL_SERVICES = "FFFFFF"


def make_meter(**options: Any) -> Meter:
    """Make a meter whose time stands still."""
    options.setdefault("now", lambda: NOW)
    return Meter(MeterOptions(**options))


def aarq(conformance: str = ALL_SERVICES, max_pdu: int = 0xFFFF, context: int = 1) -> bytes:
    """Return an AARQ without authentication."""
    initiate = bytes.fromhex("01000000065F1F0400" + conformance) + max_pdu.to_bytes(2, "big")
    body = bytes.fromhex("A1090607608574050801") + bytes((context,))
    body += bytes((0xBE, len(initiate) + 2, 0x04, len(initiate))) + initiate
    return bytes((0x60, len(body))) + body


def open_session(meter: Meter, **proposed: Any) -> Session:
    """Return a session with an association open."""
    session = Session(meter)
    accepted = session.answer(aarq(**proposed), meter.options.client_address)
    assert accepted is not None
    assert bytes.fromhex("A203020100") in accepted
    return session


def reference(class_id: int, obis: str, index: int) -> bytes:
    """Return an attribute or method descriptor."""
    return class_id.to_bytes(2, "big") + Obis.parse(obis).octets + bytes((index,))


def ask(session: Session, apdu: bytes) -> bytes:
    """Return the answer to an APDU of the meter's own client."""
    reply = session.answer(apdu, 16)
    assert reply is not None
    return reply


def get(session: Session, class_id: int, obis: str, attribute: int = 2) -> Data:
    """Return an attribute's value, blocks put together."""
    reply = ask(session, b"\xc0\x01\xc1" + reference(class_id, obis, attribute) + b"\x00")
    if reply[:4] == b"\xc4\x01\xc1\x00":
        return Reader(reply[4:]).data()
    whole = b""
    while True:
        assert reply[:3] == b"\xc4\x02\xc1", reply.hex()
        reader = Reader(reply[3:])
        last, number, result = reader.number(), reader.number(4), reader.number()
        assert result == 0
        whole += reader.string()
        if last:
            return Reader(whole).data()
        reply = ask(session, b"\xc0\x02\xc1" + number.to_bytes(4, "big"))


def set_(session: Session, class_id: int, obis: str, attribute: int, value: Data) -> int:
    """Set an attribute; return the Data-Access-Result."""
    request = b"\xc1\x01\xc1" + reference(class_id, obis, attribute) + b"\x00" + encode(value)
    reply = ask(session, request)
    assert reply[:3] == b"\xc5\x01\xc1"
    return reply[3]


def act(session: Session, class_id: int, obis: str, method: int, argument: Data) -> int:
    """Invoke a method; return the Action-Result."""
    request = b"\xc3\x01\xc1" + reference(class_id, obis, method) + b"\x01" + encode(argument)
    reply = ask(session, request)
    assert reply[:3] == b"\xc7\x01\xc1"
    return reply[3]
