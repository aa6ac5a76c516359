"""What is simulated: meters, their configuration, and the faults of a run; all from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from dlms_connector.simulator import MeterOptions
from tests.simulation.line import meter_time, true_time

#: Poll periods and numbers of meters that seeds take in turn.
PERIODS_S = (1800.0, 900.0, 3600.0, 1200.0, 3600.0)
METERS = (2, 1, 4, 1, 2, 1, 3)
HOUR_S, DAY_S = 3600.0, 86_400.0
LIMITER = "0-0:17.0.0"
RELAY = "0-0:96.3.10"
PROFILE = "1-0:99.1.0"
ENERGY, VOLTAGE, POWER = "1-0:1.8.0", "1-0:32.7.0", "1-0:1.7.0"
#: The keys of polled items, and their objects.
ITEMS = {"energy": ENERGY, "voltage": VOLTAGE, "power": POWER}
#: The objects in a push of the simulated meters.
_PUSHED: dict[str, Any] = {"objects": [
    {"obis": "0-0:1.0.0", "class": 8}, {"obis": "0-0:42.0.0", "class": 1}, {"obis": ENERGY},
]}  # fmt: skip
#: Days of rows that a meter holds.
HOLDS_DAYS = 3
#: How often new rows are looked for, unless polls are rarer.
_LOOKS: tuple[dict[str, int], ...] = ({}, {"pollPeriod": 3_600_000}, {"pollPeriod": 3_600_000})
_TITLE = b"SIM\0\0\0\0\1"
_AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))
_PASSWORD = "12345678"


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a simulation. `period_s` is the poll period, `quiet_s` the time without faults
    at the end; `faults` are how many there are a day."""

    seed: int
    days: float = 1.0
    meters: int = 3
    period_s: float = 900.0
    quiet_s: float = 4 * HOUR_S
    faults: float = 14.0
    calls: float = 24.0

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.days * DAY_S


Kind = Literal[
    # the line
    "refused", "swallowed", "lossy", "damaged", "doubled", "breaking", "split", "cut", "slow",
    # the meter
    "meter", "replaced", "finer",
    # the platform and the gateway before it
    "away", "restarted", "receipts lost", "slow platform", "storage full", "deleted",
    # the host
    "crash", "power cut", "restart", "disk full", "disk slow", "clock",
]  # fmt: skip

#: How often each kind of fault is drawn.
WEIGHTS: dict[Kind, float] = {
    "refused": 2, "swallowed": 2, "lossy": 2, "damaged": 2, "doubled": 1, "breaking": 2,
    "split": 1, "cut": 2, "slow": 1,
    "meter": 6, "replaced": 0.4, "finer": 0.4,
    "away": 2, "restarted": 1, "receipts lost": 0.5, "slow platform": 0.5, "storage full": 0.5,
    "deleted": 0.2,
    "crash": 2, "power cut": 2, "restart": 0.7, "disk full": 0.7, "disk slow": 0.7, "clock": 0.7,
}  # fmt: skip

#: Faults of a meter, with the range of their value. Their noise carries no wrong value.
METER_FAULTS: dict[str, tuple[float, float]] = {
    "silence": (1, 1), "delay": (0.5, 4), "inactivity": (20, 300), "drop-after": (100, 900),
    "lose": (2, 5), "exception": (1, 1), "refuse-association": (1, 1), "stale-replies": (1, 1),
    "refuse-list": (1, 1), "short-list": (1, 1), "malformed-list": (1, 1), "truncate": (1, 3),
    "wrong-invoke-id": (1, 1), "quiet-after-unclean": (12, 60), "silent-to-release": (1, 1),
    "cut-short": (2, 4), "keeps-association": (1, 1), "bad-tag": (1, 1), "plain-replies": (1, 1),
    "replayed-counter": (1, 1), "bad-fcs": (1, 3), "wrong-sequence": (1, 3), "frmr-at": (1, 3),
    "dm-at": (1, 3), "garbage": (5, 30), "foreign-frames": (1, 1), "silent-object": (8, 8),
    "no-range": (1, 1), "few-rows": (3, 20), "null-scaler": (1, 1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: when it begins, how long it lasts, and where (a place or a meter by number)."""

    at: float
    lasts_s: float
    kind: Kind
    where: int
    detail: Any = None


@dataclass(slots=True)
class Site:
    """A device: its configuration, the options of its meter, and the place where it is."""

    name: str
    section: dict[str, Any]
    options: dict[str, Any]
    place: int
    allows: bool
    ciphered: bool
    hdlc: bool
    serial: int


@dataclass(slots=True)
class Scenario:
    """All of a run that is known before it begins."""

    plan: Plan
    sites: list[Site] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    receipts: bool = True
    configuration: dict[str, Any] = field(default_factory=dict)

    @property
    def places(self) -> list[list[Site]]:
        """The sites of each place."""
        found: dict[int, list[Site]] = {}
        for site in self.sites:
            found.setdefault(site.place, []).append(site)
        return [found[number] for number in sorted(found)]


def make(plan: Plan) -> Scenario:
    """Draw a run."""
    chance = random.Random(f"scenario {plan.seed}")
    scenario = Scenario(plan, receipts=chance.random() < 0.6)
    place = -1
    shared = 0
    for number in range(plan.meters):
        if shared:
            shared = 0
        else:
            place += 1
            shared = number % 5 == 2 and number + 1 < plan.meters
        scenario.sites.append(_site(number, place, plan, chance))
    for group in scenario.places:
        for at, site in enumerate(group):
            if len(group) > 1:
                _make_hdlc(site, physical=at + 1)
    journal: Any = chance.choice([False, {"maxAge": "P2D", "maxMegabytes": 50}])
    scenario.configuration = {
        "id": "simulation",
        "name": "Simulation",
        "diagnosticsPeriod": chance.choice([0, 3_600_000]),
        "journal": journal,
        "confirm": "auto" if scenario.receipts else chance.choice(["auto", "watermarks"]),
        "confirmPeriod": chance.choice([60_000, 300_000]),
        "devices": [site.section for site in scenario.sites],
        "push": [{"type": "udp", "port": 4059, "allow": ["10.0.0.0/8"]}],
    }
    scenario.faults = sorted(_faults(scenario, chance), key=lambda fault: fault.at)
    return scenario


def options_of(site: Site, serial: int) -> MeterOptions:
    """Return the options of a meter at a site."""
    return MeterOptions(
        serial=serial, now=true_time, monotonic=meter_time, profile_days=HOLDS_DAYS,
        **site.options,
    )  # fmt: skip


def _site(number: int, place: int, plan: Plan, chance: random.Random) -> Site:
    kind = number % 3
    name, serial = f"M{number + 1}", 100 + number
    key = bytes((number & 0xFF, number >> 8)) + bytes(range(2, 16))
    dlms: dict[str, Any]
    options: dict[str, Any]
    if kind == 0:
        dlms = {"interfaceType": "WRAPPER", "clientAddress": 1, "authentication": "HIGH_GMAC",
                "security": "AUTHENTICATION_ENCRYPTION", "systemTitle": _TITLE.hex(),
                "authenticationKey": _AUTHENTICATION_KEY.hex(), "blockCipherKey": key.hex(),
                "invocationCounter": "0-0:43.1.0"}  # fmt: skip
        options = {"framing": "WRAPPER", "client_address": 1, "authentication": "HIGH_GMAC",
                   "security": "AUTHENTICATION_ENCRYPTION", "client_title": _TITLE,
                   "authentication_key": _AUTHENTICATION_KEY, "block_cipher_key": key,
                   }  # fmt: skip
        if chance.random() < 0.3:
            del dlms["invocationCounter"]
        if chance.random() < 0.5:
            dlms["interfaceType"] = options["framing"] = "HDLC"
    elif kind == 1:
        dlms = {"interfaceType": "HDLC", "clientAddress": 1, "authentication": "LOW",
                "password": _PASSWORD}  # fmt: skip
        options = {"framing": "HDLC", "client_address": 1, "authentication": "LOW",
                   "password": _PASSWORD.encode()}  # fmt: skip
    else:
        dlms = {"interfaceType": "WRAPPER", "clientAddress": 1}
        options = {"framing": "WRAPPER", "client_address": 1}
    allows = chance.random() < 0.6
    section = {
        "deviceName": name,
        "deviceType": "Simulated",
        "connection": {"type": "tcp", "host": f"10.0.{place >> 8}.{place & 0xFF}",
                       "port": 4059, "timeoutMs": 5000, "retries": 2},
        "dlms": {**dlms, "logicalAddress": 1},
        "pollPeriod": int(plan.period_s * 1000),
        "timeseries": [
            {"key": key, "obis": obis, "reportStrategy": {"type": "ON_RECEIVED"}}
            for key, obis in ITEMS.items()
        ],
        "profiles": [{"obis": PROFILE, "backfill": "P1D"} | _looks(plan, chance)],
        "attributeUpdates": [
            {"key": "emergencyLimit", "obis": LIMITER, "class": "limiter", "attribute": 5}
        ],
    }  # fmt: skip
    if kind == 0:
        section["push"] = {"systemTitle": MeterOptions(serial=serial).title().hex(),
                           "unlisted": False, "layouts": [_PUSHED]}  # fmt: skip
    if allows:
        section["allowWrite"] = [LIMITER, RELAY]
    return Site(name, section, options, place, allows, kind == 0,
                options["framing"] == "HDLC", serial)  # fmt: skip


def _looks(plan: Plan, chance: random.Random) -> dict[str, int]:
    drawn = chance.choice(_LOOKS)
    return {"pollPeriod": int(plan.period_s * 1000)} if plan.period_s > HOUR_S else drawn


def _make_hdlc(site: Site, physical: int) -> None:
    """Let a meter share its line with others."""
    site.section["dlms"] |= {"interfaceType": "HDLC", "physicalAddress": physical}
    site.options |= {"framing": "HDLC", "physical_address": physical}
    site.hdlc = True


def _faults(scenario: Scenario, chance: random.Random) -> Iterator[Fault]:
    plan = scenario.plan
    last = plan.end_s - plan.quiet_s
    count = round(plan.faults * plan.days * max(1.0, plan.meters / 4))
    kinds, weights = [*WEIGHTS], [*WEIGHTS.values()]
    for _ in range(count):
        at = chance.random() * last
        kind = chance.choices(kinds, weights)[0]
        # Short ones often, long ones sometimes.
        lasts_s = min(last - at, 10 * 1000 ** chance.random())
        site = chance.choice(scenario.sites)
        where = site.place
        detail: Any = None
        match kind:
            case "meter":
                name = chance.choice([*METER_FAULTS])
                low, high = METER_FAULTS[name]
                detail = name, float(round(low + (high - low) * chance.random()))
            case "damaged" | "doubled" if not site.hdlc:
                continue  # nothing but the check sequence of HDLC could tell
            case "crash" | "power cut":
                detail = chance.choice([1, chance.randrange(1, 30), chance.randrange(1, 400)])
                lasts_s = chance.choice([0.5, 5.0, 60.0, 1800.0])
            case "clock":
                detail = chance.choice([-5400.0, -7.0, 40.0, 3600.0, 20_000.0])
        if kind in ("replaced", "finer"):
            # A fitter takes his time, and a poll fails meanwhile: what comes and goes between two
            # polls, nobody can tell.
            lasts_s = 2 * plan.period_s + 60
            if at + lasts_s > last:
                continue
        if kind in ("meter", "replaced", "finer", "deleted"):
            where = scenario.sites.index(site)
        yield Fault(at, lasts_s, kind, where, detail)
