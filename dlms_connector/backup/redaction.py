"""Takes secrets that stand in clear out of a configuration, and leaves references in their place.

A reference says nothing of a secret and stays as it is. In place of a secret in clear stands the
reference to a file that is not there: whoever restores the configuration writes the secret into it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlms_connector.config import SECRET_KEYS, Dlms, delimiter_of

#: Where the secrets of a restored configuration are looked for, within the folder of secrets.
FOLDER = "restored"

_SECRET = frozenset((*SECRET_KEYS, "apiKey"))
_KNOWN = frozenset(str(field.alias) for field in Dlms.model_fields.values()) - _SECRET
_REFERENCE = re.compile(r"\$\{(?:env|file):[^}]*\}")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A secret that stood in clear: where, and the file (within that of secrets) to write it to."""

    path: str
    file: str


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
        value = self._value(json.loads(text), "", "", within=False)
        if len(self.left_out) == before:
            return text
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    def table(self, text: str, name: str) -> str:
        """Return a table of devices without secrets; the same text if there is none in it.

        A row with more or fewer cells than columns is left out: each cell of it may be a secret.
        Raises ValueError if it is no table.
        """
        delimiter = delimiter_of(text)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as error:
            raise ValueError(str(error)) from None
        before = len(self.left_out)
        columns = [column.strip() for column in rows[0]] if rows else []
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

    def _cells(self, columns: list[str], cells: list[str], place: str) -> Iterator[str]:
        by_column = dict(zip(columns, cells, strict=True))
        device = by_column.get("deviceName", "").strip()
        for column, cell in zip(columns, cells, strict=True):
            path, text = f"{place}, {column}", cell.strip()
            within = column.partition(".")[0] == "dlms"
            if text[:1] in ("[", "{"):
                try:
                    value = json.loads(text)
                except ValueError:
                    yield self._instead(path, device or place, column) if within else cell
                    continue
                new = self._value(value, path, device, within=within)
                yield cell if new == value else json.dumps(new, ensure_ascii=False)
            elif text and self._is_secret(column.rpartition(".")[2], within=within, value=text):
                yield self._instead(path, device or place, column.rpartition(".")[2])
            else:
                yield cell

    def _value(self, value: Any, path: str, device: str, *, within: bool) -> Any:
        """Return a value without secrets; `within` a block `dlms`, or something in it."""
        if isinstance(value, list):
            return [
                self._value(inner, f"{path}[{index}]", device, within=within)
                for index, inner in enumerate(value)
            ]
        if not isinstance(value, Mapping):
            return value
        name = value.get("deviceName")
        device = name if isinstance(name, str) else device
        found = {}
        for key, inner in value.items():
            there = f"{path}.{key}" if path else key
            if self._is_secret(key, within=within, value=inner):
                found[key] = self._instead(there, device or path or "configuration", key)
            else:
                found[key] = self._value(inner, there, device, within=within or key == "dlms")
        return found

    @staticmethod
    def _is_secret(key: str, *, within: bool, value: Any) -> bool:
        """Whether a value must not be shown: within `dlms` that of a misspelt key neither."""
        if isinstance(value, bool | list | Mapping) or value is None:
            return False
        if isinstance(value, str) and (not value or _REFERENCE.fullmatch(value.strip())):
            return False
        return key in _SECRET or (within and isinstance(value, str) and key not in _KNOWN)

    def _instead(self, path: str, owner: str, key: str) -> str:
        plain = _ODD.sub("_", f"{owner}.{key}".replace(".", "-")).strip("_")[:100]
        file, number = f"{FOLDER}/{plain}", 1
        while file in self._names:
            number += 1
            file = f"{FOLDER}/{plain}-{number}"
        self._names.add(file)
        self.left_out.append(LeftOut(path, file))
        return f"${{file:{file}}}"
