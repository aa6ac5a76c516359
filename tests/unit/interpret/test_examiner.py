"""What is worked out once for an attribute gives what is worked out for each value."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dlms_connector.cosem import AttributeRef
from dlms_connector.interpret import Examiner, Options, ScalerUnit, examine
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Data, DataType

_WHOLE = (
    DataType.DOUBLE_LONG, DataType.DOUBLE_LONG_UNSIGNED, DataType.LONG64, DataType.UNSIGNED,
    DataType.ENUM, DataType.BCD, DataType.DELTA_LONG,
)  # fmt: skip
values = st.one_of(
    st.builds(Data, st.sampled_from(_WHOLE), st.integers(0, 99)),
    st.builds(Data, st.just(DataType.LONG64), st.integers(-(1 << 63), (1 << 63) - 1)),
    st.just(Data(DataType.BCD, b"\xfa")),
    st.builds(Data, st.just(DataType.BOOLEAN), st.booleans()),
    st.builds(Data, st.just(DataType.FLOAT64), st.floats()),
    st.builds(Data, st.just(DataType.OCTET_STRING), st.binary(max_size=14)),
    st.just(Data(DataType.NULL)),
)
attributes = st.sampled_from(((1, 2), (3, 2), (3, 1), (8, 2), (8, 4), (70, 3), (5, 6), (19, 7)))


@given(
    data=values,
    attribute=attributes,
    scaler=st.none() | st.builds(ScalerUnit, st.integers(-8, 8), st.sampled_from((None, "Wh"))),
    form=st.sampled_from((None, "hex", "unixTime", "raw")),
)
def test_an_examiner_sees_what_examine_sees(
    data: Data, attribute: tuple[int, int], scaler: ScalerUnit | None, form: Any
) -> None:
    class_id, index = attribute
    ref = AttributeRef(class_id, Obis.parse("1-0:1.8.0"), index)
    options = Options(format=form)
    assert repr(Examiner(ref, scaler, options).examine(data)) == repr(
        examine(ref, data, scaler, options)
    )
