"""What the platform stand-in keeps."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from dlms_connector.demo.platform_store import Point, Store


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    store.close()


def test_the_same_moment_again_replaces_the_value(store: Store) -> None:
    store.add_telemetry("A", 2, {"v": Decimal("230.10"), "i": 1})
    store.add_telemetry("A", 1, {"v": True})
    store.add_telemetry("A", 2, {"v": "text"})
    assert store.telemetry("A", "v") == [Point("A", "v", 1, True), Point("A", "v", 2, "text")]
    assert store.count() == 3


def test_values_are_exact(store: Store) -> None:
    store.add_telemetry("A", 1, {"v": Decimal("230.10"), "n": 2**63 - 1, "s": [{"a": None}]})
    assert [str(point.value) for point in store.telemetry("A", "v")] == ["230.10"]
    assert store.telemetry("A", "n")[0].value == 2**63 - 1
    assert store.telemetry("A", "s")[0].value == [{"a": None}]


def test_the_latest_of_every_series(store: Store) -> None:
    for ts, value in ((5, "new"), (3, "old")):
        store.add_telemetry("A", ts, {"v": value})
    store.add_telemetry("B", 1, {"v": 0})
    assert store.latest() == [Point("A", "v", 5, "new"), Point("B", "v", 1, 0)]


def test_attributes_by_scope(store: Store) -> None:
    store.set_attributes("A", "client", {"a": 1, "b": 2})
    store.set_attributes("A", "client", {"a": 3})
    store.set_attributes("A", "shared", {"a": 4})
    store.delete_attributes("A", "client", ["b", "unknown"])
    assert store.attributes("A") == {"a": 3}
    assert store.attributes("A", "shared") == {"a": 4}


def test_a_device_keeps_the_type_it_was_created_with(store: Store) -> None:
    store.add_device("A", "meter")
    store.add_device("A", "default")
    assert store.devices() == {"A": "meter"}


def test_a_file_outlives_the_store(tmp_path: Path) -> None:
    path = str(tmp_path / "platform.sqlite")
    for ts in (1, 2):
        store = Store(path)
        store.add_telemetry("A", ts, {"v": ts})
        store.close()
    store = Store(path)
    assert store.count() == 2
    store.close()
