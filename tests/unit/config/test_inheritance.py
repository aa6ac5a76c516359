from typing import Any

from dlms_connector.config.inheritance import Layer, Place, json_path, merge


def layers(*values: dict[str, Any]) -> list[Layer]:
    return [Layer(Place(f"layer{index}"), each) for index, each in enumerate(values)]


def merged(*values: dict[str, Any]) -> dict[str, Any]:
    return merge(layers(*values))[0]


def test_objects_merge_at_any_depth() -> None:
    top, middle, bottom = {"a": {"x": 1}}, {"a": {"y": {"z": 2}}}, {"a": {"x": 0, "y": {"q": 3}}}
    assert merged(top, middle, bottom) == {"a": {"x": 1, "y": {"z": 2, "q": 3}}}


def test_other_values_replace() -> None:
    assert merged({"a": [1], "c": {}}, {"a": [2, 3], "c": 7}) == {"a": [1], "c": {}}


def test_null_takes_away_what_is_below() -> None:
    assert merged({"a": None, "b": {"x": None}}, {"a": 5, "b": {"x": 1, "y": 2}}) == {"b": {"y": 2}}
    assert merged({"a": None}, {"b": 1}) == {"a": None, "b": 1}
    assert merged({"b": 1}, {"a": None}, {"a": 5}) == {"b": 1}


def test_an_object_hides_what_is_none() -> None:
    assert merged({"a": {"x": 1}}, {"a": 5}, {"a": {"y": 2}}) == {"a": {"x": 1, "y": 2}}


def test_items_merge_by_key() -> None:
    top = {"timeseries": [{"key": "b", "decimals": 1}, {"key": "c", "obis": "3"}]}
    bottom = {"timeseries": [{"key": "a", "obis": "1"}, {"key": "b", "obis": "2"}]}
    assert merged(top, bottom) == {
        "timeseries": [
            {"key": "a", "obis": "1"},
            {"key": "b", "obis": "2", "decimals": 1},
            {"key": "c", "obis": "3"},
        ]
    }


def test_two_items_of_one_name_in_one_layer_stay_two() -> None:
    top = {"timeseries": [{"key": "a", "obis": "1"}, {"key": "a", "obis": "2"}]}
    assert len(merged(top, {"timeseries": [{"key": "b"}]})["timeseries"]) == 3


def test_items_without_a_name_are_kept() -> None:
    top: dict[str, Any] = {"timeseries": [5, {"obis": "1"}, {"key": ["a"]}]}
    assert len(merged(top, {"timeseries": [None, {"obis": "1"}]})["timeseries"]) == 5


def test_the_layers_are_left_alone() -> None:
    top, bottom = {"a": {"x": 1}}, {"a": {"y": 2}}
    merged(top, bottom)
    assert (top, bottom) == ({"a": {"x": 1}}, {"a": {"y": 2}})


def test_origins() -> None:
    _, origins = merge(
        layers(
            {"dlms": {"clientAddress": 1}, "timeseries": [{"key": "b", "decimals": 1}]},
            {"dlms": {"password": "x"}, "timeseries": [{"key": "a"}, {"key": "b", "obis": "?"}]},
        )
    )

    def blame(*location: str | int) -> str:
        place, there = origins.of(location)
        return place.at(there)

    assert blame("dlms", "clientAddress") == "layer0.dlms.clientAddress"
    assert blame("dlms", "password") == "layer1.dlms.password"
    assert blame("dlms", "missing") == "layer0.dlms.missing"
    assert blame("timeseries", 0, "obis") == "layer1.timeseries[0].obis"
    assert blame("timeseries", 1, "obis") == "layer1.timeseries[1].obis"
    assert blame("timeseries", 1, "decimals") == "layer0.timeseries[0].decimals"
    assert blame("missing") == "layer0.missing"


def test_paths() -> None:
    assert json_path("", ("devices", 2, "dlms", "password")) == "devices[2].dlms.password"
    row = Place("meters.csv line 3", columns=True)
    assert row.at(("connection", "port")) == "meters.csv line 3, column connection.port"
    assert row.at(()) == "meters.csv line 3"
