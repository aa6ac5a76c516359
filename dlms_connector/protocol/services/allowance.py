"""How much the reply to a question may hold, by who asks and what is asked.

Most attributes are a number or a structure of some values. Long by their nature are only the
buffers of profiles and the lists of objects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dlms_connector.cosem import AttributeRef
from dlms_connector.protocol.data import Budget

#: Values and octets.
_Size = tuple[int, int]

_BUFFER, _SN_OBJECTS, _LN_OBJECTS = (7, 2), (12, 2), (15, 2)
#: In a list each further attribute adds this much: in a list only one is long.
_FURTHER = (64, 1 << 10)


@dataclass(frozen=True, slots=True)
class Allowance:
    """Values and octets of a reply; `long` are attributes that may have more of both."""

    values: int
    octets: int
    long: Mapping[tuple[int, int], _Size] = field(default_factory=dict)

    def budget(self, refs: Collection[AttributeRef]) -> Budget:
        """Return the budget of the one reply that answers for all these attributes."""
        if len(refs) == 1:
            (ref,) = refs
            values, octets = self.long.get(
                (ref.class_id, ref.attribute), (self.values, self.octets)
            )
            return Budget(values, octets, 1)
        count = len(refs)
        values, octets = self.values + count * _FURTHER[0], self.octets + count * _FURTHER[1]
        return Budget(values, octets, count or None)

    def of_object_list(self) -> Budget:
        """Return the budget of the list of short names, which is read before all else."""
        return Budget(*self.long.get(_SN_OBJECTS, _DIRECTORY), 1)


#: A list of short names, five values and a structure for each object.
_DIRECTORY = (1 << 16, 1 << 18)


def unlimited(refs: Collection[AttributeRef]) -> Budget:
    """Return a budget that only the absolute bounds limit."""
    return Budget(items=len(refs) or None)


#: What a person asks for: a load profile of a year, or the rights for a thousand objects.
ASKED = Allowance(
    values=1 << 14,
    octets=1 << 18,
    long={_BUFFER: (1 << 19, 1 << 24), _LN_OBJECTS: (1 << 18, 1 << 21), _SN_OBJECTS: _DIRECTORY},
)  # fmt: skip

#: What is polled: a value that may be sent has at most 16 KiB as JSON, with 3 bytes for each
#: number; a text is cut to fit.
POLLED = Allowance(values=1 << 13, octets=1 << 16)

#: What a caller says who is not identified yet: a number or a name, and the short names of
#: a thousand objects.
STRANGER = Allowance(values=1 << 6, octets=1 << 10, long={_SN_OBJECTS: (1 << 13, 1 << 15)})
