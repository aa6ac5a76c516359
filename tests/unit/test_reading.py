from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from decimal import Decimal

import pytest

from dlms_connector.obis import Obis
from dlms_connector.reading import Reading, ReadingOf


def test_readings_of_one_attribute_are_like_those_of_the_constructor() -> None:
    obis = Obis.parse("1-0:1.8.0")
    made = ReadingOf(key="k", kind="attributes", obis=obis, class_id=3, attribute=2)(
        Decimal("1.50"), "kWh", 1_790_000_000_000, "suspect"
    )
    expected = Reading(
        key="k", kind="attributes", obis=obis, class_id=3, attribute=2,
        value=Decimal("1.50"), unit="kWh", ts_ms=1_790_000_000_000, quality="suspect",
    )  # fmt: skip
    assert made == expected
    assert (repr(made), hash(made)) == (repr(expected), hash(expected))
    assert pickle.loads(pickle.dumps(made)) == copy.copy(made) == expected
    with pytest.raises(FrozenInstanceError):
        made.value = 1  # type: ignore[misc]
