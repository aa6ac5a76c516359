"""A key of the gateway that keeps its hash."""

from __future__ import annotations

from typing import Any

from thingsboard_gateway.gateway.entities.datapoint_key import DatapointKey


class HashedKey(DatapointKey):  # type: ignore[misc]
    """Equal to the gateway's own key, and never changed.

    The gateway's key makes a tuple of its parts and hashes it each time; and it is hashed several
    times on the way of each value, here and in the gateway.
    """

    def __init__(self, key: str, report_strategy: Any = None) -> None:
        super().__init__(key, report_strategy)
        self._hash: int = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or bool(super().__eq__(other))

    def __reduce__(self) -> tuple[type[DatapointKey], tuple[str, Any]]:
        """Return what a copy is made of: the hash of a text is another one in each process."""
        return DatapointKey, (self.key, self.report_strategy)
