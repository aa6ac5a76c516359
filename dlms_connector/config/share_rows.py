"""Which rows of a fleet are this gateway's, and what is told of those of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlms_connector.config.inheritance import Layer
from dlms_connector.config.placement import Placement, listening
from dlms_connector.config.rows import Refused
from dlms_connector.config.templates import Templates
from dlms_connector.sharing import Share


@dataclass(frozen=True)
class Elsewhere:
    """A device of another share: its own keys are not looked into any further."""

    row: Layer


@dataclass(frozen=True)
class OwnRows:
    """The rows in their order; a refused one is told by the gateway whose it would be."""

    rows: Iterable[Layer | Refused | Elsewhere]
    #: Keys that devices of this share have in common with others, and with the same title.
    split_keys: int = 0


def own_rows(
    rows: Iterator[Layer | Refused], share: Share, templates: Templates, document: Mapping[str, Any]
) -> OwnRows:
    """Tell the rows of a share from those of others; alone, all are this gateway's."""
    if share.count == 1:
        return OwnRows(rows)
    every = tuple(rows)
    placement = Placement(templates, *listening(document.get("push")))
    for row in every:
        if isinstance(row, Layer):
            placement.add(row)
    told: list[Layer | Refused | Elsewhere] = []
    ours: set[bytes | None] = set()
    others: set[bytes | None] = set()
    for row in every:
        if isinstance(row, Refused):
            if share.holds(row.path):
                told.append(row)
            continue
        is_ours = share.holds(placement.of(row))
        (ours if is_ours else others).add(placement.key(row))
        told.append(row if is_ours else Elsewhere(row))
    return OwnRows(tuple(told), len((ours & others) - {None}))
