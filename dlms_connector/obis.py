"""The names of COSEM objects."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REDUCED = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.](\d{1,3}))?")
_DOTTED = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})")


@dataclass(frozen=True, slots=True, order=True)
class Obis:
    """The six octets that name a COSEM object, written `1-0:1.8.0*255` (IEC 62056-6-1)."""

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != 6:
            raise ValueError(f"an OBIS code has 6 octets, not {len(self.octets)}")

    @classmethod
    def parse(cls, text: str) -> Obis:
        """Read `A-B:C.D.E`, `A-B:C.D.E*F` or `A.B.C.D.E.F`.

        Raises ValueError with a sentence for the user.
        """
        match = _REDUCED.fullmatch(text) or _DOTTED.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not an OBIS code such as 1-0:1.8.0 or 1.0.1.8.0.255")
        groups = [255 if group is None else int(group) for group in match.groups()]
        if max(groups) > 255:
            raise ValueError(f"{text!r} has a value group over 255")
        return cls(bytes(groups))

    def __str__(self) -> str:
        """Write the reduced form; F is left out where it is 255."""
        a, b, c, d, e, f = self.octets
        return f"{a}-{b}:{c}.{d}.{e}" + ("" if f == 255 else f"*{f}")
