"""Whatever a client sends, the simulated meter answers or is silent, and lives on."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.simulator import Connection, Meter
from dlms_connector.simulator.datalink.wrapper import make_packet
from dlms_connector.simulator.encoding.data import (
    Data,
    array,
    encode,
    octets,
    structure,
    u8,
    u16,
    u32,
)
from dlms_connector.simulator.objects.cosem_object import AccessError
from dlms_connector.simulator.objects.shape import fields, same_shape
from tests.support.simulated import aarq, get, make_meter, open_session, reference

METER = make_meter(profile_days=1)
OBJECTS = sorted(METER.objects)

scalars = st.one_of(
    st.builds(u8, st.integers(0, 255)),
    st.builds(u16, st.integers(0, 65535)),
    st.builds(u32, st.integers(0, 2**32 - 1)),
    st.builds(octets, st.binary(max_size=14)),
    st.just(Data(0)),
    st.builds(lambda value: Data(5, value), st.integers(-(2**31), 2**31 - 1)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5).map(lambda items: array(*items)),
        st.lists(inner, max_size=5).map(lambda items: structure(*items)),
    ),
    max_leaves=8,
)
references = st.tuples(st.sampled_from(OBJECTS), st.integers(0, 12)).map(
    lambda pair: reference(pair[0][0], ".".join(map(str, pair[0][1])), pair[1])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), references, values), max_size=6))
def test_any_value_for_any_object(requests: list[tuple[int, bytes, Data]]) -> None:
    session = open_session(make_meter(profile_days=1))
    for kind, target, value in requests:
        apdu = {
            0: b"\xc0\x01\xc1" + target + b"\x01\x01" + encode(value),
            1: b"\xc0\x01\xc1" + target + b"\x01\x02" + encode(value),
            2: b"\xc1\x01\xc1" + target + b"\x00" + encode(value),
            3: b"\xc3\x01\xc1" + target + b"\x01" + encode(value),
        }[kind]
        assert session.answer(apdu, 16)
    assert get(session, 8, "0-0:1.0.0")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["LN", "SN"]), st.lists(st.binary(min_size=1, max_size=40), max_size=5))
def test_any_apdu(referencing: str, apdus: list[bytes]) -> None:
    context = 1 if referencing == "LN" else 2
    session = open_session(make_meter(referencing=referencing), context=context)
    first = [0x60, 0x62, 0x05, 0x06, 0xC0, 0xC1, 0xC3, 0xD9, 0xC8, 0xDB]
    for apdu in apdus:
        session.answer(apdu, 16)
        for tag in first:
            session.answer(bytes((tag,)) + apdu, 16)


@pytest.mark.parametrize("framing", ["HDLC", "WRAPPER", "HDLC_WITH_MODE_E"])
def test_any_octets(framing: Any) -> None:
    rng = random.Random(11)
    connection = Connection([make_meter(framing=framing)])
    for _ in range(300):
        connection.feed(rng.randbytes(rng.randrange(200)))


def test_a_ciphered_meter_and_any_protection() -> None:
    rng = random.Random(12)
    meter = make_meter(framing="WRAPPER", client_address=1, security="ENCRYPTION")
    connection = Connection([meter])
    body = aarq(context=3)
    titled = body[:2] + b"\xa1" + body[3:13] + b"\xa6\x0a\x04\x08CLIENT01" + body[13:]
    for _ in range(300):
        damaged = bytearray(titled)
        damaged[rng.randrange(2, len(damaged))] = rng.randrange(256)
        connection.feed(make_packet(1, 1, bytes(damaged)))
        connection.feed(make_packet(1, 1, b"\xc8" + bytes((20,)) + rng.randbytes(20)))


def test_shapes() -> None:
    assert same_shape(structure(u8(1), array(u16(1))), structure(u8(2), array(u16(2), u16(3))))
    assert not same_shape(structure(u8(1)), structure(u8(1), u8(1)))
    assert not same_shape(array(u8(1)), array(u16(1)))
    assert same_shape(array(), array(u16(1)))
    assert fields(structure(u8(1), octets(b"x")), 17, 9) == (1, b"x")
    with pytest.raises(AccessError):
        fields(structure(u8(1)), 18)
    assert isinstance(METER, Meter)
