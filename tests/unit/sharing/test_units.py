"""What stays together."""

from __future__ import annotations

from dlms_connector.sharing import Units


def test_an_endpoint_is_a_unit() -> None:
    units = Units()
    units.add("tcp://a:1")
    units.add("tcp://b:1")
    assert units.of("tcp://a:1") == "endpoint tcp://a:1"
    assert units.of("tcp://b:1") == "endpoint tcp://b:1"


def test_a_group_joins_its_endpoints() -> None:
    units = Units()
    for endpoint in ("tcp://a:1", "tcp://b:1"):
        units.add(endpoint, group="modems")
    units.add("tcp://c:1")
    assert units.of("tcp://a:1") == units.of("tcp://b:1") == "group modems"
    assert units.of("tcp://c:1") != "group modems"


def test_one_pusher_takes_its_endpoint_and_group_along() -> None:
    units = Units()
    units.add("tcp://a:1", group="modems")
    units.add("tcp://a:1", group="modems", pushes=True)
    units.add("tcp://b:1", group="modems")
    assert units.of("tcp://a:1") == units.of("tcp://b:1") == Units.push()


def test_a_meter_more_at_an_endpoint_changes_no_name() -> None:
    units = Units()
    units.add("tcp://z:1", group="b")
    units.add("tcp://a:1", group="b")
    assert units.of("tcp://z:1") == "group b"
