"""HLS mechanisms, byte for byte against another implementation, and against liars."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from gurux_dlms.enums.Authentication import Authentication
from gurux_dlms.GXSecure import GXSecure
from hypothesis import given, settings
from hypothesis import strategies as st

from dlms_connector.errors import SecurityError
from dlms_connector.protocol.acse.acse import Mechanism
from dlms_connector.protocol.security.authentication import Challenges, Credentials, Handshake, Side
from dlms_connector.protocol.security.ciphering import CountUp, Keys
from dlms_connector.protocol.security.signing import Signer
from tests.support.secured_meter import (
    CLIENT_NUMBER,
    CLIENT_TITLE,
    SECRET,
    SERVER_NUMBER,
    SERVER_TITLE,
    authentication_key,
    block_key,
)

CLIENT = Side(CLIENT_TITLE, b"client's question")
METER = Side(SERVER_TITLE, b"meter's question")
CLIENT_PAIR = derive_private_key(CLIENT_NUMBER, SECP256R1())
METER_PAIR = derive_private_key(SERVER_NUMBER, SECP256R1())
HIGH = [mechanism for mechanism in Mechanism if mechanism > Mechanism.LOW]


def credentials(of_client: bool, suite: int = 1, secret: bytes = SECRET) -> Credentials:
    mine, theirs = (CLIENT_PAIR, METER_PAIR) if of_client else (METER_PAIR, CLIENT_PAIR)
    return Credentials(
        secret,
        Keys(suite, block_key(suite), authentication_key(suite)),
        Signer(1, mine, theirs.public_key()),
    )


def handshakes(mechanism: Mechanism) -> tuple[Handshake, Handshake]:
    return (
        Handshake(mechanism, credentials(True), CLIENT, METER),
        Handshake(mechanism, credentials(False), METER, CLIENT),
    )


@pytest.mark.parametrize("mechanism", HIGH)
def test_both_sides_believe_each_other(mechanism: Mechanism) -> None:
    client, meter = handshakes(mechanism)
    meter.verify(client.answer(CountUp()))
    client.verify(meter.answer(CountUp()))


@pytest.mark.parametrize("mechanism", HIGH)
def test_wrong_answers(mechanism: Mechanism) -> None:
    client, meter = handshakes(mechanism)
    right = meter.answer(CountUp())
    wrong = [b"", right[:-1], right + b"\0", bytes(len(right)), client.answer(CountUp())]
    wrong += [bytes([right[0] ^ 1]) + right[1:], right[:-1] + bytes([right[-1] ^ 1])]
    for answer in wrong:
        with pytest.raises(SecurityError, match="answer to our challenge is wrong"):
            client.verify(answer)


@pytest.mark.parametrize("mechanism", HIGH)
def test_a_mirror_is_refused(mechanism: Mechanism) -> None:
    with pytest.raises(SecurityError, match="mirrors"):
        Handshake(mechanism, credentials(True), CLIENT, Side(SERVER_TITLE, CLIENT.challenge))


@pytest.mark.parametrize("size", [8, 15, 16, 17, 32, 40, 64])
def test_parts_of_our_challenge_are_a_mirror_where_blocks_are_encrypted(size: int) -> None:
    mine = bytes(range(1, size)) + b"\0"
    ecb = [mine[:-1], mine + b"\0", mine[:16].ljust(16, b"\0") + b"x" * 16, b"x" * 16 + mine]
    for challenge in (each for each in ecb if 8 <= len(each) <= 64):
        with pytest.raises(SecurityError, match="mirrors"):
            Handshake(Mechanism.HIGH, credentials(True), Side(b"", mine), Side(b"", challenge))
    # Padding is no part of a challenge.
    Handshake(Mechanism.HIGH, credentials(True), Side(b"", mine), Side(b"", b"x" * 17))


def test_challenges_are_remembered_long_enough() -> None:
    ours = Challenges(remembered=20)
    drawn = [ours.draw(16) for _ in range(100)]
    assert all(ours.holds(Mechanism.HIGH_MD5, each) for each in drawn[-20:])
    assert not ours.holds(Mechanism.HIGH_MD5, drawn[0])
    long = ours.draw(40)
    assert ours.holds(Mechanism.HIGH, b"something else.." + long[16:32])
    assert not ours.holds(Mechanism.HIGH_MD5, b"something else.." + long[16:32])


@pytest.mark.parametrize("mechanism", HIGH)
def test_a_mirrored_title_is_refused(mechanism: Mechanism) -> None:
    """Also where the mechanism itself has no use for titles: nobody else has ours."""
    with pytest.raises(SecurityError, match="mirrors"):
        Handshake(mechanism, credentials(True), CLIENT, Side(CLIENT_TITLE, METER.challenge))


@pytest.mark.parametrize("size", [0, 7, 65])
def test_challenges_have_8_to_64_octets(size: int) -> None:
    with pytest.raises(SecurityError, match="8 to 64"):
        Handshake(Mechanism.HIGH_MD5, credentials(True), CLIENT, Side(b"", bytes(size)))


def theirs(
    mechanism: Mechanism, challenge: bytes, secret: bytes, counter: int, suite: int
) -> bytes:
    chosen = SimpleNamespace(authentication=Authentication(int(mechanism)))
    cipher = SimpleNamespace(
        blockCipherKey=block_key(suite),
        authenticationKey=authentication_key(suite),
        securitySuite=suite,
    )
    return bytes(GXSecure.secure(chosen, cipher, counter, challenge, secret))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([Mechanism.HIGH, Mechanism.HIGH_MD5, Mechanism.HIGH_SHA1]),
    st.binary(min_size=8, max_size=64),
    st.binary(min_size=1, max_size=16),
)
def test_as_gurux_with_a_password(mechanism: Mechanism, challenge: bytes, secret: bytes) -> None:
    side = Side(SERVER_TITLE, challenge)
    ours = Handshake(mechanism, credentials(True, secret=secret), CLIENT, side).answer()
    assert ours == theirs(mechanism, challenge, secret, 0, 0)


def test_high_with_a_secret_longer_than_the_challenge() -> None:
    side = Side(SERVER_TITLE, b"12345678")
    for secret in (b"s" * 16, b"s" * 32, b"0123456789abcdef" * 4):
        ours = Handshake(Mechanism.HIGH, credentials(True, secret=secret), CLIENT, side).answer()
        assert ours == theirs(Mechanism.HIGH, side.challenge, secret, 0, 0)


def test_sha256_as_gurux() -> None:
    message = SECRET + CLIENT_TITLE + SERVER_TITLE + METER.challenge + CLIENT.challenge
    ours = handshakes(Mechanism.HIGH_SHA256)[0].answer()
    assert ours == theirs(Mechanism.HIGH_SHA256, METER.challenge, message, 0, 0)


@pytest.mark.parametrize("suite", [0, 1, 2])
def test_gmac_as_gurux(suite: int) -> None:
    client = Handshake(Mechanism.HIGH_GMAC, credentials(True, suite), CLIENT, METER)
    ours = client.answer(CountUp(77))
    assert ours == theirs(Mechanism.HIGH_GMAC, METER.challenge, CLIENT_TITLE, 77, suite)


def test_gmac_of_the_green_book() -> None:
    """The worked example of HLS 5: suite 0, counter 1, `P6wRJ21F` asked by the meter."""
    keys = Keys(0, block_key(0), authentication_key(0))
    client = Side(bytes.fromhex("4D4D4D0000000001"), b"K56iVagY")
    meter = Side(bytes.fromhex("4D4D4D0000BC614E"), b"P6wRJ21F")
    answer = Handshake(Mechanism.HIGH_GMAC, Credentials(keys=keys), client, meter).answer(CountUp())
    assert answer.hex().upper() == "10000000011A52FE7DD3E72748973C1E28"


def test_gmac_of_the_green_book_from_the_meter() -> None:
    """Its pass 4: the meter's counter is 01234567, `K56iVagY` asked by the client."""
    credentials = Credentials(keys=Keys(0, block_key(0), authentication_key(0)))
    client = Side(bytes.fromhex("4D4D4D0000000001"), b"K56iVagY")
    meter = Side(bytes.fromhex("4D4D4D0000BC614E"), b"P6wRJ21F")
    answer = bytes.fromhex("1001234567FE1466AFB3DBCD4F9389E2B7")
    theirs = Handshake(Mechanism.HIGH_GMAC, credentials, meter, client)
    assert theirs.answer(CountUp(0x01234567)) == answer
    ours = Handshake(Mechanism.HIGH_GMAC, credentials, client, meter)
    ours.verify(answer)
    for at in range(len(answer)):
        with pytest.raises(SecurityError):
            ours.verify(answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :])


def test_credentials_do_not_show() -> None:
    shown = repr(credentials(True)) + repr(CLIENT)
    assert "password" not in shown
    assert "question" not in shown
