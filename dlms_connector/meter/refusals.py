"""Notices a meter that refuses all that it gave before: its association may be confused.

Some meters answer so from a request that they could not handle until the association ends.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from dlms_connector.cosem import AttributeRef
from dlms_connector.errors import ObjectError
from dlms_connector.meter.outcome import Answer
from dlms_connector.meter.plan import Wanted

_NOTHING: frozenset[AttributeRef] = frozenset()


class Refusals:
    """What one meter refuses, though it gave it before."""

    def __init__(self, meter: str, log: logging.Logger) -> None:
        self._meter, self._log = meter, log
        #: What was refused when an association was given up for it: that is done once.
        self._known = _NOTHING

    def given(self, due: Sequence[Wanted]) -> None:
        """Note that the meter gave all of this."""
        if self._known:
            self._known = self._known.difference(one.value for one in due)

    def call_for_another(
        self,
        due: Sequence[Wanted],
        answers: Mapping[AttributeRef, Answer],
        scalers: Collection[AttributeRef],
    ) -> bool:
        """Whether another association is worth a try after these answers.

        `scalers` are those that the meter gave: it knows the objects that they are of.
        """
        self.given([one for one in due if not _is_refused(one, answers)])
        if not all(_is_refused(one, answers) for one in due):
            return False
        known = frozenset(one.value for one in due if one.scaler in scalers)
        if known <= self._known:
            return False
        self._known |= known
        self._log.info(
            "%s: it refuses all that it gave before: the association is opened anew", self._meter
        )
        return True


def _is_refused(one: Wanted, answers: Mapping[AttributeRef, Answer]) -> bool:
    answer = answers.get(one.value)
    return answer is not None and isinstance(answer.data, ObjectError)
