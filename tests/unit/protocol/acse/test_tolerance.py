"""AAREs as some meters write them: wrong lengths, octets behind the end, a cut end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.acse.acse import Aare, Context
from dlms_connector.protocol.acse.initiate import InitiateResponse
from dlms_connector.protocol.acse.tolerance import (
    mend_sealed,
    read_aare,
    read_initiate_response,
)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


#: Short names and a password; every octet that is a length is marked by a star before it.
PLAIN = (
    "61 *29 A1 *09 06 *07 60 85 74 05 08 01 02 A2 *03 02 *01 00 A3 *05 A1 *03 02 *01 00"
    "BE *10 04 *0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00"
)
#: Logical names with a title and a challenge; the user-information is ciphered.
HIGH = (
    "61 *61 A1 *09 06 *07 60 85 74 05 08 01 03 A2 *03 02 *01 00 A3 *05 A1 *03 02 *01 0E"
    "A4 *0A 04 *08 4D 4D 4D 00 00 BC 61 4E 88 *02 07 80 89 *07 60 85 74 05 08 02 05"
    "AA *0A 80 *08 50 36 77 52 4A 32 31 46"
    "BE *23 04 *21 28 1F 30 01 23 45 67 89 01 23 45 67 89 01 23 45 67 89 01 23 45 67 89 01"
    "23 45 67 89 01 23 45 67 89"
)


def _places(form: str) -> list[int]:
    places, count = [], 0
    for character in form.replace(" ", ""):
        if character == "*":
            places.append(count // 2)
        else:
            count += 1
    return places


def octets(form: str) -> bytes:
    return h(form.replace("*", ""))


def with_length(form: str, at: int, by: int) -> bytes:
    whole = bytearray(octets(form))
    whole[at] += by
    return bytes(whole)


def as_meant(found: Aare) -> tuple[object, ...]:
    """What counts of an AARE; the user-information to its end as far as it is known."""
    information = mend_sealed(found.user_information or b"")[0]
    if information[:1] == b"\x08":
        information = read_initiate_response(information)[0].encode()
    return (
        found.context, found.result, found.diagnostic, found.title, found.mechanism,
        found.challenge, information,
    )  # fmt: skip


@pytest.mark.parametrize("form", [PLAIN, HIGH], ids=["plain", "high"])
def test_as_the_standard_has_it(form: str) -> None:
    assert read_aare(octets(form)) == (Aare.parse(octets(form)), "")


@pytest.mark.parametrize(
    ("form", "at", "by"),
    [(form, at, by) for form in (PLAIN, HIGH) for at in _places(form) for by in (-1, 1)],
)
def test_a_length_that_is_wrong_by_one(form: str, at: int, by: int) -> None:
    found, quirk = read_aare(with_length(form, at, by))
    assert as_meant(found) == as_meant(Aare.parse(octets(form)))
    assert quirk


@pytest.mark.parametrize("form", [PLAIN, HIGH], ids=["plain", "high"])
@pytest.mark.parametrize("behind", ["00", "A5", "00 00 00", "7E", "0D 01 00"])
def test_octets_behind_the_end(form: str, behind: str) -> None:
    found, quirk = read_aare(octets(form) + h(behind))
    assert as_meant(found) == as_meant(Aare.parse(octets(form)))
    assert "octets behind its end" in quirk


@pytest.mark.parametrize(
    "form",
    [
        # indefinite lengths, with their ends of content
        "61 80 A1 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 80 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00 00 00 00 00",
        # long forms, one of them with a wrong length
        "61 81 2B A1 81 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 81 10 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00",
        "61 82 00 40 A1 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 10 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00",
        # another optional field, and no diagnostic
        "61 29 80 02 07 80 A1 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00"
        "BE 10 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00",
        # an octet string is left out around the InitiateResponse
        "61 27 A1 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00 00",
    ],
)
def test_other_forms(form: str) -> None:
    found, _ = read_aare(h(form))
    assert as_meant(found) == as_meant(Aare.parse(octets(PLAIN)))


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_cut_end(cut: int) -> None:
    whole = InitiateResponse.parse(h("08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00"))
    found, _ = read_aare(octets(PLAIN)[:-cut])
    response, quirk = read_initiate_response(found.user_information or b"")
    assert response.conformance == whole.conformance
    assert "cut short" in quirk


def test_a_cut_largest_pdu_is_taken_for_a_small_one() -> None:
    for rest in ("", "20"):
        assert read_initiate_response(h("08 00 06 5F 1F 04 00 00 1C 03" + rest))[0].max_pdu == 128
    for rest in ("2000", "2000 00", "2000 0007", "2000 FA00", "2000 1234"):
        assert read_initiate_response(h("08 00 06 5F 1F 04 00 00 1C 03" + rest))[0].max_pdu == 8192


@pytest.mark.parametrize(
    "form",
    [
        "61",
        "61 05 A2 03 02 01",
        # cut within what is agreed
        "61 29 A1 09 06 07 60 85 74 05 08 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 10 04 0E 08 00 06 5F 1F 04 00 00 1C",
        # no DLMS name
        "61 2A A1 09 06 07 60 85 74 05 09 01 02 A2 03 02 01 00 A3 05 A1 03 02 01 00"
        "BE 10 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00",
        # two contexts
        "61 2A A1 09 06 07 60 85 74 05 08 01 02 A1 09 06 07 60 85 74 05 08 01 01 A2 03 02 01 00"
        "BE 10 04 0E 08 00 06 5F 1F 04 00 00 1C 03 20 00 FA 00",
    ],
)
def test_what_is_not_certain_stays_refused(form: str) -> None:
    with pytest.raises(ProtocolError):
        read_initiate_response(read_aare(h(form))[0].user_information or b"")


def test_a_challenge_whose_end_is_not_certain_stays_refused() -> None:
    """A wrong challenge would be a wrong proof, and meters lock out who proves wrongly."""
    broken = octets(HIGH).replace(h("AA 0A 80 08"), h("AA 0A 80 05"))
    with pytest.raises(ProtocolError):
        read_aare(broken)


def test_a_refusal_is_read_too() -> None:
    refused = h("61 20 A1 09 06 07 60 85 74 05 08 01 01 A2 03 02 01 01 A3 05 A1 03 02 01 02")
    assert read_aare(refused)[0] == Aare(Context.LN, 1, 2)
    with_error = refused + h("BE 06 04 04 0E 01 06 03 00 00")
    assert read_aare(with_error)[0].user_information == h("0E 01 06 03")


@pytest.mark.parametrize("length", [0x1E, 0x20])
@pytest.mark.parametrize("head", ["28", "DB 08 4D4D4D0000BC614E"])
@pytest.mark.parametrize("behind", [b"", b"\0\0"])
def test_ciphered_user_information_with_a_wrong_length(
    length: int, head: str, behind: bytes
) -> None:
    sealed = bytes((0x30, *range(30)))
    whole = h(head) + bytes((0x1F,)) + sealed
    assert mend_sealed(whole) == (whole, "")
    mended, quirk = mend_sealed(h(head) + bytes((length,)) + sealed + behind)
    assert mended == whole
    assert quirk


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 90))
def test_noise(noise: bytes, at: int) -> None:
    for apdu in (noise, octets(HIGH)[:at] + noise, octets(PLAIN)[:at] + noise):
        try:
            found, _ = read_aare(apdu)
            assert found.mechanism is None or isinstance(found.mechanism, int)
            read_initiate_response(mend_sealed(found.user_information or b"")[0])
        except ProtocolError:
            continue
