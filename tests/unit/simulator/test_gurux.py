"""The simulated meter as an independent client sees it: Gurux's, framing included."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.ecdsa import GXPrivateKey, GXPublicKey
from gurux_dlms.enums import (
    Authentication,
    Conformance,
    DataType,
    InterfaceType,
    ObjectType,
    Security,
)
from gurux_dlms.objects import (
    GXDLMSAssociationShortName,
    GXDLMSClock,
    GXDLMSData,
    GXDLMSDisconnectControl,
    GXDLMSObject,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
)
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient

from dlms_connector.simulator import Connection, Meter, MeterOptions, microstar

NOW = 1_790_000_000.0
HDLC, WRAPPER = InterfaceType.HDLC, InterfaceType.WRAPPER
FRAMINGS = pytest.mark.parametrize("framing", ["HDLC", "WRAPPER"])
AES_256 = bytes(range(32))


def fixed_clock() -> float:
    return NOW


def make_meter(**options: Any) -> Meter:
    options.setdefault("now", fixed_clock)
    options.setdefault("hold_at", NOW)
    return Meter(MeterOptions(**options))


class Client:
    """Gurux's client over a connection without a socket."""

    def __init__(self, meter: Meter, **settings: Any) -> None:
        options = meter.options
        self.connection = Connection([meter])
        self.framing = HDLC if options.framing == "HDLC" else WRAPPER
        address = options.logical_address
        if self.framing == HDLC:
            address = GXDLMSSecureClient.getServerAddress(address, options.physical_address)
        authentication = settings.pop("authentication", options.authentication)
        self.gurux = GXDLMSSecureClient(
            options.referencing == "LN",
            settings.pop("client", options.client_address),
            address,
            getattr(Authentication, authentication),
            settings.pop("password", options.password.decode()),
            self.framing,
        )
        self.gurux.ciphering.systemTitle = b"CLI00001"
        self.gurux.ciphering.blockCipherKey = options.block_cipher_key
        self.gurux.ciphering.authenticationKey = options.authentication_key
        self.gurux.ciphering.invocationCounter = 1
        for name, value in settings.items():
            setattr(self.gurux, name, value)

    def secure(self, security: int, suite: int = 0) -> Client:
        self.gurux.ciphering.security = Security(security)
        self.gurux.ciphering.securitySuite = SecuritySuite(suite)
        return self

    def talk(self, messages: Any) -> GXReplyData:
        reply = GXReplyData()
        for message in _flat(messages):
            reply.clear()
            self._exchange(message, reply)
            while reply.isMoreData():
                self._exchange(self.gurux.receiverReady(reply), reply)
        return reply

    def _exchange(self, message: Any, reply: GXReplyData) -> None:
        self.asked = bytes(message)
        out = b"".join(self.connection.feed(bytes((octet,))) for octet in bytes(message))
        buffer = GXByteBuffer()
        buffer.set(bytearray(out))
        assert self.gurux.getData(buffer, reply, GXReplyData()), out.hex()

    def connect(self) -> Client:
        gurux = self.gurux
        if self.framing == HDLC:
            gurux.parseUAResponse(self.talk(gurux.snrmRequest()).data)
        gurux.parseAareResponse(self.talk(gurux.aarqRequest()).data)
        if gurux.authentication > Authentication.LOW:
            reply = self.talk(gurux.getApplicationAssociationRequest())
            gurux.parseApplicationAssociationResponse(reply.data)
        return self

    def read(self, thing: GXDLMSObject, attribute: int = 2) -> Any:
        return self.talk(self.gurux.read(thing, attribute)).value


def _flat(messages: Any) -> Iterator[Any]:
    if isinstance(messages, list):
        for message in messages:
            yield from _flat(message)
    elif messages:
        yield messages


def voltage() -> GXDLMSRegister:
    return GXDLMSRegister("1.0.32.7.0.255")


@FRAMINGS
@pytest.mark.parametrize("authentication", ["NONE", "LOW"])
def test_association_read_and_goodbye(framing: str, authentication: str) -> None:
    meter = make_meter(framing=framing, authentication=authentication)
    client = Client(meter).connect()
    assert client.read(voltage(), 3) == [-1, 35]
    assert 2200 < client.read(voltage()) < 2400
    client.talk(client.gurux.releaseRequest())
    assert meter.seen["rlrq"] == 1
    if framing == "HDLC":
        client.talk(client.gurux.disconnectRequest())
        assert meter.seen["disc"] == 1


@FRAMINGS
def test_wrong_password_is_refused_with_its_diagnostic(framing: str) -> None:
    client = Client(make_meter(framing=framing, authentication="LOW"), password="wrong")
    with pytest.raises(Exception, match=r"(?i)authentication.failure"):
        client.connect()


@FRAMINGS
def test_list(framing: str) -> None:
    client = Client(make_meter(framing=framing)).connect()
    things = [(voltage(), 2), (GXDLMSClock("0.0.1.0.0.255"), 2), (GXDLMSData("0.0.42.0.0.255"), 2)]
    volts, clock, name = client.talk(client.gurux.readList(things)).value
    assert 2200 < volts < 2400
    assert bytes(clock) == bytes.fromhex("07EA0915010E0D1400000000")
    assert bytes(name) == b"SIM0000000000001"


@FRAMINGS
def test_long_values_come_in_blocks_and_segments(framing: str) -> None:
    meter = make_meter(framing=framing)
    client = Client(meter, maxReceivePDUSize=200).connect()
    reply = client.talk(client.gurux.getObjectsRequest())
    found = client.gurux.parseObjects(reply.data, True)
    assert len(found) == len(meter.objects)
    assert meter.seen["get-next"] > 10


def test_profile_by_range_and_by_entry() -> None:
    client = Client(make_meter(framing="WRAPPER")).connect()
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    client.gurux.updateValue(profile, 3, client.read(profile, 3))
    assert len(profile.captureObjects) == 5
    rows = client.talk(client.gurux.readRowsByEntry(profile, 2, 3)).value
    assert len(rows) == 3
    first, last = rows[0][0], rows[2][0]
    moments = [
        client.gurux.changeType(moment, DataType.DATETIME, client.gurux.useUtc2NormalTime)
        for moment in (first, last)
    ]
    ranged = client.talk(client.gurux.readRowsByRange(profile, *moments)).value
    assert ranged == rows


@FRAMINGS
def test_writing_and_switching(framing: str) -> None:
    meter = make_meter(framing=framing)
    client = Client(meter).connect()
    clock = GXDLMSClock("0.0.1.0.0.255")
    client.talk(client.gurux.method(clock, 6, -60, DataType.INT16))
    assert meter.clock() == NOW - 60
    relay = GXDLMSDisconnectControl("0.0.96.3.10.255")
    client.talk(client.gurux.method(relay, 1, 0, DataType.INT8))
    assert client.read(relay) is False
    assert client.read(GXDLMSRegister("1.0.1.7.0.255")) == 0
    client.talk(client.gurux.method(relay, 2, 0, DataType.INT8))
    assert client.read(relay, 3) == 1


@FRAMINGS
@pytest.mark.parametrize(
    "authentication", ["HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_SHA256", "HIGH_GMAC"]
)
def test_high_level_security(framing: str, authentication: str) -> None:
    meter = make_meter(framing=framing, authentication=authentication, client_address=1)
    client = Client(meter).connect()
    assert client.read(voltage()) > 0
    assert meter.seen["proof"] == 1


def test_high_level_security_with_the_wrong_secret() -> None:
    meter = make_meter(framing="WRAPPER", authentication="HIGH_MD5", client_address=1)
    with pytest.raises(Exception, match="Server to Client do not match"):
        Client(meter, password="87654321").connect()
    assert meter.seen["refused"] == 1


def test_a_meter_that_proves_itself_wrongly() -> None:
    meter = make_meter(framing="WRAPPER", authentication="HIGH_SHA1", client_address=1)
    meter.faults.set("wrong-server-challenge")
    with pytest.raises(Exception, match="Server to Client do not match"):
        Client(meter).connect()


@FRAMINGS
@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize(
    ("security", "bits"),
    [("AUTHENTICATION", 0x10), ("ENCRYPTION", 0x20), ("AUTHENTICATION_ENCRYPTION", 0x30)],
)
def test_ciphering(framing: str, security: str, bits: int, suite: int) -> None:
    keys: dict[str, Any] = (
        {"block_cipher_key": AES_256, "authentication_key": AES_256[::-1]} if suite == 2 else {}
    )
    meter = make_meter(
        framing=framing,
        authentication="HIGH_GMAC",
        client_address=1,
        security=security,
        security_suite=suite,
        **keys,
    )
    client = Client(meter).secure(bits, suite).connect()
    assert client.read(voltage(), 3) == [-1, 35]
    assert 2200 < client.read(voltage()) < 2400
    assert meter.received_counter >= 3
    public = Client(meter, client=16, authentication="NONE").connect()
    counter = GXDLMSData("0.0.43.1.0.255")
    assert public.read(counter) == meter.received_counter


@FRAMINGS
@pytest.mark.parametrize("dedicated", [False, True])
@pytest.mark.parametrize("general", [False, True])
def test_general_and_dedicated_ciphering(framing: str, general: bool, dedicated: bool) -> None:
    meter = make_meter(framing=framing, client_address=1, security="AUTHENTICATION_ENCRYPTION")
    client = Client(meter).secure(0x30)
    if general:
        client.gurux.proposedConformance |= Conformance.GENERAL_PROTECTION
    else:
        client.gurux.proposedConformance &= ~Conformance.GENERAL_PROTECTION
    if dedicated:
        client.gurux.ciphering.dedicatedKey = bytes(range(16))
    client.connect()
    assert client.read(voltage(), 3) == [-1, 35]
    tag = {(False, False): 0xC8, (False, True): 0xD0, (True, False): 0xDB, (True, True): 0xDC}
    start = 12 if framing == "HDLC" else 8
    assert client.asked[start] == tag[general, dedicated]
    assert 2200 < client.read(voltage()) < 2400


def test_a_replayed_request_is_answered_with_the_expected_counter() -> None:
    meter = make_meter(framing="WRAPPER", client_address=1, security="AUTHENTICATION_ENCRYPTION")
    client = Client(meter).secure(0x30).connect()
    request = client.gurux.read(voltage(), 2)[0]
    client.connection.feed(bytes(request))
    replayed = client.connection.feed(bytes(request))
    assert replayed[8:] == b"\xd8\x01\x06" + (meter.received_counter + 1).to_bytes(4, "big")
    assert meter.seen["replayed"] == 1


def test_a_forged_request_is_refused() -> None:
    meter = make_meter(framing="WRAPPER", client_address=1, security="AUTHENTICATION")
    client = Client(meter).secure(0x10).connect()
    request = bytearray(client.gurux.read(voltage(), 2)[0])
    request[-1] ^= 1
    assert client.connection.feed(bytes(request))[8:] == b"\xd8\x01\x05"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Gurux's keys need Python 3.11")
def test_signatures() -> None:
    """Gurux signs well, but its check of a signature never succeeds: ours is checked apart."""
    ours, theirs = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    meter = make_meter(
        framing="WRAPPER",
        authentication="HIGH_ECDSA",
        client_address=1,
        security_suite=1,
        signing_key=theirs,
        client_verifying_key=ours.public_key(),
    )
    client = Client(meter).secure(0, 1)
    gurux = client.gurux
    gurux.ciphering.signingKeyPair = _gurux_keys(ours, theirs)
    gurux.parseAareResponse(client.talk(gurux.aarqRequest()).data)
    reply = client.talk(gurux.getApplicationAssociationRequest())
    proof = bytes(reply.value)
    r, s = int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big")
    settings = gurux.settings
    text = meter.options.title() + b"CLI00001"
    text += bytes(settings.ctoSChallenge) + bytes(settings.stoCChallenge)
    signature = encode_dss_signature(r, s)
    theirs.public_key().verify(signature, text, ec.ECDSA(hashes.SHA256()))
    assert client.read(voltage()) > 0


def _gurux_keys(ours: Any, theirs: Any) -> tuple[Any, Any]:
    numbers = theirs.public_key().public_numbers()
    point = numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    secret = ours.private_numbers().private_value.to_bytes(32, "big")
    return GXPublicKey.fromRawBytes(bytearray(point)), GXPrivateKey.fromRawBytes(bytearray(secret))


@FRAMINGS
def test_short_names(framing: str) -> None:
    meter = make_meter(framing=framing, referencing="SN", authentication="LOW")
    client = Client(meter).connect()
    listed = client.read(GXDLMSAssociationShortName())
    names = {bytes(row[3]): (row[0], row[1]) for row in listed}
    assert len(names) == len({name for _, name in meter.objects})
    base, class_id = names[bytes.fromhex("0100200700FF")]
    assert class_id == ObjectType.REGISTER
    register = voltage()
    register.shortName = base
    assert 2200 < client.read(register) < 2400
    assert client.read(register, 3) == [-1, 35]


def test_the_meter_of_the_reference_frames() -> None:
    meter = Meter(microstar())
    client = Client(meter).connect()
    registers = ["1.1.32.7.0.255", "1.1.31.7.0.255"]
    assert [client.read(GXDLMSRegister(name)) for name in registers] == [13519, 1329]
    assert [client.read(GXDLMSRegister(name), 3) for name in registers] == [[-2, 35], [-3, 33]]


def test_noise_never_upsets_the_meter() -> None:
    rng = random.Random(7)
    for framing in ("HDLC", "WRAPPER"):
        client = Client(make_meter(framing=framing)).connect()
        good = bytes(client.gurux.read(voltage(), 2)[0])
        for _ in range(2000):
            bad = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            client.connection.feed(bytes(bad))
