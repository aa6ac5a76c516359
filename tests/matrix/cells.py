"""The cells in which meter and connector meet: chosen so that each two values meet somewhere.

The full product has hundreds of thousands of cells. These few hold every pair of values of
any two dimensions that can go together, and the triples in which the code is known to
branch; the same ones in each run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

HDLC_FRAMINGS = ("HDLC/1", "HDLC/2", "HDLC/4")
SERIAL_LINKS = ("serial", "serial mode E", "serial line")
DEDICATED = ("ded", "general-ded")
CIPHERED = ("AUTHENTICATION", "ENCRYPTION", "AUTHENTICATION_ENCRYPTION")


@dataclass(frozen=True)
class Cell:
    """One way to talk to a meter, and what is asked of it."""

    link: str
    framing: str
    referencing: str
    authentication: str
    security: str
    suite: str
    ciphering: str
    signing: str
    service: str

    @property
    def name(self) -> str:
        """What the test of this cell is called."""
        values = (getattr(self, field.name) for field in fields(self))
        return "-".join(value.replace(" ", "_").replace("/", "") for value in values)


#: What there is, by the name of the field of a cell.
DIMENSIONS: Mapping[str, Sequence[str]] = {
    "link": ("tcp", "udp", "dial-in", "tcp line", *SERIAL_LINKS),
    "framing": (*HDLC_FRAMINGS, "WRAPPER"),
    "referencing": ("LN", "SN"),
    "authentication": (
        *("NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_GMAC", "HIGH_SHA256"),
        "HIGH_ECDSA",
    ),
    "security": ("NONE", *CIPHERED),
    "suite": ("0", "1", "2"),
    "ciphering": ("none", "glo", "ded", "general-glo", "general-ded"),
    "signing": ("never", "handshake", "always"),
    "service": (
        *("get", "get list", "get block", "set", "set list", "set block"),
        *("action", "action block", "range", "entry", "ACCESS"),
    ),
}


class Impossible(NamedTuple):
    """Values that do not go together, and why."""

    why: str
    values: Mapping[str, Sequence[str]]


IMPOSSIBLE = (
    Impossible("a datagram holds one WRAPPER packet", {"link": ("udp",), "framing": HDLC_FRAMINGS}),
    Impossible(
        "WRAPPER has no means against lost octets", {"link": SERIAL_LINKS, "framing": ("WRAPPER",)}
    ),
    Impossible("suite 0 has no signatures", {"suite": ("0",), "authentication": ("HIGH_ECDSA",)}),
    Impossible("suite 0 has no signatures", {"suite": ("0",), "signing": ("handshake", "always")}),
    Impossible(
        "nothing is proved that could be signed",
        {"signing": ("handshake",), "authentication": ("NONE", "LOW")},
    ),
    Impossible(
        "nothing is ciphered",
        {"security": ("NONE",), "ciphering": ("glo", *DEDICATED, "general-glo")},
    ),
    Impossible("something is ciphered", {"security": CIPHERED, "ciphering": ("none",)}),
    Impossible(
        "a dedicated key travels encrypted",
        {"security": ("AUTHENTICATION",), "ciphering": DEDICATED},
    ),
    Impossible(
        "a suite makes no difference here",
        {
            "suite": ("1", "2"),
            "security": ("NONE",),
            "signing": ("never",),
            "authentication": ("NONE", "LOW", "HIGH", "HIGH_MD5", "HIGH_SHA1", "HIGH_SHA256"),
        },
    ),
    Impossible(
        "ACCESS names objects by logical name", {"referencing": ("SN",), "service": ("ACCESS",)}
    ),
)

#: Where the code branches on three values at once.
TRIPLES = (("security", "suite", "ciphering"), ("link", "framing", "referencing"))

#: Values of some dimensions, in the order of the dimensions.
Part = tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def cells() -> tuple[Cell, ...]:
    """Return the cells to prove."""
    open_parts = dict.fromkeys(wanted())
    chosen: list[Cell] = []
    used: Counter[tuple[str, str]] = Counter()
    while open_parts:
        first = next(iter(open_parts))
        values = _complete(dict(first), open_parts, used)
        assert values is not None
        for part in parts_of(values):
            open_parts.pop(part, None)
        used.update(values.items())
        chosen.append(Cell(**values))
    return tuple(chosen)


def wanted() -> Iterator[Part]:
    """Yield all that must be in some cell: pairs, the triples, as far as there are such cells."""
    for names in (*TRIPLES, *combinations(DIMENSIONS, 2)):
        for values in product(*(DIMENSIONS[name] for name in names)):
            part = tuple(zip(names, values, strict=True))
            if _complete(dict(part), {}, Counter()) is not None:
                yield part


def parts_of(values: Mapping[str, str]) -> Iterator[Part]:
    """Yield the pairs and triples that a cell holds."""
    for names in (*TRIPLES, *combinations(DIMENSIONS, 2)):
        if all(name in values for name in names):
            yield tuple((name, values[name]) for name in names)


def is_possible(values: Mapping[str, str]) -> bool:
    """Whether these values, of all dimensions or some, go together."""
    return not any(
        all(values.get(name) in excluded for name, excluded in rule.values.items())
        for rule in IMPOSSIBLE
    )


def _complete(
    values: dict[str, str], open_parts: Mapping[Part, None], used: Counter[tuple[str, str]]
) -> dict[str, str] | None:
    """Return a cell with these values, with as much as possible that is open; None if none is."""
    if not is_possible(values):
        return None
    name = next((name for name in DIMENSIONS if name not in values), None)
    if name is None:
        return {name: values[name] for name in DIMENSIONS}

    def rank(value: str) -> tuple[int, int]:
        """Put first what closes most, then what was used least."""
        closes = sum(part in open_parts for part in parts_of({**values, name: value}))
        return -closes, used[name, value]

    choices = sorted(DIMENSIONS[name], key=rank) if open_parts else DIMENSIONS[name]
    for value in choices:
        if (found := _complete({**values, name: value}, open_parts, used)) is not None:
            return found
    return None
