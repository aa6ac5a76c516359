"""A sample `dlms.json` for simulated meters, which an engineer can start from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlms_connector.simulator.options import MeterOptions
from dlms_connector.simulator.security.example_keys import (
    client_key,
    meter_key,
    private_octets,
    public_octets,
)

_HOUSEHOLD = {
    "attributes": [
        {"key": "serialNumber", "obis": "0-0:96.1.0", "class": "data", "pollPeriod": 86_400_000},
    ],
    "timeseries": [
        {"key": "voltage_l1", "obis": "1-0:32.7.0"},
        {"key": "current_l1", "obis": "1-0:31.7.0"},
        {"key": "frequency", "obis": "1-0:14.7.0"},
        {"key": "active_power", "obis": "1-0:1.7.0"},
        {"key": "active_energy", "obis": "1-0:1.8.0", "unit": "kWh"},
    ],
}
_MICROSTAR = {
    "timeseries": [
        {"key": "voltage_l1", "obis": "1-1:32.7.0"},
        {"key": "current_l1", "obis": "1-1:31.7.0"},
        {"key": "frequency", "obis": "1-1:14.7.0"},
        {"key": "active_power", "obis": "1-1:1.7.0"},
        {"key": "active_energy", "obis": "1-1:1.8.0", "unit": "kWh"},
    ],
}
_ITEMS: dict[str, dict[str, Any]] = {"household": _HOUSEHOLD, "microstar": _MICROSTAR}
_TITLED = ("HIGH_GMAC", "HIGH_SHA256", "HIGH_ECDSA")
_DEFAULT_ADDRESSES = {"clientAddress": 16, "logicalAddress": 1, "physicalAddress": 1}


def sample_configuration(
    meters: Sequence[tuple[MeterOptions, str, int]], *, udp: bool = False
) -> dict[str, Any]:
    """Return a configuration for meters at hosts and ports; default values are left out."""
    return {
        "defaults": {"pollPeriod": 5000},
        "devices": [_device(options, host, port, udp=udp) for options, host, port in meters],
    }


def _device(options: MeterOptions, host: str, port: int, *, udp: bool) -> dict[str, Any]:
    return {
        "deviceName": f"DLMS-Meter-{options.serial:02d}",
        "connection": {"type": "udp" if udp else "tcp", "host": host, "port": port},
        "dlms": _dlms(options),
        **_ITEMS[options.profile],
    }


def _password(octets: bytes) -> str:
    """Write a password so that it is not read as a hex value or a reference by mistake."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = ""
    return f"hex:{octets.hex()}" if not text or text.startswith("hex:") or "${" in text else text


def _dlms(options: MeterOptions) -> dict[str, Any]:
    addresses = {
        "clientAddress": options.client_address,
        "logicalAddress": options.logical_address,
        "physicalAddress": options.physical_address,
    }
    section: dict[str, Any] = {"interfaceType": options.framing}
    section |= {
        key: addresses[key] for key in addresses if addresses[key] != _DEFAULT_ADDRESSES[key]
    }
    if options.referencing == "SN":
        section["referencing"] = "SN"
    if options.authentication != "NONE":
        section["authentication"] = options.authentication
    if options.authentication not in ("NONE", "HIGH_GMAC", "HIGH_ECDSA"):
        section["password"] = _password(options.password)
    if options.authentication == "HIGH_ECDSA":
        section["signingKey"] = private_octets(client_key(options.security_suite)).hex().upper()
        meter_octets = public_octets(meter_key(options.security_suite))
        section["serverSigningKey"] = meter_octets.hex().upper()
        section["securitySuite"] = options.security_suite
    if options.authentication in _TITLED:
        section["systemTitle"] = "434C490000000001"
    if options.security != "NONE" or options.authentication == "HIGH_GMAC":
        section |= {
            "security": options.security,
            "securitySuite": options.security_suite,
            "systemTitle": "434C490000000001",
            "authenticationKey": options.authentication_key.hex().upper(),
            "blockCipherKey": options.block_cipher_key.hex().upper(),
            "invocationCounter": "0-0:43.1.0",
        }
    return section
