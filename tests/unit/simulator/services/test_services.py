"""The simulated meter's services: blocks, lists, selections, rights, ACCESS, short names."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dlms_connector.simulator import Meter
from dlms_connector.simulator.encoding.data import (
    OCTETS,
    Data,
    array,
    encode,
    enum,
    i8,
    length,
    octets,
    structure,
    u8,
    u16,
    u32,
)
from dlms_connector.simulator.services.session import Session
from dlms_connector.simulator.services.short_name_map import base_names
from tests.support.simulated import (
    NOW,
    aarq,
    act,
    ask,
    get,
    make_meter,
    open_session,
    reference,
    set_,
)

VOLTAGE = reference(3, "1-0:32.7.0", 2)
CLOCK_COLUMN = structure(u16(8), octets(bytes.fromhex("0000010000FF")), i8(2), u16(0))


def test_a_service_without_association_is_not_allowed() -> None:
    assert ask(Session(make_meter()), b"\xc0\x01\xc1" + VOLTAGE + b"\x00") == b"\xd8\x01\x01"


def test_what_was_not_negotiated_is_not_served() -> None:
    session = open_session(make_meter(), conformance="000010")  # GET alone
    assert get(session, 3, "1-0:32.7.0").value > 2000
    assert ask(session, b"\xc0\x03\xc1\x01" + VOLTAGE + b"\x00") == b"\xd8\x02\x02"
    assert ask(session, b"\xc3\x01\xc1" + VOLTAGE + b"\x00") == b"\xd8\x02\x02"


LIMIT = reference(71, "0-0:17.0.0", 4)
DISCONNECT = reference(70, "0-0:96.3.10", 1)
BLOCK = b"\x00\x00\x00\x00\x01\x01\x00"


@pytest.mark.parametrize(
    ("lacks", "request_"),
    [
        ("set", b"\xc1\x04\xc1\x01" + LIMIT + b"\x00\x01\x00"),
        ("multiple-references", b"\xc1\x04\xc1\x01" + LIMIT + b"\x00\x01\x00"),
        ("set", b"\xc1\x02\xc1" + LIMIT + b"\x00" + BLOCK),
        ("block-transfer-with-set-or-write", b"\xc1\x02\xc1" + LIMIT + b"\x00" + BLOCK),
        ("set", b"\xc1\x05\xc1\x01" + LIMIT + b"\x00" + BLOCK),
        ("multiple-references", b"\xc1\x05\xc1\x01" + LIMIT + b"\x00" + BLOCK),
        ("action", b"\xc3\x03\xc1\x01" + DISCONNECT + b"\x01\x00"),
        ("multiple-references", b"\xc3\x03\xc1\x01" + DISCONNECT + b"\x01\x00"),
        ("action", b"\xc3\x04\xc1" + DISCONNECT + BLOCK),
        ("block-transfer-with-action", b"\xc3\x04\xc1" + DISCONNECT + BLOCK),
    ],
)
def test_each_form_of_a_service_is_negotiated(lacks: str, request_: bytes) -> None:
    assert ask(open_session(make_meter()), request_)[:1] != b"\xd8"
    session = open_session(make_meter(without=frozenset({lacks})))
    assert ask(session, request_) == b"\xd8\x02\x02"


@pytest.mark.parametrize(
    ("lacks", "request_"),
    [
        ("read", b"\x05\x01\x02\xfa\x00"),
        ("parameterized-access", b"\x05\x01\x04\xfa\x08\x01\x12\x00\x03"),
        ("block-transfer-with-get-or-read", b"\x05\x01\x06\x00\x00\x01\x01\x01"),
        ("write", b"\x06\x01\x02\xfa\x00\x01\x00"),
        ("multiple-references", b"\x06\x02\x02\xfa\x00\x02\xfa\x00\x02\x00\x00"),
        ("block-transfer-with-set-or-write", b"\x06\x01\x07\x00\x00\x01\x01\x09\x01\x01"),
    ],
)
def test_each_form_of_a_service_by_short_names_is_negotiated(lacks: str, request_: bytes) -> None:
    made = {"referencing": "SN"}
    session = open_session(make_meter(**made), context=2)
    assert ask(session, request_)[:1] != b"\xd8"
    session = open_session(make_meter(**made, without=frozenset({lacks})), context=2)
    assert ask(session, request_) == b"\xd8\x02\x02"


def test_what_needs_blocks_that_were_not_negotiated_is_refused() -> None:
    without = frozenset({"block-transfer-with-get-or-read"})
    meter = make_meter(referencing="SN", without=without)
    session = open_session(meter, context=2, max_pdu=64)
    assert ask(session, b"\x05\x01\x02\xfa\x08") == b"\x0c\x01\x01\xfa"


@pytest.mark.parametrize(
    ("class_id", "obis", "attribute", "code"),
    [(3, "1-0:99.99.99", 2, 4), (1, "1-0:32.7.0", 2, 9), (3, "1-0:32.7.0", 9, 3)],
)
def test_why_an_attribute_is_refused(class_id: int, obis: str, attribute: int, code: int) -> None:
    session = open_session(make_meter())
    request = b"\xc0\x01\xc1" + reference(class_id, obis, attribute) + b"\x00"
    assert ask(session, request) == bytes((0xC4, 1, 0xC1, 1, code))


def test_a_list_with_a_bad_item_keeps_the_others() -> None:
    session = open_session(make_meter())
    wanted = [VOLTAGE, reference(3, "1-0:99.99.99", 2), reference(8, "0-0:1.0.0", 3)]
    reply = ask(session, b"\xc0\x03\xc1\x03" + b"".join(item + b"\x00" for item in wanted))
    assert reply[:6] == b"\xc4\x03\xc1\x03\x00\x12"
    assert reply[8:] == b"\x01\x04" + b"\x00\x10\x00\x00"


def test_a_long_list_comes_in_blocks() -> None:
    session = open_session(make_meter(), max_pdu=30)
    reply = ask(session, b"\xc0\x03\xc1\x0a" + (VOLTAGE + b"\x00") * 10)
    whole = b""
    for number in range(1, 9):
        assert len(reply) <= 30
        assert reply[:8] == b"\xc4\x02\xc1" + reply[3:4] + number.to_bytes(4, "big")
        whole += reply[10:]
        if reply[3]:
            break
        reply = ask(session, b"\xc0\x02\xc1" + number.to_bytes(4, "big"))
    assert whole[:1] == b"\x0a"
    assert len(whole) == 1 + 10 * 4


def test_a_wrong_block_number_ends_the_transfer() -> None:
    session = open_session(make_meter(), max_pdu=64)
    ask(session, b"\xc0\x01\xc1" + reference(15, "0-0:40.0.0", 2) + b"\x00")
    assert ask(session, b"\xc0\x02\xc1\x00\x00\x00\x05")[-2:] == b"\x01\x13"
    assert ask(session, b"\xc0\x02\xc1\x00\x00\x00\x01")[-2:] == b"\x01\x10"


def test_writing_in_blocks() -> None:
    session = open_session(make_meter())
    value = encode(array(*(u32(number) for number in range(50))))
    target = reference(21, "0-0:16.1.0", 2)
    head = b"\xc1\x02\xc1" + target + b"\x00\x00\x00\x00\x00\x01"
    assert ask(session, head + length(100) + value[:100]) == b"\xc5\x02\xc1\x00\x00\x00\x01"
    rest = b"\xc1\x03\xc1\x01\x00\x00\x00\x02" + length(len(value) - 100) + value[100:]
    assert ask(session, rest) == b"\xc5\x03\xc1\x00\x00\x00\x00\x02"
    assert get(session, 21, "0-0:16.1.0").value[49] == u32(49)


def test_writing_a_list() -> None:
    session = open_session(make_meter())
    targets = [reference(71, "0-0:17.0.0", index) for index in (4, 3)]
    request = b"\xc1\x04\xc1\x02" + b"".join(target + b"\x00" for target in targets)
    assert ask(session, request + b"\x02" + encode(u32(5000)) * 2) == b"\xc5\x05\xc1\x02\x00\x03"
    assert get(session, 71, "0-0:17.0.0", 3) == u32(5000)


def test_writing_another_type_is_refused() -> None:
    session = open_session(make_meter())
    assert set_(session, 71, "0-0:17.0.0", 4, u16(5)) == 12
    assert set_(session, 3, "1-0:32.7.0", 2, u16(5)) == 3


def test_an_action_in_blocks() -> None:
    meter = make_meter()
    session = open_session(meter)
    argument = encode(structure(octets(b"firmware"), u32(256)))
    head = b"\xc3\x04\xc1" + reference(18, "0-0:44.0.0", 1) + b"\x00\x00\x00\x00\x01"
    assert ask(session, head + b"\x05" + argument[:5]) == b"\xc7\x04\xc1\x00\x00\x00\x01"
    tail = b"\xc3\x06\xc1\x01\x00\x00\x00\x02" + length(len(argument) - 5) + argument[5:]
    assert ask(session, tail) == b"\xc7\x01\xc1\x00\x00"
    assert meter.image.size == 256


def test_an_action_in_blocks_has_results_of_its_own() -> None:
    """A Data-Access-Result names a wrong number of a block; an Action-Result cannot (5-3)."""
    session = open_session(make_meter())
    head = b"\xc3\x04\xc1" + reference(18, "0-0:44.0.0", 1) + b"\x00\x00\x00\x00\x01\x01\x02"
    assert ask(session, head) == b"\xc7\x04\xc1\x00\x00\x00\x01"
    last = b"\xc3\x06\xc1\x01\x00\x00\x00\x05\x01\x02"
    assert ask(session, last) == b"\xc7\x01\xc1\x0f\x00"
    assert ask(session, last) == b"\xc7\x01\xc1\x10\x00"
    assert ask(session, b"\xc3\x02\xc1\x00\x00\x00\x01") == b"\xc7\x01\xc1\x10\x00"


def test_a_list_of_one_in_blocks_is_a_list() -> None:
    session = open_session(make_meter())
    value = b"\x01" + encode(u32(5000))
    head = b"\xc1\x05\xc1\x01" + LIMIT + b"\x00\x01\x00\x00\x00\x01" + length(len(value))
    assert ask(session, head + value) == b"\xc5\x04\xc1\x01\x00\x00\x00\x00\x01"
    assert get(session, 71, "0-0:17.0.0", 4) == u32(5000)


def test_access() -> None:
    session = open_session(make_meter())
    specifications = b"\x01" + VOLTAGE + b"\x02" + reference(71, "0-0:17.0.0", 4)
    specifications += b"\x03" + reference(70, "0-0:96.3.10", 1) + b"\x01" + VOLTAGE[:-1] + b"\x63"
    data = b"\x04\x00" + encode(u32(7000)) + encode(i8(0)) + b"\x00"
    reply = ask(session, b"\xd9\x40\x00\x00\x01\x00\x04" + specifications + data)
    assert reply[:9] == b"\xda\x40\x00\x00\x01\x00\x00\x04\x12"
    assert reply[11:] == b"\x00\x00\x00" + b"\x04" + b"\x01\x00\x02\x00\x03\x00\x01\x03"


def select(session: Session, selector: int, parameters: Data) -> bytes:
    request = b"\xc0\x01\xc1" + reference(7, "1-0:99.1.0", 2)
    return ask(session, request + bytes((1, selector)) + encode(parameters))


def test_rows_by_entry_and_columns() -> None:
    session = open_session(make_meter())
    parameters = structure(u32(1), u32(2), u16(1), u16(2))
    reply = select(session, 2, parameters)
    assert reply[:8] == b"\xc4\x01\xc1\x00\x01\x02\x02\x02"
    assert select(session, 2, structure(u32(0), u32(2), u16(1), u16(2)))[3:] == b"\x01\x0d"


@pytest.mark.parametrize("offset", [0, 120, -300])
def test_rows_by_range_in_local_time(offset: int) -> None:
    session = open_session(make_meter(utc_offset_minutes=offset))
    times = [Data(OCTETS, _local(NOW - back, offset)) for back in (3600, 0)]
    reply = select(session, 1, structure(CLOCK_COLUMN, *times, array(CLOCK_COLUMN)))
    assert reply[:6] == b"\xc4\x01\xc1\x00\x01\x04"
    assert _local(NOW // 900 * 900, offset) in reply


def _local(at: float, offset: int) -> bytes:
    zone = timezone(timedelta(minutes=offset))
    moment = datetime.fromtimestamp(at, zone)
    return (
        moment.year.to_bytes(2, "big")
        + bytes((moment.month, moment.day, moment.isoweekday()))
        + bytes((moment.hour, moment.minute, moment.second, 0))
        + (-offset).to_bytes(2, "big", signed=True)
        + b"\x00"
    )


def test_load_profile_agrees_with_the_registers() -> None:
    meter = make_meter(now=lambda: NOW // 900 * 900)
    session = open_session(meter)
    rows = get(session, 7, "1-0:99.1.0").value
    assert len(rows) == 60 * 96 == get(session, 7, "1-0:99.1.0", 7).value
    assert rows[-1].value[2] == get(session, 3, "1-0:1.8.0")
    energies = [row.value[2].value for row in rows]
    assert energies == sorted(energies)
    billing = get(session, 7, "0-0:98.1.0").value[-1].value
    assert billing[1].value == billing[2].value + billing[3].value


def test_the_relay_cuts_consumption() -> None:
    now = [NOW]
    meter = make_meter(now=lambda: now[0])
    session = open_session(meter)
    assert act(session, 70, "0-0:96.3.10", 1, i8(0)) == 0
    before = get(session, 3, "1-0:1.8.0")
    now[0] += 3600
    assert get(session, 3, "1-0:1.8.0") == before
    assert set_(session, 70, "0-0:96.3.10", 4, enum(1)) == 0
    assert act(session, 70, "0-0:96.3.10", 2, i8(0)) == 0
    assert get(session, 70, "0-0:96.3.10", 3) == enum(2)  # waits for a hand at the meter
    assert set_(session, 70, "0-0:96.3.10", 4, enum(0)) == 0
    assert act(session, 70, "0-0:96.3.10", 1, i8(0)) == 3


def test_firmware_must_be_whole_before_it_is_verified() -> None:
    session = open_session(make_meter())
    image = (18, "0-0:44.0.0")
    assert act(session, *image, 1, structure(octets(b"fw"), u32(200))) == 0
    assert act(session, *image, 2, structure(u32(1), octets(bytes(72)))) == 0
    assert get(session, *image, 4) == u32(0)
    assert act(session, *image, 3, i8(0)) == 250
    assert act(session, *image, 1, structure(octets(b"fw"), u32(200))) == 0
    for number, size in ((0, 128), (1, 72)):
        assert act(session, *image, 2, structure(u32(number), octets(bytes(size)))) == 0
    assert act(session, *image, 3, i8(0)) == 0
    assert act(session, *image, 4, i8(0)) == 0
    assert get(session, *image, 6) == enum(6)


def test_calendars() -> None:
    session = open_session(make_meter())
    assert set_(session, 20, "0-0:13.0.0", 6, octets(b"NEW")) == 0
    assert get(session, 20, "0-0:13.0.0", 2) == octets(b"SUMMER")
    assert act(session, 20, "0-0:13.0.0", 1, i8(0)) == 0
    assert get(session, 20, "0-0:13.0.0", 2) == octets(b"NEW")
    day = structure(u16(9), octets(bytes.fromhex("FFFF0501FF")), u8(2))
    assert act(session, 11, "0-0:11.0.0", 1, day) == 0
    assert get(session, 11, "0-0:11.0.0").value[-1] == day


def test_the_public_client_sees_little() -> None:
    meter = make_meter(client_address=1, authentication="LOW")
    session = Session(meter)
    assert session.answer(aarq(), 16) is not None
    assert get(session, 8, "0-0:1.0.0").tag == OCTETS
    assert len(get(session, 15, "0-0:40.0.0").value) == 5
    request = b"\xc0\x01\xc1" + VOLTAGE + b"\x00"
    assert ask(session, request) == b"\xc4\x01\xc1\x01\x03"


def sn_read(session: Session, *specifications: bytes) -> bytes:
    return ask(session, b"\x05" + bytes((len(specifications),)) + b"".join(specifications))


def sn_meter() -> tuple[Meter, Session]:
    meter = make_meter(referencing="SN")
    return meter, open_session(meter, context=2, max_pdu=64)


def test_short_name_blocks_both_ways() -> None:
    _, session = sn_meter()
    reply, whole, number = sn_read(session, b"\x02\xfa\x08"), b"", 1
    while True:
        assert reply[:3] == b"\x0c\x01\x02"
        assert len(reply) <= 64
        assert int.from_bytes(reply[4:6], "big") == number
        whole += reply[7:]
        if reply[3]:
            break
        reply = sn_read(session, b"\x05" + number.to_bytes(2, "big"))
        number += 1
    assert whole[:3] == b"\x01\x00\x01"
    assert len(whole) > 900
    request = b"\x02\x02\xfa\x00\x02\xfd\x08"
    assert sn_read(session, b"\x06\x00\x00\x01\x03" + request[:3]) == b"\x0c\x01\x03\x00\x01"
    reply = sn_read(session, b"\x06\x01\x00\x02\x04" + request[3:])
    assert reply[:4] == b"\x0c\x02\x00\x09"


def test_short_name_writes() -> None:
    meter, session = sn_meter()
    limiter = base_names(meter)[71, reference(71, "0-0:17.0.0", 0)[2:8]]
    name = (limiter + 0x18).to_bytes(2, "big")
    written = b"\x06\x01\x02" + name + b"\x01" + encode(u32(77))
    assert ask(session, written) == b"\x0d\x01\x00"
    assert sn_read(session, b"\x02" + name) == b"\x0c\x01\x00" + encode(u32(77))
    body = b"\x01\x02" + name + b"\x01" + encode(u32(78))
    first = b"\x06\x01\x07\x00\x00\x01\x01\x09\x03" + body[:3]
    assert ask(session, first) == b"\x0d\x01\x02\x00\x01"
    last = b"\x06\x01\x07\x01\x00\x02\x01\x09" + length(len(body) - 3) + body[3:]
    assert ask(session, last) == b"\x0d\x01\x00"
    assert sn_read(session, b"\x02" + name)[3:] == encode(u32(78))


def test_short_name_selection_of_rows() -> None:
    meter, session = sn_meter()
    buffer = base_names(meter)[7, reference(7, "1-0:99.1.0", 0)[2:8]] + 8
    parameters = structure(u32(1), u32(1), u16(1), u16(1))
    reply = sn_read(session, b"\x04" + buffer.to_bytes(2, "big") + b"\x02" + encode(parameters))
    assert reply[:8] == b"\x0c\x01\x00\x01\x01\x02\x01\x09"


def test_release() -> None:
    session = open_session(make_meter())
    assert ask(session, bytes.fromhex("6203800100")) == bytes.fromhex("6303800100")
    assert ask(session, bytes.fromhex("6203800100")) == b"\xd8\x01\x01"


@pytest.mark.parametrize("title", [b"", b"SHORT"])
def test_ciphering_without_a_system_title_is_refused(title: bytes) -> None:
    session = Session(make_meter(security="AUTHENTICATION"))
    plain = aarq(context=3)
    calling = bytes((0xA6, len(title) + 2, 0x04, len(title))) + title if title else b""
    request = bytes((0x60, len(plain) - 2 + len(calling))) + plain[2:13] + calling + plain[13:]
    assert bytes.fromhex("A203020101A305A103020103") in ask(session, request)
    assert not session.associated


def test_a_plain_initiate_request_in_a_ciphered_context_is_refused() -> None:
    session = Session(make_meter(security="AUTHENTICATION"))
    plain = aarq(context=3)
    request = (
        bytes((0x60, len(plain) + 10)) + plain[2:13] + b"\xa6\x0a\x04\x08CLIENT01" + plain[13:]
    )
    assert bytes.fromhex("A203020101") in ask(session, request)
    assert not session.associated


def test_the_public_client_changes_nothing() -> None:
    meter = make_meter(client_address=1)
    session = Session(meter)
    assert session.answer(aarq(), 16)
    clock = reference(8, "0-0:1.0.0", 2)
    (read, written, shifted) = (
        session.answer(apdu, 16)
        for apdu in (
            b"\xc0\x01\xc1" + clock + b"\x00",
            b"\xc1\x01\xc1" + clock + b"\x00" + encode(octets(bytes(12))),
            b"\xc3\x01\xc1" + reference(8, "0-0:1.0.0", 6) + b"\x01" + encode(Data(16, 60)),
        )
    )
    assert read is not None
    assert read[:4] == b"\xc4\x01\xc1\x00"
    assert written == b"\xc5\x01\xc1\x03"
    assert shifted is not None
    assert shifted[:4] == b"\xc7\x01\xc1\x03"
    assert meter.clock_shift == 0


def test_the_smallest_messages_still_carry_blocks() -> None:
    session = open_session(make_meter(), max_pdu=5)
    assert get(session, 1, "0-0:42.0.0").value == b"SIM0000000000001"
