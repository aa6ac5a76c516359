"""Type and size of what an attribute gave, to notice the late answer to another question.

Answers by short name carry no invoke-id. One whose value has another type or size than before
is not used at once: the right answer may follow. If none does, the association is renewed, and
what is then given again is what the attribute now holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlms_connector.errors import ProtocolError
from dlms_connector.protocol.data import Budget, Data, DataType
from dlms_connector.protocol.services.long_values import LONG
from dlms_connector.protocol.services.replies import Result
from dlms_connector.protocol.services.short_name_replies import (
    ReadResults,
    long_value,
    parse_read,
)

#: Shapes of one attribute that are told apart; one with more may have any.
_MOST = 4

#: A variable without selective access (Variable-Access-Specification).
_BY_NAME = b"\x02"
_LISTS = (DataType.ARRAY, DataType.COMPACT_ARRAY)
_LIST_TAGS = tuple(bytes((tag,)) for tag in _LISTS)

Shape = tuple[object, ...]


def shape_of(data: Data) -> Shape:
    """Return type and size; lists may have any length."""
    if data.type in _LISTS:
        return (data.type,)
    if data.type is DataType.STRUCTURE:
        return (data.type, *map(shape_of, data.value))
    sized = isinstance(data.value, bytes | str | tuple | list)
    return (data.type, len(data.value)) if sized else (data.type,)


class Shapes:
    """The shapes that the attributes of a meter have had, by the request for each."""

    def __init__(self) -> None:
        self._known: dict[bytes, set[Shape]] = {}
        self._expected: dict[bytes, Shape] = {}

    def fits(self, variable: bytes, result: Result) -> bool:
        """Whether this may be the value of a variable."""
        known = self._known.get(variable)
        if isinstance(result, int) or not known or len(known) > _MOST:
            return True
        shape = shape_of(result)
        return shape in known or self._expected.get(variable) == shape

    def learn(self, variable: bytes, result: Result) -> None:
        """Note a value that was taken."""
        self._expected.pop(variable, None)
        if not isinstance(result, int) and variable[:1] == _BY_NAME:
            known = self._known.setdefault(variable, set())
            if len(known) <= _MOST:
                known.add(shape_of(result))

    def expect(self, variable: bytes, result: Result) -> None:
        """Let a value of this shape be taken next: it came once already, or is being written."""
        if not isinstance(result, int):
            self._expected[variable] = shape_of(result)


class Fit:
    """Holds the answers to one Read against what its variables gave before.

    `budget` is what the answer may hold.
    """

    def __init__(
        self, shapes: Shapes, variables: Sequence[bytes], budget: Budget | None = None
    ) -> None:
        self._shapes, self._variables, self._budget = shapes, variables, budget
        self._odd: tuple[Result, ...] = ()

    def accepts(self, answer: bytes) -> bool:
        """Whether the values of an answer have the shapes that they had before."""
        results = self._results(answer)
        pairs = zip(self._variables, results, strict=True) if results else ()
        if all(self._shapes.fits(variable, result) for variable, result in pairs):
            return True
        self._odd = results
        return False

    def learn(self, results: tuple[Result, ...]) -> tuple[Result, ...]:
        """Note the values that were taken, and return them."""
        for variable, result in zip(self._variables, results, strict=True):
            self._shapes.learn(variable, result)
        return results

    def doubted(self, doing: str) -> ProtocolError | None:
        """Return the error if the only answer did not fit; the same one fits next time."""
        if not self._odd:
            return None
        for variable, result in zip(self._variables, self._odd, strict=True):
            if not self._shapes.fits(variable, result):
                self._shapes.expect(variable, result)
        return ProtocolError(
            doing, "the value has another type or size than before: perhaps it is a late answer"
        )

    def _results(self, answer: bytes) -> tuple[Result, ...]:
        if len(self._variables) == 1 and len(answer) > LONG:
            octets = long_value(answer) or b""
            # It is parsed in slices later. Of a list, the type alone is held against others.
            if octets[:1] in _LIST_TAGS:
                return (Data(DataType(octets[0]), ()),)
            if octets[:1] == bytes((DataType.STRUCTURE,)):
                return ()
        budget = self._budget.again() if self._budget else None
        try:
            reply = parse_read(answer, "", budget)
        except ProtocolError:
            return ()  # it is refused where it is read
        fits = isinstance(reply, ReadResults) and len(reply.results) == len(self._variables)
        return reply.results if isinstance(reply, ReadResults) and fits else ()
