"""The fleet of a soak run: kinds of meters, and how each is configured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import meters

#: The table of devices, beside the configuration.
TABLE = "fleet.csv"
LOAD = "1-0:99.1.0"
#: The key of what meters push, and of the shared attribute that is written into them.
PUSHED, LIMIT = "pushed", "limit"
#: What is polled of every meter, each under its code. No meter pushes these.
POLLED = ("1-0:32.7.0", "1-0:1.7.0", "1-0:2.8.0")
REST_MS = 86_400_000
#: Faults that each meter always has. No meter answers at once, but on one machine it takes a fifth
#: of a millisecond: where a poll ends just behind the next slot, that slot's poll follows at once,
#: and of two values in one millisecond the platform has one, as it stores by key and time.
ALWAYS: Mapping[str, float] = {"delay": 0.002}
_PUSHED_OBIS = "1-0:1.8.0"
_LAYOUT = [
    {"obis": "0-0:1.0.0", "class": "clock"},
    {"obis": "0-0:42.0.0", "class": "data"},
    {"obis": _PUSHED_OBIS, "scaler": 0, "unit": "Wh"},
]
_COLUMNS = (
    "deviceName", "template", "connection.port", "dlms.serverSystemTitle", "dlms.blockCipherKey",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of meters, and how many of ten are of it."""

    name: str
    share: int
    framing: str
    ciphered: bool = False
    password: bool = False
    profile: bool = False
    pushes: bool = False


KINDS = (
    Kind("hdlc", 3, "HDLC"),
    Kind("hdlc-low", 1, "HDLC", password=True),
    Kind("wrapper", 1, "WRAPPER"),
    Kind("wrapper-profile", 1, "WRAPPER", profile=True),
    Kind("ciphered", 2, "WRAPPER", ciphered=True),
    Kind("hdlc-profile", 1, "HDLC", profile=True),
    Kind("ciphered-push", 1, "WRAPPER", ciphered=True, profile=True, pushes=True),
)
_TEN = tuple(kind for kind in KINDS for _ in range(kind.share))


def kind_of(number: int) -> Kind:
    """Return of which kind a meter is."""
    # Seven and ten have no divisor in common: a few meters are of different kinds.
    return _TEN[number * 7 % len(_TEN)]


def name_of(number: int) -> str:
    """Return the name of a meter's device."""
    return f"M{number + 1}"


def options(number: int) -> dict[str, Any]:
    """Return the options of a simulated meter."""
    kind = kind_of(number)
    more: dict[str, Any] = {"authentication": "LOW"} if kind.password else {}
    more["faults"] = ALWAYS
    return meters.options(number, kind.framing, ciphered=kind.ciphered, profile_days=2, **more)


def configuration(period_ms: int, *, push_port: int, metrics_port: int, **keys: Any) -> Any:
    """Return `dlms.json`: templates, and where the table is."""
    return {
        "id": "soak",
        "name": "DLMS",
        "logLevel": "INFO",
        "diagnosticsPeriod": 20_000,
        "journal": {"maxAge": "P1D", "maxMegabytes": 100},
        "confirmPeriod": 2000,
        "metrics": {"port": metrics_port},
        "push": [
            {
                "type": "tcp",
                "host": "127.0.0.1",
                "port": push_port,
                "allow": ["127.0.0.0/8"],
            }
        ],
        "defaults": {"pollPeriod": period_ms, "allowWrite": True},
        "templates": {kind.name: _template(kind) for kind in KINDS},
        "devicesFile": TABLE,
        **keys,
    }


def table(ports: Mapping[int, int], without: Collection[int] = ()) -> str:
    """Return the table of meters at ports, but for some."""
    rows = [",".join(_COLUMNS)]
    for number, port in ports.items():
        kind = kind_of(number)
        secret = [meters.title(number).hex(), meters.block_key(number).hex()]
        cells = [name_of(number), kind.name, str(port), *(secret if kind.ciphered else ["", ""])]
        if number not in without:
            rows.append(",".join(cells))
    return "\n".join(rows) + "\n"


def _template(kind: Kind) -> dict[str, Any]:
    # A section of the benchmarks, without what stands in the table.
    section = meters.section(0, 0, kind.framing, ciphered=kind.ciphered)
    dlms = {
        key: value
        for key, value in section["dlms"].items()
        if key not in ("serverSystemTitle", "blockCipherKey")
    }
    if kind.password:
        dlms |= {"authentication": "LOW", "password": "12345678"}
    template: dict[str, Any] = {
        "connection": {
            "host": "127.0.0.1", "timeoutMs": 2000, "connectTimeoutMs": 2000, "retries": 1,
        },
        "dlms": dlms,
        "timeseries": [{"key": code, "obis": code} for code in POLLED],
        "attributeUpdates": [
            {"key": LIMIT, "obis": "0-0:17.0.0", "class": "limiter", "attribute": 4}
        ],
    }  # fmt: skip
    if kind.profile:
        template["profiles"] = [{"obis": LOAD, "backfill": "P1D"}]
    if kind.pushes:
        template["push"] = {"unlisted": False, "layouts": [{"objects": _LAYOUT}]}
        template["timeseries"].append(
            {"key": PUSHED, "obis": _PUSHED_OBIS, "unit": "kWh", "pollPeriod": REST_MS}
        )
    return template
