"""What stands where in a push, in the orders that makers have chosen."""

from __future__ import annotations

import pytest

from dlms_connector.errors import ProtocolError
from dlms_connector.interpret import ScalerUnit
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType, array, structure
from dlms_connector.protocol.notifications import Notification
from dlms_connector.push.layout import UnmappedError, found_in
from dlms_connector.push.mapping import Found, Place, by_definitions, by_names, definitions
from tests.support.pushes import (
    NOON,
    definition,
    device_of,
    i8,
    obis,
    octets,
    scale,
    text,
    u16,
    u32,
)

ENERGY, POWER = Obis.parse("1-0:1.8.0"), Obis.parse("1-0:1.7.0")
TO, TV, TSU, TC = obis("1-0:1.8.0"), u32(77), scale(-1, 30), u16(3)
WH = ScalerUnit(-1, "Wh")
NEXT = (obis("1-0:1.7.0"), u32(5))
NEXT_FOUND = Found(Place(POWER), u32(5))


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        ((TO, TV), Place(ENERGY)),
        ((TO, TV, TSU), Place(ENERGY, scaler=WH)),
        ((TO, TSU, TV), Place(ENERGY, scaler=WH)),
        ((TO, TV, *TSU.value), Place(ENERGY, scaler=WH)),
        ((TC, TO, TV), Place(ENERGY, 3)),
        ((TC, TO, TV, TSU), Place(ENERGY, 3, scaler=WH)),
        ((TC, TO, TSU, TV), Place(ENERGY, 3, scaler=WH)),
        ((TC, TO, i8(2), TV), Place(ENERGY, 3)),
        ((TC, TO, i8(5), TV, TSU), Place(ENERGY, 3, 5, scaler=WH)),
    ],
)
@pytest.mark.parametrize("shape", ["flat", "structures", "array", "array within"])
def test_orders(elements: tuple[Data, ...], place: Place, shape: str) -> None:
    body = {
        "flat": structure(octets(NOON), *elements, *NEXT, text("end")),
        "structures": structure(structure(*elements), structure(*NEXT)),
        "array": array(structure(*elements), structure(*NEXT)),
        "array within": structure(text("V1"), array(structure(*elements), structure(*NEXT))),
    }[shape]
    assert by_names(body) == (Found(place, TV), NEXT_FOUND)


def test_a_value_that_looks_like_a_name() -> None:
    body = structure(TO, obis("1-0:2.8.0"), *NEXT)
    assert by_names(body) == (Found(Place(ENERGY), obis("1-0:2.8.0")), NEXT_FOUND)


def test_small_numbers_are_values() -> None:
    body = structure(TO, i8(2), *NEXT)
    assert by_names(body) == (Found(Place(ENERGY), i8(2)), NEXT_FOUND)
    body = structure(TC, TO, i8(2), *NEXT)
    assert by_names(body) == (Found(Place(ENERGY, 3), i8(2)), NEXT_FOUND)


def test_six_octets_that_are_no_name() -> None:
    for value in (b"\xff" * 6, bytes(6), b"ABCDEF"):
        assert by_names(structure(octets(value), u32(5))) == ()


def test_a_name_without_a_value() -> None:
    assert by_names(structure(TO)) == ()
    assert by_names(structure(TO, TV, obis("1-0:1.7.0"))) == (Found(Place(ENERGY), TV),)


@pytest.mark.parametrize("own", [True, False], ids=["with itself", "without itself"])
def test_definitions(own: bool) -> None:
    listed = [definition(40, "0-0:25.9.0")] * own + [definition(3, "1-0:1.8.0")]
    body = structure(array(*listed), TV)
    assert by_definitions(body) == (Found(Place(ENERGY, 3), TV),)


def test_definitions_of_newer_push_setups_are_longer() -> None:
    longer = structure(*definition(3, "1-0:1.8.0").value, structure(u16(0), Data(DataType.NULL)))
    assert definitions(array(longer)) == (Place(ENERGY, 3),)


@pytest.mark.parametrize(
    "body",
    [
        TV,
        structure(),
        structure(array(), TV),
        structure(array(definition(3, "1-0:1.8.0")), TV, TV, TV),
        structure(array(definition(3, "1-0:1.8.0"), TV), TV),
    ],
)
def test_no_definitions(body: Data) -> None:
    assert by_definitions(body) is None


def test_a_layout_goes_before_names() -> None:
    """What looks like a name may be a value, and its author knows."""
    objects = [{}, {"obis": "1-0:1.7.0", "scaler": 0, "unit": "W"}]
    device = device_of({"push": {"layouts": [{"objects": objects}]}})
    found = found_in(Notification(body=structure(TO, TV)), device)
    assert found == (Found(Place(POWER, 3, scaler=ScalerUnit(0, "W")), TV),)


def test_a_push_setup_with_another_number_of_objects_tells_nothing() -> None:
    places = definitions(array(definition(3, "1-0:1.8.0"), definition(3, "1-0:1.7.0")))
    assert places
    body = Notification(body=structure(TV, TV, TV))
    with pytest.raises(UnmappedError, match="its 3 values"):
        found_in(body, device_of({}), places)
    assert issubclass(UnmappedError, ProtocolError)


def test_a_push_setup_that_leaves_itself_out() -> None:
    places = definitions(array(definition(40, "0-0:25.9.0"), definition(3, "1-0:1.8.0")))
    found = found_in(Notification(body=structure(TV)), device_of({}), places)
    assert found == (Found(Place(ENERGY, 3), TV),)
