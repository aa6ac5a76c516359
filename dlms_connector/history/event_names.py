"""The names of event codes, from the tables in `events/`.

A table is a JSON file with `about`, its `source`, and either `codes` (one numbering for all logs)
or `logs` (a numbering for each log, by value group E of the event code 0-b:96.11.e).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from dlms_connector.config import EventTable, Profile, Standard
from dlms_connector.obis import Obis

_FOLDER = files("dlms_connector.history") / "events"

#: The table of each standard that has one.
_TABLES: Mapping[Standard, EventTable] = {"IDIS": "idis", "INDIA": "is15959"}


def table_of(profile: Profile, standard: Standard) -> EventTable:
    """Return the table of a profile: the configured one, else that of the standard."""
    return profile.events if profile.events is not None else _TABLES.get(standard, "none")


def event_name(table: EventTable, log: Obis, code: int) -> str | None:
    """Return the name of an event; None if the table has none.

    `log` is the object that holds the code.
    """
    if table == "none":
        return None
    document = read_table(table)
    codes = document.get("codes") or document.get("logs", {}).get(str(log.octets[4]), {})
    name = codes.get(str(code))
    return name if isinstance(name, str) else None


@cache
def read_table(table: EventTable) -> dict[str, Any]:
    """Return a table as its file has it."""
    document = json.loads((_FOLDER / f"{table}.json").read_text("utf-8"))
    if not isinstance(document, dict):
        raise TypeError(f"the event table {table} is not an object")
    return document
