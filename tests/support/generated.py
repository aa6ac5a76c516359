"""COSEM data of all types, made by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from dlms_connector.protocol.data.data import Data, DataType, array, structure

D = DataType

_BOUNDS = {
    D.DOUBLE_LONG: 32, D.INTEGER: 8, D.LONG: 16, D.LONG64: 64, D.DELTA_INTEGER: 8,
    D.DELTA_LONG: 16, D.DELTA_DOUBLE_LONG: 32,
}  # fmt: skip
_UNSIGNED = {
    D.DOUBLE_LONG_UNSIGNED: 32, D.UNSIGNED: 8, D.LONG_UNSIGNED: 16, D.LONG64_UNSIGNED: 64,
    D.ENUM: 8, D.DELTA_UNSIGNED: 8, D.DELTA_LONG_UNSIGNED: 16, D.DELTA_DOUBLE_LONG_UNSIGNED: 32,
}  # fmt: skip


def _of(type_: DataType, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    return values.map(lambda value: Data(type_, value))


SIMPLE = st.one_of(
    *(
        _of(kind, st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))
        for kind, bits in _BOUNDS.items()
    ),
    *(_of(kind, st.integers(0, (1 << bits) - 1)) for kind, bits in _UNSIGNED.items()),
    *(_of(kind, st.binary(max_size=200)) for kind in (D.OCTET_STRING, D.VISIBLE_STRING)),
    _of(D.BOOLEAN, st.booleans()),
    _of(D.BIT_STRING, st.text("01", max_size=40)),
    _of(D.BCD, st.integers(0, 99)),
    _of(D.FLOAT64, st.floats(allow_nan=False)),
    _of(D.FLOAT32, st.floats(allow_nan=False, width=32)),
    _of(D.DATE_TIME, st.binary(min_size=12, max_size=12)),
    st.just(Data(D.NULL)),
)
#: Any data, nested too.
ANY = st.recursive(
    SIMPLE,
    lambda inner: st.lists(inner, max_size=5).flatmap(
        lambda items: st.sampled_from([array(*items), structure(*items)])
    ),
    max_leaves=30,
)
