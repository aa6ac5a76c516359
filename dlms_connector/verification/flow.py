"""Whether meters answer, and what they say reaches the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import Snapshot

#: Disconnects within the time of the log that is looked at, from which on it is no coincidence.
_FLAPPING = 3
#: Meters that are named in one line.
_NAMED = 5
#: Poll periods, and seconds more, after which a value is late.
_PERIODS, _LATE_S = 3, 120.0
#: After its start, the gateway has this long to poll all meters for the first time.
_SETTLING_S = 120.0


def session(facts: Snapshot) -> Finding:
    """Check that the gateway is connected to the platform, and stays so."""
    log, process = facts.log, next(iter(facts.processes), None)
    if log is not None and log.disconnects >= _FLAPPING:
        return Finding(
            "failed",
            f"the platform closed the session {log.disconnects} times in the last "
            f"{log.within_s / 3600:g} h: code 7 means that two use one token",
            "find the second client of this token, here or on another machine; else a message is "
            "too large (docs/troubleshooting.md, MQTT disconnected)",
        )
    if process is None:
        return Finding("unknown", "no gateway runs", "see process")
    if process.connected is False:
        return Finding(
            "failed",
            "the gateway has no connection to the platform",
            "check thingsboard.host and port in tb_gateway.json, the token, and the network",
        )
    if process.connected is None or log is None:
        what = "connections" if process.connected is None else "log"
        return Finding("unknown", f"the gateway's {what} cannot be read", "run this as root")
    return ok(f"the gateway is connected; {log.disconnects} disconnects in the log's last hour")


def meters(facts: Snapshot) -> Finding:
    """Check that every polled meter answers."""
    file = facts.file
    if file is None or not file.polled:
        return Finding("unknown", "no meter is polled", "see configuration")
    if file.standby:
        return ok(f"on standby: {file.standby} is not there, another gateway polls the meters")
    silent = dict(facts.log.silent) if facts.log is not None else {}
    for name, told in (facts.platform or {}).items():
        if told.state not in (None, "online"):
            silent.setdefault(name, f"{told.state} on the platform")
    bad = {name: why for name, why in silent.items() if name in file.polled}
    if facts.online is not None:
        for name in file.polled:
            if name in facts.online:
                bad.pop(name, None)
            else:
                bad.setdefault(name, "not seen online since the last start")
    if bad:
        starting = all(each.running_s < _SETTLING_S for each in facts.processes)
        return Finding(
            "unknown" if starting and facts.processes else "failed",
            f"{len(bad)} of {len(file.polled)} meters do not answer: "
            + _some(f"{name}: {why}" for name, why in sorted(bad.items())),
            f"stop the gateway, then dlms-connector check {file.path} --connect",
        )
    if facts.online is None and not facts.platform:
        return Finding(
            "unknown",
            "which meters answer is noted nowhere that can be read",
            f"run this as root; or stop the gateway, then dlms-connector check {file.path} "
            "--connect",
        )
    return ok(f"all {len(file.polled)} meters answer")


def data(facts: Snapshot) -> Finding:
    """Check that the platform has a fresh value of every polled meter."""
    if facts.platform_problem:
        return Finding("failed", facts.platform_problem, "check --platform and the user's rights")
    if facts.platform is None or facts.file is None:
        return Finding(
            "unknown", "the platform was not asked", "give --platform URL to look at its values"
        )
    if not facts.platform:
        return Finding("unknown", "no meter is polled", "see configuration")
    late, asked = dict(_late(facts)), len(facts.platform)
    if late:
        return Finding(
            "failed",
            f"{len(late)} of {asked} devices are late on the platform: "
            + _some(f"{name}: {why}" for name, why in sorted(late.items())),
            "see session and meters; a device of another tenant, or a refused name, gets nothing",
        )
    rest = len(facts.file.polled) - asked
    more = f"; {rest} more were not looked at" if rest else ""
    return ok(f"the platform has fresh values of {asked} meters{more}")


def _late(facts: Snapshot) -> Iterator[tuple[str, str]]:
    periods = facts.file.periods_s if facts.file is not None else {}
    for name, told in (facts.platform or {}).items():
        if told.error:
            yield name, told.error
        elif told.age_s is None:
            yield name, "no value at all"
        elif told.age_s > _PERIODS * periods.get(name, 60.0) + _LATE_S:
            yield name, f"the newest value is {_duration(told.age_s)} old"


def _duration(seconds: float) -> str:
    for length, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _some(items: Iterable[str]) -> str:
    some = list(islice(items, _NAMED + 1))
    return "; ".join(some[:_NAMED]) + ("; …" if len(some) > _NAMED else "")
