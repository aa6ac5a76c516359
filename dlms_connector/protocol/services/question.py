"""A question that is asked again and again: its request is encoded once."""

from __future__ import annotations

from collections.abc import Iterable

from dlms_connector.cosem import AttributeRef


class Question(tuple[AttributeRef, ...]):
    """Attributes to read in one request; services keep in it what they have worked out.

    It is a sequence of attributes like any other: services that keep nothing read these.
    """

    #: What is being done, for errors.
    doing: str
    #: The request before its octet with the invoke-id, and after it; None until it is encoded.
    encoded: tuple[bytes, bytes] | None

    def __new__(cls, refs: Iterable[AttributeRef]) -> Question:
        """Take the attributes in the order in which they are asked for."""
        question = super().__new__(cls, refs)
        several = len(question) > 1
        question.doing = (
            f"reading {len(question)} attributes at once" if several else f"reading {question[0]}"
        )
        question.encoded = None
        return question
