"""What is replaced in APDUs and texts, and what stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.protocol.data.ber import encode_length
from dlms_connector.tracing.redaction import Redactor

SERIAL = bytes.fromhex("C001C1 0001 0000600100FF 02 00")
ENERGY = bytes.fromhex("C001C1 0003 0100010800FF 02 00")
TEXT = b"ELM4711000"


def answer(value: bytes) -> bytes:
    return bytes.fromhex("C401C100") + value


def test_a_serial_number_is_replaced_and_an_energy_stays() -> None:
    redactor = Redactor()
    redactor.apdu(ENERGY)
    energy = answer(bytes.fromhex("0600010203"))
    assert redactor.apdu(energy) == energy
    assert redactor.apdu(SERIAL) == SERIAL
    assert redactor.apdu(answer(b"\x09\x0a" + TEXT)) == answer(b"\x09\x0a" + b"*" * 10)
    redactor.apdu(SERIAL)
    assert redactor.apdu(answer(bytes.fromhex("0600BC614E"))) == answer(b"\x06" + bytes(4))


def test_what_was_learned_is_replaced_elsewhere() -> None:
    redactor = Redactor()
    redactor.apdu(SERIAL)
    redactor.apdu(answer(b"\x09\x0a" + TEXT))
    redactor.apdu(ENERGY)
    assert TEXT not in redactor.apdu(answer(b"\x09\x0c--" + TEXT))
    assert TEXT.hex().encode() not in redactor.text(b"x(" + TEXT.hex().encode() + b")\r\n")


def test_an_answer_to_an_unknown_request_is_replaced() -> None:
    assert TEXT not in Redactor().apdu(answer(b"\x09\x0a" + TEXT))


def test_blocks_of_a_serial_number_are_replaced() -> None:
    redactor = Redactor()
    redactor.apdu(SERIAL)
    block = bytes.fromhex("C402C1 00 00000001 00 0C 090A") + TEXT
    hidden = redactor.apdu(block)
    assert hidden[:10] == block[:10]
    assert hidden[10:] == b"*" * 12
    redactor.apdu(bytes.fromhex("C002C1 00000001"))
    assert TEXT not in redactor.apdu(block)


@pytest.mark.parametrize(
    "request_",
    [
        "C101C1 000F 0000280000FF 07 00",  # SET the secret of an association
        "C301C1 0040 00002B0000FF 02 01",  # transfer keys
        "C102C1 000F 0000280000FF 07 00 01 00000001 0C",  # in blocks
        "0601 02FA08 01",  # write by short name
        "0502 02FA08 04FA10 01",  # read with a parameter
    ],
)
def test_what_is_written_to_holders_of_keys_is_replaced(request_: str) -> None:
    apdu = bytes.fromhex(request_) + b"\x09\x0a" + TEXT
    hidden = Redactor().apdu(apdu)
    assert TEXT not in hidden
    assert len(hidden) == len(apdu)


def test_the_dedicated_key_of_an_association_is_replaced() -> None:
    key = b"\xd5" * 16
    initiate = b"\x01\x01\x10" + key + bytes.fromhex("00000006 5F1F0400FFFFFFFFFF")
    aarq = b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01\x01"
    aarq += bytes((0xBE, len(initiate) + 2, 4, len(initiate))) + initiate
    hidden = Redactor().apdu(bytes((0x60, len(aarq))) + aarq)
    assert key not in hidden
    assert b"*" * 16 in hidden


def test_titles_of_ciphered_messages_are_replaced_and_their_content_stays() -> None:
    apdu = b"\xdb\x08SIM56789" + bytes.fromhex("0B30 00000001 0102030405")
    assert Redactor().apdu(apdu) == b"\xdb\x08********" + apdu[10:]


@pytest.mark.parametrize("head", [b"\xc9", b"\xdb\x08SIM56789"])
def test_what_is_authenticated_only_is_replaced_as_in_clear(head: bytes) -> None:
    secret = bytes.fromhex("C101C1 000F 0000280000FF 07 00 090A") + TEXT
    sealed = bytes.fromhex("10 00000001") + secret + bytes(12)
    hidden = Redactor().apdu(head + bytes((len(sealed),)) + sealed)
    assert TEXT not in hidden
    assert secret[:13] in hidden
    known = Redactor([TEXT], everything=True)
    assert TEXT not in known.apdu(head + bytes((len(sealed),)) + sealed)


def test_apdus_within_apdus_are_redacted_up_to_a_depth() -> None:
    apdu = bytes.fromhex("C101C1 000F 0000280000FF 07 00 090A") + TEXT
    for depth in range(2000):
        apdu = b"\xdf" + bytes(5) + encode_length(len(apdu)) + apdu + b"\0"
        if depth in (0, 2, 7, 1999):
            hidden = Redactor().apdu(apdu)
            assert TEXT not in hidden
            assert len(hidden) == len(apdu)


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        (b"0.0.0(73219846)\r\n", b"0.0.0(********)\r\n"),
        (b"C.1.0(73219846)\r\n", b"C.1.0(********)\r\n"),
        (b"0-0:96.1.0(73219846)\r\n", b"0-0:96.1.0(********)\r\n"),
        (b"\x01P1\x02(secret)\x03", b"\x01P1\x02(******)\x03"),
        (b"1.8.0(000123.45*kWh)\r\n", b"1.8.0(000123.45*kWh)\r\n"),
    ],
)
def test_lines_of_a_readout(line: bytes, hidden: bytes) -> None:
    assert Redactor().text(line) == hidden


@given(st.lists(st.binary(max_size=80), max_size=6))
def test_the_length_stays_and_nothing_is_raised(apdus: list[bytes]) -> None:
    redactor = Redactor([b"a secret"])
    for apdu in apdus:
        assert len(redactor.apdu(apdu)) == len(apdu)
        assert len(redactor.text(apdu)) == len(apdu)


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_a_known_secret_is_replaced_everywhere(before: bytes, after: bytes) -> None:
    redactor = Redactor([b"Sesame-73"])
    shown = redactor.apdu(ENERGY)
    assert shown == ENERGY
    whole = answer(b"\x09\x7f" + before + b"Sesame-73" + after)
    assert b"Sesame-73" not in redactor.apdu(whole)


def test_in_a_list_only_what_identifies_is_replaced() -> None:
    redactor = Redactor()
    redactor.apdu(
        bytes.fromhex("C003C1 02 0001 0000600100FF 02 00 0003 0100010800FF 02 00")
    )  # fmt: skip
    reply = bytes.fromhex("C403C1 02 00 090A") + TEXT + bytes.fromhex("00 0600010203")
    assert redactor.apdu(reply) == reply.replace(TEXT, b"*" * 10)


def test_an_object_that_identifies_nobody_does_not_make_a_list_readable() -> None:
    redactor = Redactor()
    redactor.apdu(ENERGY)
    reply = bytes.fromhex("C403C1 02 00 090A") + TEXT + bytes.fromhex("00 0600010203")
    redactor.apdu(SERIAL)
    assert TEXT not in redactor.apdu(reply)
