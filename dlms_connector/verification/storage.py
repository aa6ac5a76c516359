"""Settings of the gateway's storage with which readings are lost.

Facts: measured with the gateway 3.8.5, and its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import Snapshot

#: What the gateway takes where nothing is written.
_MEMORY_RECORDS = 10_000
#: Minutes without the platform that memory should last.
_MINUTES = 60
_JOURNAL = 'set "journal" in dlms.json, which keeps readings until the platform confirmed them'


def storage(facts: Snapshot) -> Finding:
    """Check that no setting loses readings."""
    if facts.main_problem:
        return Finding("unknown", "tb_gateway.json cannot be read", "see entry")
    found = facts.main.get("storage")
    settings: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    kind = str(settings.get("type", "memory"))
    if kind == "file":
        return Finding(
            "failed",
            "storage of type file deletes unread readings when its backlog passes "
            "max_records_per_file",
            '"storage": {"type": "sqlite", …} in tb_gateway.json, and restart the gateway',
        )
    if facts.file is not None and facts.file.has_journal:
        return ok(f"storage of type {kind}, and the connector's journal behind it")
    if kind == "memory":
        return _memory(facts, settings)
    if kind == "sqlite":
        return ok("storage of type sqlite: outages of the platform and restarts lose little")
    return Finding("unknown", f"storage of type {kind} is not known", "use sqlite")


def _memory(facts: Snapshot, settings: Mapping[str, Any]) -> Finding:
    given = settings.get("max_records_count", _MEMORY_RECORDS)
    most = given if isinstance(given, int) else _MEMORY_RECORDS
    # About one record per poll of a meter.
    periods = facts.file.periods_s.values() if facts.file is not None else ()
    per_minute = sum(60 / period for period in periods if period > 0)
    if per_minute and most < per_minute * _MINUTES:
        return Finding(
            "failed",
            f"storage of type memory with max_records_count {most} is full after "
            f"{most / per_minute:.0f} minutes without the platform, and drops what comes then",
            f"max_records_count of at least {round(per_minute * _MINUTES)}, or {_JOURNAL}",
        )
    return Finding(
        "warning",
        "storage of type memory loses what was not sent when the gateway ends",
        f'"type": "sqlite", or {_JOURNAL}',
    )
