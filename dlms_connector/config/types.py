"""How single values of the configuration are read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, InstanceOf

from dlms_connector.cosem import class_id
from dlms_connector.obis import Obis


def _obis(value: Any) -> Obis:
    if isinstance(value, Obis):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not an OBIS code such as 1-0:1.8.0")
    return Obis.parse(value)


def _hex(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not hexadecimal") from None


ObisCode = Annotated[InstanceOf[Obis], BeforeValidator(_obis)]
ClassId = Annotated[int, BeforeValidator(class_id)]
AttributeIndex = Annotated[int, Field(ge=1, le=127)]
HexBytes = Annotated[bytes, BeforeValidator(_hex)]
