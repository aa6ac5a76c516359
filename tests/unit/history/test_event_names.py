"""Tables of event codes: complete files, and the names that they give."""

from __future__ import annotations

from importlib.resources import files

import pytest

from dlms_connector.config import EVENT_TABLES, EventTable, Profile, Standard
from dlms_connector.history.event_names import event_name, read_table, table_of
from dlms_connector.obis import Obis

EVENT = Obis.parse("0-0:96.11.0")


@pytest.mark.parametrize("table", EVENT_TABLES)
def test_a_table_has_a_source_and_names(table: EventTable) -> None:
    document = read_table(table)
    assert set(document) in ({"about", "source", "codes"}, {"about", "source", "logs"})
    assert document["source"]
    assert document["about"]
    for codes in document.get("logs", {"": document.get("codes")}).values():
        assert codes
        numbers = [int(code) for code in codes]
        assert numbers == sorted(numbers)
        assert [str(number) for number in numbers] == list(codes)
        assert all(0 < number < 1 << 16 for number in numbers)
        assert all(isinstance(name, str) and 2 < len(name) <= 60 for name in codes.values())
        assert len(set(codes.values())) == len(codes)


def test_every_file_is_a_table_that_can_be_chosen() -> None:
    folder = files("dlms_connector.history") / "events"
    names = {each.name for each in folder.iterdir() if each.name.endswith(".json")}
    assert names == {f"{table}.json" for table in EVENT_TABLES}


@pytest.mark.parametrize(
    ("table", "log", "code", "name"),
    [
        ("idis", "0-0:96.11.0", 1, "power down"),
        ("idis", "0-0:96.11.1", 40, "terminal cover removed"),
        ("idis", "0-0:96.11.0", 9999, None),
        ("dsmr", "0-0:96.11.0", 20, "self-check after firmware update succeeded"),
        ("is15959", "0-0:96.11.2", 101, "power failure, occurred"),
        ("spodes", "0-0:96.11.0", 1, "voltage L1 lost"),
        ("spodes", "0-0:96.11.2", 1, "meter switched off"),
        ("spodes", "0-0:96.11.9", 1, None),
        ("none", "0-0:96.11.0", 1, None),
    ],
)
def test_names(table: EventTable, log: str, code: int, name: str | None) -> None:
    assert event_name(table, Obis.parse(log), code) == name


@pytest.mark.parametrize(
    ("stated", "standard", "table"),
    [
        (None, "DLMS", "none"),
        (None, "IDIS", "idis"),
        (None, "INDIA", "is15959"),
        ("none", "IDIS", "none"),
        ("dsmr", "DLMS", "dsmr"),
    ],
)
def test_the_table_of_a_profile(stated: str | None, standard: Standard, table: EventTable) -> None:
    profile = Profile.model_validate({"obis": "0-0:99.98.0", "events": stated})
    assert table_of(profile, standard) == table
