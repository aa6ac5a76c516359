"""Classes, their attributes, and what requests name."""

from __future__ import annotations

import pytest

from dlms_connector.cosem import CLASSES, AttributeRef, MethodRef, class_id, unit_symbol
from dlms_connector.obis import Obis

ENERGY = Obis.parse("1-0:1.8.0")


@pytest.mark.parametrize(
    ("written", "id_"),
    [
        ("register", 3),
        ("3", 3),
        (" 70 ", 70),
        ("Extended Register", 4),
        ("extended_register", 4),
        ("demandRegister", 5),
        ("disconnect control", 70),
        ("HDLC setup", 23),
        ("iecHdlcSetup", 23),
        ("IPv4", 42),
        ("mac address", 43),
        ("mBusClient", 72),
        (3, 3),
        (9000, 9000),
        ("9000", 9000),
    ],
)
def test_classes_by_name_and_number(written: object, id_: int) -> None:
    assert class_id(written) == id_


@pytest.mark.parametrize(
    "written",
    ["", "registers", 0, -1, 70000, True, None, 3.0, "0", "-3", "3.5", "70000", "7" * 5000, "³"],
)
def test_what_is_no_class(written: object) -> None:
    with pytest.raises(ValueError, match="not a COSEM class"):
        class_id(written)


def test_a_slip_of_the_pen_is_named() -> None:
    with pytest.raises(ValueError, match=r"did you mean disconnectControl\?"):
        class_id("disconectControl")


def test_every_class_asked_for_is_there() -> None:
    asked = {1, 3, 4, 5, 7, 8, 9, 11, 12, 15, 17, 18, 20, 21, 22, 23, 40, 41, 42, 43, 47, 64}
    asked |= {70, 71, 72}
    assert asked <= CLASSES.keys()


@pytest.mark.parametrize(
    ("id_", "attribute", "name"),
    [
        (3, 1, "logicalName"),
        (3, 3, "scalerUnit"),
        (5, 4, "scalerUnit"),
        (7, 8, "profileEntries"),
        (8, 9, "clockBase"),
        (15, 8, "associationStatus"),
        (18, 7, "imageToActivateInfo"),
        (20, 10, "activatePassiveCalendarTime"),
        (22, 4, "executionTime"),
        (23, 9, "deviceAddress"),
        (40, 7, "repetitionDelay"),
        (41, 6, "inactivityTimeOut"),
        (42, 10, "secondaryDnsAddress"),
        (64, 6, "certificates"),
        (70, 4, "controlMode"),
        (71, 11, "actions"),
        (72, 14, "encryptionKeyStatus"),
        (70, 5, None),
        (70, 0, None),
    ],
)
def test_attribute_names(id_: int, attribute: int, name: str | None) -> None:
    assert CLASSES[id_].attribute_name(attribute) == name


def test_scalers_are_attributes_of_that_name() -> None:
    for row in CLASSES.values():
        for scaler in row.scalers.values():
            assert row.attribute_name(scaler) == "scalerUnit"


def test_units() -> None:
    assert unit_symbol(30) == "Wh"
    assert [unit_symbol(code) for code in (0, 58, 69, 200, 254, 255)] == [None] * 6


def test_references_are_named_for_people() -> None:
    assert str(AttributeRef(3, ENERGY, 2)) == "1-0:1.8.0 attribute 2 (class 3)"
    assert str(MethodRef(3, ENERGY, 1)) == "1-0:1.8.0 method 1 (class 3)"
    assert AttributeRef(3, ENERGY, 2) == AttributeRef(3, ENERGY, 2)
