"""What is noticed of a meter besides its answers; it outlives an association.

A *quirk* is a deviation from the standard that was understood all the same. An *unasked* APDU
is one that answers no request, such as a DataNotification. What is *refused* may be forged, and the
true answer is waited for.
"""

from __future__ import annotations

from collections.abc import Callable

from dlms_connector.errors import DlmsError

#: Tags of APDUs that no request of ours is answered with: DataNotification and its confirmation,
#: InformationReport and EventNotification (in clear, or with the global or dedicated key),
#: general-ciphering, and general-block-transfer, which is not proposed.
UNASKED = frozenset(bytes((tag,)) for tag in b"\x0f\x10\x18\x38\x58\xc2\xca\xd2\xdd\xe0")

#: Quirks that are told of one meter; none has as many.
_MOST_QUIRKS = 32
#: One for all meters, of which most have no quirk.
_NONE: frozenset[str] = frozenset()


def _nobody(_what: object) -> None:
    """Take no notice."""


class Remarks:
    """Passes on what is noticed of one meter: each quirk once, each unasked APDU as received.

    The receivers are called in the middle of a talk: they must return at once.
    """

    def __init__(
        self,
        on_quirk: Callable[[str], None] = _nobody,
        on_unasked: Callable[[bytes], None] = _nobody,
        on_refused: Callable[[DlmsError], None] = _nobody,
    ) -> None:
        """`on_quirk` is told what the meter does, as a sentence without a subject."""
        self._on_quirk = on_quirk
        #: Takes an unasked APDU, ciphered as it was received.
        self.unasked = on_unasked
        #: Takes why an APDU was not believed, if the conversation goes on.
        self.refused = on_refused
        self._told = _NONE

    def quirk(self, what: str) -> None:
        """Tell what the meter does, unless it was told before."""
        if what in self._told or len(self._told) >= _MOST_QUIRKS:
            return
        self._told |= {what}
        self._on_quirk(what)
