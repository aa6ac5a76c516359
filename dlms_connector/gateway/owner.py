"""The connector as its parts see it."""

from __future__ import annotations

from dataclasses import dataclass
from logging import Logger
from typing import Any, Protocol

from dlms_connector.fleet import Fleet


class Owner(Protocol):
    """What the parts need of the connector, which the gateway has loaded and knows."""

    #: The connector's name, which the gateway may set after construction.
    name: str

    def get_id(self) -> str:
        """Return the id of the connector in the gateway."""

    def get_type(self) -> str:
        """Return the type under which the gateway found the class."""

    def make_fleet(self, *args: Any, **keys: Any) -> Fleet:
        """Make the fleet, as its class does."""

    def send(self, data: Any) -> bool:
        """Hand converted data to the gateway's storage; false if it did not take all of it."""

    def count(self, name: str, count: int) -> None:
        """Add to the gateway's statistics of the connector."""

    def table_changed(self) -> None:
        """Note that the table of devices has changed since it was loaded."""

    def role_changed(self) -> None:
        """Note that the gateway's role is another than that which these parts have."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The connector's log, and the one of its converters."""

    connector: Logger
    converters: Logger
