"""How much one reply may hold: a budget that all its values share.

A meter's reply is built in the loop that serves all meters, so its size is decided before it
is read, by what was asked. A few octets can announce millions of values: each count is taken
from the budget before anything is built for it.
"""

from __future__ import annotations

from dlms_connector.errors import ExcessError
from dlms_connector.protocol.data.lengths import READING

#: Without a budget of its own, data may have this many values.
MAX_VALUES = 1 << 21
#: Octets of a value in block transfer, unless fewer are allowed.
MAX_OCTETS = 1 << 24
#: Rows of a long list: nearly two years with a row each quarter of an hour.
MAX_ROWS = 1 << 16
#: One row of a long list: the longest known rows have some hundred values.
MAX_ROW = 1 << 13


class Budget:
    """What is left for one reply; `items` is how many results were asked for, if that is known.

    `depth` is the depth of nesting that reading has reached.
    """

    __slots__ = ("depth", "items", "left", "most", "octets")

    def __init__(
        self, values: int = MAX_VALUES, octets: int = MAX_OCTETS, items: int | None = None
    ) -> None:
        self.left = self.most = values
        self.octets, self.items = octets, items
        self.depth = 0

    def spend(self, values: int) -> None:
        """Count values that will be read. Raises ExcessError if they are too many."""
        self.left -= values
        if self.left < 0:
            raise ExcessError(READING, f"more than {self.most} values")

    def of_row(self) -> Budget:
        """Return the budget of one row of a long list, or of what has no rows."""
        row = Budget(min(self.most, MAX_ROW))
        row.left = min(self.left, MAX_ROW)
        return row

    def again(self) -> Budget:
        """Return the whole budget, for another way of reading the same reply."""
        return Budget(self.most, self.octets, self.items)
