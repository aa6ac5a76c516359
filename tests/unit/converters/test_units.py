"""Units are converted exactly or not at all."""

from decimal import Decimal

import pytest

from dlms_converters.units import UnitError, factor


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("Wh", "kWh", "0.001"),
        ("kWh", "Wh", "1000"),
        ("Wh", "MWh", "0.000001"),
        ("W", "kW", "0.001"),
        ("var", "kvar", "0.001"),
        ("varh", "kvarh", "0.001"),
        ("VA", "kVA", "0.001"),
        ("V", "kV", "0.001"),
        ("A", "mA", "1000"),
        ("Hz", "kHz", "0.001"),
        ("m³", "l", "1000"),
        ("m3", "m³", "1"),
        ("min", "s", "60"),
        ("furlong", "furlong", "1"),
    ],
)
def test_factor_is_exact(source: str, target: str, expected: str) -> None:
    assert factor(source, target) == Decimal(expected)


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ("Wh", "V", "cannot convert Wh to V: they measure different things"),
        ("W", "Wh", "cannot convert W to Wh: they measure different things"),
        ("Wh", "kwh", "cannot convert Wh to kwh: kwh is unknown, did you mean kWh?"),
        ("Wh", "☃", "cannot convert Wh to ☃: ☃ is unknown"),
        ("s", "min", "cannot convert s to min: the factor has no exact decimal"),
    ],
)
def test_what_cannot_be_converted_is_refused(source: str, target: str, sentence: str) -> None:
    with pytest.raises(UnitError) as caught:
        factor(source, target)
    assert str(caught.value) == sentence


def test_there_and_back_is_the_same() -> None:
    for unit in ("Wh", "varh", "V", "A"):
        for prefix in ("m", "k", "M", "G"):
            assert factor(unit, prefix + unit) * factor(prefix + unit, unit) == 1
