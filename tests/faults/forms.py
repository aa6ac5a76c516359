"""The forms of ciphering that we speak, each as a device and as the meter that it meets."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import product
from typing import Any

from dlms_connector.config import Device
from dlms_connector.simulator import Meter, MeterOptions
from dlms_connector.simulator.security.example_keys import (
    client_key,
    meter_key,
    private_octets,
    public_octets,
)
from tests.faults.victims import EPOCH, PERIOD_S

CIPHERINGS = ("glo", "ded", "general-glo", "general-ded")
SUITES = (0, 1, 2)
PROTECTIONS = ("AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION")
MECHANISMS = (
    *("LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256"),
    "HIGH_ECDSA",
)
OUR_TITLE = bytes.fromhex("4142430000000001")
OBIS = "1-0:21.8.0"
_PASSWORD = "secret of 16 byt"


@dataclass(frozen=True)
class Form:
    """A form of ciphering, with a mechanism of authentication."""

    ciphering: str
    suite: int
    protection: str
    mechanism: str

    @property
    def name(self) -> str:
        """What it is called in results."""
        return "-".join(str(one) for one in astuple(self))

    @property
    def is_dedicated(self) -> bool:
        """Whether a key of this association is used."""
        return self.ciphering.endswith("ded")

    @property
    def is_general(self) -> bool:
        """Whether APDUs name the sender."""
        return self.ciphering.startswith("general")

    @property
    def has_tag(self) -> bool:
        """Whether what is sent is authenticated."""
        return self.protection != "ENCRYPTION"


def forms() -> list[Form]:
    """Return all forms, each with two mechanisms, and each mechanism in each ciphering."""
    found = []
    for number, (ciphering, suite, protection) in enumerate(
        product(CIPHERINGS, SUITES, PROTECTIONS)
    ):
        if ciphering.endswith("ded") and protection == "AUTHENTICATION":
            continue  # a dedicated key travels encrypted
        for step in (0, 3):
            mechanism = MECHANISMS[(number + step) % len(MECHANISMS)]
            if suite == 0 and mechanism == "HIGH_ECDSA":
                mechanism = "LOW"
            found.append(Form(ciphering, suite, protection, mechanism))
    return list(dict.fromkeys(found))


def _keys(form: Form, number: int) -> tuple[bytes, bytes]:
    """Return keys of its own for each run, so that they share no counters."""
    size = 32 if form.suite == 2 else 16
    return number.to_bytes(size, "little"), bytes(range(size))


def make_meter(form: Form, number: int, now: Any, **more: Any) -> Meter:
    """Return the meter."""
    block, authentication = _keys(form, number)
    named: Any = form
    return Meter(
        MeterOptions(
            framing="WRAPPER",
            client_address=1,
            authentication=named.mechanism,
            password=_PASSWORD.encode(),
            security=named.protection,
            security_suite=named.suite,
            block_cipher_key=block,
            authentication_key=authentication,
            now=lambda: EPOCH + now(),
            monotonic=now,
            **more,
        )
    )


def make_device(form: Form, number: int) -> Device:
    """Return the device, with one register."""
    block, authentication = (f"hex:{key.hex()}" for key in _keys(form, number))
    dlms: dict[str, Any] = {
        "interfaceType": "WRAPPER",
        "clientAddress": 1,
        "authentication": form.mechanism,
        "security": form.protection,
        "securitySuite": form.suite,
        "password": _PASSWORD,
        "systemTitle": OUR_TITLE.hex(),
        "blockCipherKey": block,
        "authenticationKey": authentication,
        "generalCiphering": form.is_general,
    }
    if form.is_dedicated:
        dlms["dedicatedKey"] = block
    if form.mechanism == "HIGH_ECDSA":
        dlms["signingKey"] = f"hex:{private_octets(client_key(form.suite)).hex()}"
        dlms["serverSigningKey"] = public_octets(meter_key(form.suite)).hex()
    return Device.model_validate(
        {
            "deviceName": f"M{number}",
            "connection": {
                "host": "h", "timeoutMs": 5000, "retries": 1, "keepOpen": False,
            },
            "dlms": dlms,
            "pollPeriod": round(PERIOD_S * 1000),
            "timeseries": [{"key": "energy", "obis": OBIS, "scaler": 0, "unit": "Wh"}],
        }
    )  # fmt: skip
