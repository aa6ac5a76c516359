"""The data sets of a readout, and which of them an OBIS code means.

A data set is a code and its values in parentheses, `1.8.0(0001240.1*kWh)` (IEC 62056-21 clause
6.5). The code is the OBIS code of the value, mostly without the groups A, B and F, and with letters
for some numbers of group C (IEC 62056-61 clause 5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlms_connector.obis import Obis

#: Data sets that are taken of one readout; the longest have some hundreds.
_MOST = 4000
_VALUE = r"\(([^()\r\n]{0,128})\)"
_SET = re.compile(rf"([^()!/\r\n]{{0,32}})((?:{_VALUE})+)")
_VALUES = re.compile(_VALUE)
_UNIT = re.compile(r"(.*?)(?:\*([^*]{1,16}))?", re.DOTALL)
_CODE = re.compile(
    r"(?:(\d{1,3})-)?(?:(\d{1,3}):)?([0-9]{1,3}|[CFLP])\.([0-9]{1,3}|[CFLP])"
    r"(?:\.([0-9]{1,3}))?(?:[*&.]([0-9]{1,3}))?"
)
#: Group C and D as letters (IEC 62056-61): service information, errors, lists, profiles.
_LETTERS = {"C": 96, "F": 97, "L": 98, "P": 99}


@dataclass(frozen=True, slots=True)
class DataSet:
    """A code as the meter writes it, and its values, each with the unit that follows it, if any."""

    code: str
    values: tuple[tuple[str, str | None], ...]

    def means(self, obis: Obis) -> bool:
        """Whether the code names this object: groups that it leaves out may be any.

        A left out group F is 255, the current value, and a left out E is 0 or 255.
        """
        if not (match := _CODE.fullmatch(self.code)):
            return False
        a, b, c, d, e, f = match.groups()
        wanted = obis.octets
        exact = (
            (a, wanted[0]),
            (b, wanted[1]),
            (c, wanted[2]),
            (d, wanted[3]),
            (e, wanted[4]),
        )
        if any(text is not None and _number(text) != group for text, group in exact):
            return False
        if e is None and wanted[4] not in (0, 255):
            return False
        return wanted[5] == (255 if f is None else int(f))

    @property
    def object(self) -> Obis | None:
        """The object that the code most likely names, None if it is no OBIS code.

        Groups that it leaves out are those of electricity, or of no medium where C says so.
        """
        if not (match := _CODE.fullmatch(self.code)):
            return None
        a, b, c, d, e, f = match.groups()
        medium = 0 if _number(c) in _LETTERS.values() else 1
        groups = (a or medium, b or 0, _number(c), _number(d), e or 0, 255 if f is None else f)
        numbers = [int(one) for one in groups]
        return Obis(bytes(numbers)) if max(numbers) < 256 else None


def _number(text: str) -> int:
    return _LETTERS[text] if text in _LETTERS else int(text)


def data_sets(text: str) -> Iterator[DataSet]:
    """Yield the data sets of a readout in its order; lines that are none are left out.

    Values without a code belong to the data set before them (a line that was broken).
    """
    before: DataSet | None = None
    for count, match in enumerate(_SET.finditer(text)):
        if count >= _MOST:
            break
        values = tuple(_value(one) for one in _VALUES.findall(match[2]))
        code = match[1].strip(" \x02\x00")
        if not code and before is not None:
            before = DataSet(before.code, before.values + values)
            continue
        if before is not None:
            yield before
        before = DataSet(code, values)
    if before is not None:
        yield before


def _value(text: str) -> tuple[str, str | None]:
    match = _UNIT.fullmatch(text)
    assert match is not None, "the pattern takes any text"
    return match[1], match[2]


def find(sets: Sequence[DataSet], obis: Obis) -> DataSet | None:
    """Return the first data set that means an object, None if there is none."""
    return next((one for one in sets if one.means(obis)), None)
