"""ECDSA signatures as DLMS carries them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    derive_private_key,
)

from dlms_connector.errors import ConfigError
from dlms_connector.protocol.security.signing import (
    Signer,
    read_private_key,
    read_public_key,
    write_public_key,
)
from tests.support.secured_meter import CLIENT_NUMBER, SERVER_NUMBER


@pytest.mark.parametrize(("suite", "size"), [(0, 32), (1, 32), (2, 48)])
def test_signed_here_verified_there(suite: int, size: int) -> None:
    curve = SECP384R1() if suite == 2 else SECP256R1()
    client = read_private_key(suite, CLIENT_NUMBER.to_bytes(size, "big"), "signingKey")
    meter = derive_private_key(SERVER_NUMBER, curve)
    public = read_public_key(suite, write_public_key(client.public_key()), "serverSigningKey")
    ours, theirs = Signer(suite, client, meter.public_key()), Signer(suite, meter, public)
    signature = ours.sign(b"message")
    assert len(signature) == 2 * size
    assert theirs.verifies(signature, b"message")
    assert not theirs.verifies(signature, b"messagf")
    assert not theirs.verifies(signature[:-1], b"message")
    assert not theirs.verifies(bytes(2 * size), b"message")
    assert not ours.verifies(signature, b"message")


#: Public key, message and signature: suite 1 from the Green Book's keys for key agreement
#: (C.1), suite 2 from the NSA's Suite B implementer's guide to ECDSA, D.2.
SAMPLES = {
    1: (
        "BAAFFDE06A8CB1C9DAE8D94023C601DBBB249254BA22EDD827E820BCA2BCC643"
        "62FBB83D86A82B87BB8B7161D2AAB5521911A946B97A284A90F7785CD9047D25",
        "002914D60E10AB705F62ED6CC349D7CB99B9AB3F3978E59278C7AF595B3AF98794"
        "1372DAB6D5AF1FA867E134167E6F23DE664A6693E05F43414611058D1B48F894",
        "06F0607702AA0E2435A183E2F6B1ECD19629712E389A213610C03F77B2590860"
        "EA840AF5C3FA1F2BCDF055D4744E9A01CE9A0E55026BCAA4EEBEB764CED64BB3",
    ),
    2: (
        "1FBAC8EEBD0CBF35640B39EFE0808DD774DEBFF20A2A329E91713BAF7D7F3C3E"
        "81546D883730BEE7E48678F857B02CA0EB213103BD68CE343365A8A4C3D4555F"
        "A385F5330203BDD76FFAD1F3AFFB95751C132007E1B240353CB0A4CF1693BDF9",
        "54686973206973206F6E6C7920612074657374206D6573736167652E20497420"
        "6973203438206279746573206C6F6E67",
        "A0C27EC893092DEA1E1BD2CCFED3CF945C8134ED0C9F81311A0F4A05942DB8DB"
        "ED8DD59F267471D5462AA14FE72DE85620AB3F45B74F10B6E11F96A2C8EB694D"
        "206B9DDA86D3C7E331C26B22C987B7537726577667ADADF168EBBE803794A402",
    ),
}


@pytest.mark.parametrize("suite", SAMPLES)
def test_published_signatures(suite: int) -> None:
    public, message, signature = (bytes.fromhex(text) for text in SAMPLES[suite])
    mine = read_private_key(suite, CLIENT_NUMBER.to_bytes(len(public) // 2, "big"), "signingKey")
    signer = Signer(suite, mine, read_public_key(suite, public, "serverSigningKey"))
    assert signer.verifies(signature, message)
    for at in range(len(signature)):
        wrong = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        assert not signer.verifies(wrong, message)


def test_the_key_pair_of_the_green_book() -> None:
    secret = "418073C239FA6125011DE4D6CD2E645780289F761BB21BFB0835CB5585E8B373"
    private = read_private_key(1, bytes.fromhex(secret), "signingKey")
    assert write_public_key(private.public_key()).hex().upper() == SAMPLES[1][0]


def test_points_with_and_without_the_leading_four() -> None:
    point = write_public_key(derive_private_key(CLIENT_NUMBER, SECP256R1()).public_key())
    assert len(point) == 64
    for form in (point, b"\x04" + point):
        assert write_public_key(read_public_key(1, form, "serverSigningKey")) == point


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32, bytes(48)])
def test_private_keys_that_are_none(key: bytes) -> None:
    with pytest.raises(ConfigError, match=r"dlms\.signingKey: suite 1") as caught:
        read_private_key(1, key, "signingKey")
    assert caught.value.__context__ is None or caught.value.__cause__ is None


@pytest.mark.parametrize("key", [b"", bytes(64), b"\x01" * 64, b"\x04" + bytes(64), bytes(96)])
def test_public_keys_that_are_no_point(key: bytes) -> None:
    with pytest.raises(ConfigError, match=r"dlms\.serverSigningKey"):
        read_public_key(1, key, "serverSigningKey")


def test_keys_do_not_show() -> None:
    pair = derive_private_key(CLIENT_NUMBER, SECP256R1())
    assert repr(Signer(1, pair, pair.public_key())) == "<signing keys>"
