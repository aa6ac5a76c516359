"""The options, the state and the result of an interpretation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo
from functools import lru_cache
from typing import Literal, NamedTuple, TypeVar

from dlms_connector.config import Dlms, Item, ValueFormat, read_zone
from dlms_connector.protocol.data import Data
from dlms_connector.reading import Value

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Options:
    """How to interpret the values of an item, or of a meter.

    `encoding` is the encoding of text (some meters send cp1251). With None, text is UTF-8,
    and octet strings that are not printable ASCII are shown in hex. `zone` is the time zone
    of a clock that does not send its deviation. With None, its times are shown without a zone.
    """

    format: ValueFormat | None = None
    encoding: str | None = None
    zone: tzinfo | None = None
    from_utc: bool = False

    def of(self, item: Item) -> Options:
        """Return the options for the values of an item of the meter that these are of."""
        if item.format is None and item.encoding is None:
            return self
        return replace(self, format=item.format, encoding=item.encoding)


DEFAULTS = Options()


def options_of(dlms: Dlms, item: Item | None = None) -> Options:
    """Return the options for the values of a meter, or of one of its items."""
    general = _options(dlms.time_zone, from_utc=dlms.deviation_from_utc)
    return general.of(item) if item else general


@lru_cache(maxsize=64)
def _options(zone: str | None, *, from_utc: bool) -> Options:
    return Options(zone=None if zone is None else read_zone(zone), from_utc=from_utc)


class Interpretation(NamedTuple):
    """A value, the symbol of its unit if it has one, and whether it can be trusted."""

    value: Value
    unit: str | None
    quality: Literal["good", "suspect"]


class Context:
    """The state of one interpretation: options, scaler of numbers, and whether it is suspect."""

    def __init__(self, options: Options, scaler: int) -> None:
        self.options = options
        self.scaler = scaler
        self.suspect = False

    def doubt(self, value: _T) -> _T:
        """Mark the interpretation as suspect, and return the given value."""
        self.suspect = True
        return value


#: Turns the data of an attribute, or of a part of it, into a value.
Shape = Callable[[Data, Context], Value]
