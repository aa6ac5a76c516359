"""A gateway's share of a fleet."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dlms_connector.sharing.rendezvous import owner

#: A number, alone or behind the name of a pod of a StatefulSet.
_ORDINAL = re.compile(r"(?:\S*-)?([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class Share:
    """The share of gateway `index`, counted from 0, of as many gateways as there are weights."""

    index: int
    weights: tuple[float, ...]

    @property
    def count(self) -> int:
        """How many gateways there are."""
        return len(self.weights)

    def holds(self, key: str) -> bool:
        """Whether what has this key is this gateway's."""
        return self.count == 1 or owner(key, self.weights) == self.index

    def __str__(self) -> str:
        weights = "" if len(set(self.weights)) == 1 else f", weights {weights_text(self.weights)}"
        return f"{self.index} of {self.count}{weights}"


#: The share of a gateway that is alone.
WHOLE_FLEET = Share(0, (1.0,))


def weights_text(weights: Sequence[float]) -> str:
    """Return weights as they are written on a command line."""
    return ",".join(f"{weight:g}" for weight in weights)


def ordinal(text: str) -> int | None:
    """Return the number of a gateway: `2`, or the `2` of a pod's name, `dlms-gateway-2`.

    None if there is none.
    """
    match = _ORDINAL.fullmatch(text.strip())
    return int(match[1]) if match else None
