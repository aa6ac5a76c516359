"""What is known beside the data when it is interpreted, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal, NamedTuple, TypeVar

from dlms_connector.config import Dlms, Item, ValueFormat, read_zone
from dlms_connector.protocol.data import Data
from dlms_connector.reading import Value

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """How the values of an item, or of a meter, are to be read.

    `encoding` is that of text (some meters send cp1251); None takes UTF-8, and octets that
    are no printable ASCII for hex. `zone` is where a clock ticks that does not tell its
    deviation; None leaves the zone away from what it says.
    """

    format: ValueFormat | None = None
    encoding: str | None = None
    zone: tzinfo | None = None
    from_utc: bool = False


DEFAULTS = Options()


def options_of(dlms: Dlms, item: Item | None = None) -> Options:
    """Return how the values of a meter, or of one of its items, are to be read."""
    return Options(
        format=item.format if item else None,
        encoding=item.encoding if item else None,
        zone=None if dlms.time_zone is None else read_zone(dlms.time_zone),
        from_utc=dlms.deviation_from_utc,
    )


class Interpretation(NamedTuple):
    """A value, the symbol of its unit if it has one, and whether it can be trusted."""

    value: Value
    unit: str | None
    quality: Literal["good", "suspect"]


class Context:
    """One interpretation under way: its options, the power of ten of its numbers, its doubts."""

    def __init__(self, options: Options, scaler: int) -> None:
        self.options = options
        self.scaler = scaler
        self.suspect = False

    def doubt(self, value: _T) -> _T:
        """Return what there is instead of a value that can be trusted, and note that."""
        self.suspect = True
        return value


#: How the data of an attribute, or a part of it, is turned into a value.
Shape = Callable[[Data, Context], Value]
