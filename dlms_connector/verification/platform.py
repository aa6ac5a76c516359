"""Asks the platform by its REST API what it has of the devices, and what time it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from dlms_connector.delivery import PlatformRest, RestError
from dlms_connector.platform_keys import STATE
from dlms_connector.verification.snapshot import OnPlatform, Snapshot

#: Devices that are asked: the answer of a fleet comes from its dashboards.
MOST_DEVICES = 500


def ask_platform(facts: Snapshot, rest: PlatformRest, now_s: float) -> Snapshot:
    """Return the facts with what the platform has of each polled meter. `now_s` is Unix time."""
    names: Collection[str] = facts.file.polled[:MOST_DEVICES] if facts.file else ()
    found = {}
    try:
        for name in names:
            found[name] = _of(rest, name, now_s)
    except RestError as error:
        return replace(facts, platform_problem=str(error))
    off = None if rest.date_s is None else now_s - rest.date_s
    return replace(facts, platform=found, clock_off_s=off)


def _of(rest: PlatformRest, name: str, now_s: float) -> OnPlatform:
    newest = rest.newest(name)
    if newest is None:
        return OnPlatform(error="the platform has no such device")
    # The connector's own values come from silent meters, too.
    instants = [at for key, at in newest.items() if not key.startswith("dlms")]
    state = rest.client_attributes(name, [STATE.name]).get(STATE.name)
    return OnPlatform(
        age_s=now_s - max(instants) / 1000 if instants else None,
        state=state if isinstance(state, str) else None,
    )
