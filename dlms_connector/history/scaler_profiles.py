"""Scaler profiles: a profile whose only row holds the scalers and units of another one's columns.

IS 15959 has 1-0:94.91.3 to .7 for its profiles, SPODES (GOST R 58940) 1-0:94.7.1 to .4. In them the
attribute scaler_unit is captured, one column for each object.
"""

from __future__ import annotations

from collections.abc import Mapping

from dlms_connector.config import Standard
from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError, ProtocolError, ServiceError
from dlms_connector.history.profiles import BUFFER, CAPTURE_OBJECTS, PROFILE_GENERIC
from dlms_connector.interpret import ScalerUnit, scaler_unit
from dlms_connector.obis import Obis
from dlms_connector.protocol import Client, get_one
from dlms_connector.protocol.data import Data
from dlms_connector.protocol.talk import Talk

#: By value groups A, C, D and E of the profile; events by A, C and D.
_IS15959: Mapping[tuple[int, ...], str] = {
    (1, 94, 91, 0): "1-0:94.91.3",
    (1, 99, 1, 0): "1-0:94.91.4",
    (1, 99, 2, 0): "1-0:94.91.5",
    (1, 98, 1, 0): "1-0:94.91.6",
    (0, 99, 98): "1-0:94.91.7",
}
_SPODES: Mapping[tuple[int, ...], str] = {
    (1, 98, 1, 0): "1-0:94.7.1",
    (1, 98, 2, 0): "1-0:94.7.2",
    (1, 94, 7, 0): "1-0:94.7.3",
    (1, 99, 1, 0): "1-0:94.7.4",
}
#: SPODES has no standard of its own in the configuration: its meters follow DLMS otherwise.
_USUAL: Mapping[Standard, Mapping[tuple[int, ...], str]] = {"INDIA": _IS15959, "DLMS": _SPODES}


def usual_scaler_profile(obis: Obis, standard: Standard) -> Obis | None:
    """Return the scaler profile that a standard has for a profile; None if it has none."""
    a, _, c, d, e, _ = obis.octets
    known = _USUAL.get(standard, {})
    text = known.get((a, c, d, e)) or known.get((a, c, d))
    return Obis.parse(text) if text else None


def read_scalers(client: Client, obis: Obis) -> Talk[Mapping[Obis, ScalerUnit]]:
    """Read a scaler profile; by object, what its row holds. Empty if the meter has none."""
    try:
        objects = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, CAPTURE_OBJECTS))
        buffer = yield from get_one(client, AttributeRef(PROFILE_GENERIC, obis, BUFFER))
    except (ObjectError, ServiceError):
        return {}
    rows = _elements(buffer)
    cells = _elements(rows[0]) if rows else ()
    found: dict[Obis, ScalerUnit] = {}
    for entry, cell in zip(_elements(objects), cells, strict=False):
        name = _name(entry)
        try:
            scaler = scaler_unit(cell)
        except ProtocolError:
            continue  # a clock, or a cell that is empty
        if name is not None:
            found.setdefault(name, scaler)
    return found


def _name(entry: Data) -> Obis | None:
    parts = _elements(entry)
    octets = parts[1].value if len(parts) > 1 else None
    return Obis(octets) if isinstance(octets, bytes) and len(octets) == 6 else None


def _elements(data: Data) -> tuple[Data, ...]:
    return data.value if isinstance(data.value, tuple) else ()
