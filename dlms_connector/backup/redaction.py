"""Takes secrets that stand in clear out of a configuration, and leaves references in their place.

A reference says nothing of a secret and stays as it is. In place of a secret in clear stands the
reference to a file that is not there: whoever restores the configuration writes the secret into it.
What is wrong in a configuration may be a secret in the wrong place, so it is left out too.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from dlms_connector.config import SECRET_KEYS, Dlms, PlatformAccess, delimiter_of

#: Where the secrets of a restored configuration are looked for, within the folder of secrets.
FOLDER = "restored"

_SECRET = frozenset((*SECRET_KEYS, "apiKey"))
_REFERENCE = re.compile(r"\$\{(?:env|file):[^}]*\}")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")
#: A number below it, under a wrong key, is an address or a count, and too short for a password.
_LEAST_SECRET = 100_000


def _keys(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys of a section, and of the sections in it."""
    for field in model.model_fields.values():
        yield str(field.alias)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation)


#: Sections with secrets, and the keys in them that are known: any other may be one misspelt.
_SECTIONS: Mapping[str, frozenset[str]] = {
    "dlms": frozenset(_keys(Dlms)),
    "platform": frozenset(_keys(PlatformAccess)),
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A secret that stood in clear: where, and the file (within that of secrets) to write it to."""

    path: str
    file: str


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands, and whether it may be a secret there."""

    path: str = ""
    #: The path of the object around it, and the device that it is of, if it is of one.
    around: str = ""
    device: str = ""
    key: str = ""
    #: The known keys of the section with secrets that it is in; None in no such section.
    known: frozenset[str] | None = None
    #: Whether the value, and all that is in it, may be a secret.
    hides: bool = False

    def of(self, key: str) -> _Place:
        """Return the place of a key's value in the object here."""
        wrong = self.known is not None and key not in self.known
        return replace(
            self,
            path=f"{self.path}.{key}" if self.path else key,
            around=self.path,
            key=key,
            known=_SECTIONS.get(key, self.known),
            hides=self.hides or wrong or key in _SECRET,
        )

    def at(self, index: int) -> _Place:
        """Return the place of an entry in the list here."""
        return replace(self, path=f"{self.path}[{index}]")

    def may_be_secret(self, value: Any) -> bool:
        """Whether a value here, neither object nor list, must not be shown."""
        if not self.hides or value is None or isinstance(value, bool):
            return False
        if isinstance(value, str):
            return bool(value) and not _REFERENCE.fullmatch(value.strip())
        return self.key in _SECRET or abs(value) >= _LEAST_SECRET


class Redaction:
    """Takes the secrets out of the files of one configuration; `left_out` names them."""

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self._names: set[str] = set()

    def document(self, text: str) -> str:
        """Return a JSON document without secrets; the same text if there is none in it.

        Raises ValueError if it is no JSON: nobody knows then what in it is secret.
        """
        before = len(self.left_out)
        value = self._value(_parsed(text), _Place())
        if len(self.left_out) == before:
            return text
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    def table(self, text: str, name: str) -> str:
        """Return a table of devices without secrets; the same text if there is none in it.

        A row with more or fewer cells than columns is left out: each cell of it may be a secret.
        Raises ValueError if it is no table: nobody knows then which cells are secret.
        """
        delimiter = delimiter_of(text)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise ValueError(str(error)) from None
        before = len(self.left_out)
        columns = [column.strip() for column in rows[0]] if rows else []
        if rows and "deviceName" not in columns:
            raise ValueError("its first line names no column deviceName")
        kept = rows[:1]
        for number, cells in enumerate(rows[1:], 2):
            if len(cells) == len(columns):
                kept.append([*self._cells(columns, cells, f"{name} row {number}")])
            elif any(cell.strip() for cell in cells):
                self.left_out.append(LeftOut(f"{name} row {number} (it is out of step)", ""))
        if len(self.left_out) == before:
            return text
        written = io.StringIO(newline="")
        csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(kept)
        return written.getvalue()

    def _cells(self, columns: Sequence[str], cells: Sequence[str], row: str) -> Iterator[str]:
        device = dict(zip(columns, cells, strict=True)).get("deviceName", "").strip()
        for column, cell in zip(columns, cells, strict=True):
            place = _Place(device=device or row)
            for key in column.split("."):
                place = place.of(key)
            yield self._cell(cell, replace(place, path=f"{row}, {column}"))

    def _cell(self, cell: str, place: _Place) -> str:
        text = cell.strip()
        if text[:1] not in ("[", "{"):
            return str(self._value(text, place)) if place.may_be_secret(text) else cell
        try:
            value = _parsed(text)
        except (ValueError, RecursionError):  # so it is a text, and may be a password
            return self._instead(place) if place.known is not None or place.hides else cell
        new = self._value(value, place)
        return cell if new == value else json.dumps(new, ensure_ascii=False)

    def _value(self, value: Any, place: _Place) -> Any:
        """Return a value without secrets."""
        if isinstance(value, list):
            return [self._value(inner, place.at(index)) for index, inner in enumerate(value)]
        if isinstance(value, Mapping):
            if isinstance(name := value.get("deviceName"), str):
                place = replace(place, device=name)
            return {key: self._value(inner, place.of(key)) for key, inner in value.items()}
        return self._instead(place) if place.may_be_secret(value) else value

    def _instead(self, place: _Place) -> str:
        owner = place.device or place.around or "configuration"
        plain = _ODD.sub("_", f"{owner}.{place.key}".replace(".", "-")).strip("_")[:100]
        file, number = f"{FOLDER}/{plain}", 1
        while file in self._names:
            number += 1
            file = f"{FOLDER}/{plain}-{number}"
        self._names.add(file)
        self.left_out.append(LeftOut(place.path, file))
        return f"${{file:{file}}}"


def _parsed(text: str) -> Any:
    """Read JSON. Raises ValueError also for a key that is twice: one of them would not be seen."""
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice!r} is twice in one object")
    return made
