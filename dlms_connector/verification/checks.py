"""The table of checks. Each is a function of the facts that returns one finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dlms_connector.verification.finding import Finding
from dlms_connector.verification.flow import data, meters, session
from dlms_connector.verification.holders import bridge, broker, token
from dlms_connector.verification.host import clock, descriptors, secrets, state, versions, zone
from dlms_connector.verification.presence import configuration, entry, loader, process
from dlms_connector.verification.snapshot import Snapshot
from dlms_connector.verification.storage import storage

#: In the order in which one thing needs the other: the first failure is often the only cause.
CHECKS: Mapping[str, Callable[[Snapshot], Finding]] = {
    "process": process,
    "entry": entry,
    "loader": loader,
    "configuration": configuration,
    "token": token,
    "bridge": bridge,
    "broker": broker,
    "session": session,
    "meters": meters,
    "data": data,
    "storage": storage,
    "secrets": secrets,
    "state": state,
    "descriptors": descriptors,
    "clock": clock,
    "zone": zone,
    "versions": versions,
}


def judge(snapshot: Snapshot) -> dict[str, Finding]:
    """Return the finding of each check, by its name."""
    return {name: check(snapshot) for name, check in CHECKS.items()}
