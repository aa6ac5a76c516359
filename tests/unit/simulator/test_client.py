"""Our client and the simulated meter, each written from the standard: they understand each other.

One test per cell of framing, authentication, security and suite; the answers are compared with
what the meter itself says.
"""

from __future__ import annotations

from typing import Any

import pytest

from dlms_connector.config.model import Device
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError, RefusedError, SecurityError
from dlms_connector.obis import Obis
from dlms_connector.protocol.client import Client, make_client
from dlms_connector.protocol.data.axdr import encode as encode_theirs
from dlms_connector.protocol.talk import Talk
from dlms_connector.simulator import Connection, Meter
from dlms_connector.simulator.encoding.data import encode
from dlms_connector.simulator.options import EXAMPLE_KEY_256
from dlms_connector.simulator.security import example_keys
from dlms_connector.simulator.serving.sample import sample_configuration
from tests.support.simulated import NOW, make_meter

VOLTAGE = AttributeRef(3, Obis.parse("1-0:32.7.0"), 2)
CLOCK = AttributeRef(8, Obis.parse("0-0:1.0.0"), 2)
NOBODY = AttributeRef(3, Obis.parse("1-0:99.99.0"), 2)
OBJECTS = AttributeRef(15, Obis.parse("0-0:40.0.0"), 2)
FRAMINGS = ("HDLC", "WRAPPER")
AUTHENTICATIONS = (
    *("NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1"),
    *("HIGH_SHA256", "HIGH_GMAC", "HIGH_ECDSA"),
)
KINDS = ("AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION")
SECURITIES = (("NONE", 0), *((kind, suite) for suite in (0, 1, 2) for kind in KINDS))
CELLS = [
    pytest.param(*cell, id="-".join(map(str, cell)))
    for framing in FRAMINGS
    for referencing in ("LN", "SN")
    for authentication in AUTHENTICATIONS
    for security, suite in SECURITIES
    if (cell := (framing, referencing, authentication, security, suite))
]


def run(talk: Talk[Any], connection: Connection) -> Any:
    """Carry a talk out against a meter without a socket."""
    try:
        out = next(talk)
        while True:
            out = talk.send(connection.feed(out) if out else b"")
    except StopIteration as stop:
        return stop.value


def make_pair(meter: Meter, **dlms: Any) -> tuple[Client, Connection]:
    """Return a client that is configured as `simulate --print-config` says, and its line."""
    (entry,) = sample_configuration([(meter.options, "127.0.0.1", 4059)])["devices"]
    device = Device.model_validate(
        {
            "deviceName": entry["deviceName"],
            "connection": {"type": "tcp", "host": "127.0.0.1", "retries": 0},
            "dlms": entry["dlms"] | dlms,
        }
    )
    return make_client(device), Connection([meter])


def secured(**options: Any) -> Meter:
    keys: dict[str, Any] = {}
    if options.get("security_suite") == 2:
        keys = {"block_cipher_key": EXAMPLE_KEY_256, "authentication_key": EXAMPLE_KEY_256[::-1]}
    return make_meter(client_address=1, hold_at=NOW, **options, **keys)


def check(meter: Meter, client: Client, connection: Connection) -> None:
    """Read a value, a list with a refused item and a long value; say goodbye."""
    run(client.connect(), connection)
    results = run(client.get([VOLTAGE, CLOCK, NOBODY]), connection)
    expected = [meter.value(ref.class_id, ref.obis.octets, 2) for ref in (VOLTAGE, CLOCK)]
    assert [encode_theirs(value) for value in results[:2]] == [encode(value) for value in expected]
    assert isinstance(results[2], ObjectError)
    assert results[2].code == 4
    run(client.release(), connection)
    assert not meter.association_held


@pytest.mark.parametrize(("framing", "referencing", "authentication", "security", "suite"), CELLS)
def test_cell(
    framing: str, referencing: str, authentication: str, security: str, suite: int
) -> None:
    meter = secured(
        framing=framing,
        referencing=referencing,
        authentication=authentication,
        security=security,
        security_suite=suite,
    )
    client, connection = make_pair(meter)
    check(meter, client, connection)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("dedicated", [False, True])
def test_ways_to_cipher(framing: str, general: bool, dedicated: bool) -> None:
    meter = secured(framing=framing, security="AUTHENTICATION_ENCRYPTION")
    extra = {"dedicatedKey": bytes(range(16)).hex()} if dedicated else {}
    client, connection = make_pair(meter, generalCiphering=general, **extra)
    check(meter, client, connection)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_long_values(framing: str) -> None:
    meter = make_meter(framing=framing)
    client, connection = make_pair(meter)
    run(client.connect(), connection)
    (listed,) = run(client.get([OBJECTS]), connection)
    assert len(listed.value) == len(meter.objects)


@pytest.mark.parametrize("fault", ["bad-tag", "plain-replies", "replayed-counter"])
def test_forgeries_are_found(fault: str) -> None:
    meter = secured(framing="WRAPPER", security="AUTHENTICATION_ENCRYPTION")
    client, connection = make_pair(meter)
    run(client.connect(), connection)
    assert run(client.get([VOLTAGE]), connection)
    meter.faults.set(fault)
    with pytest.raises(SecurityError):
        run(client.get([VOLTAGE]), connection)


def test_a_meter_that_proves_itself_wrongly() -> None:
    for authentication in AUTHENTICATIONS[2:]:
        meter = secured(framing="WRAPPER", authentication=authentication)
        meter.faults.set("wrong-server-challenge")
        client, connection = make_pair(meter)
        with pytest.raises(SecurityError):
            run(client.connect(), connection)


def test_a_counter_that_must_start_at_one() -> None:
    meter = secured(framing="WRAPPER", security="AUTHENTICATION", invocation_counter=5000)
    meter.faults.set("counter-from-one")
    client, connection = make_pair(meter)
    run(client.connect(), connection)
    assert meter.received_counter == 1
    run(client.get([VOLTAGE]), connection)
    with pytest.raises(RefusedError):  # the same counter goes on counting
        run(client.connect(), connection)


def test_the_example_keys_are_no_secret_and_no_accident() -> None:
    assert example_keys.private_octets(example_keys.client_key(1)).hex().startswith("00")
    assert len(example_keys.public_octets(example_keys.meter_key(2))) == 96
