"""ECDSA signatures as DLMS carries them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    derive_private_key,
)

from dlms_connector.errors import ConfigError
from dlms_connector.protocol.signing import (
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
