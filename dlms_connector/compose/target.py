"""The target of a value, and what is known of it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from dlms_connector.cosem import AttributeRef
from dlms_connector.protocol.data import Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The attribute or method argument that a value is written to.

    `known` is the meter's present value. Its types are preferred to `type`, the type name
    from the configuration or the caller. `scaler` is the power of ten of the attribute's
    scaler_unit: a value of 230.5 at scaler -1 is written as 2305. `from_utc` and `skip`
    define how dates are written.
    """

    name: str
    ref: AttributeRef | None = None
    type: str | None = None
    known: Data | None = None
    scaler: int = 0
    from_utc: bool = False
    skip: Set[str] = frozenset()
