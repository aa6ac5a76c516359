"""Whether a session that was left open is ended before a meter is connected.

After a restart nothing is known to be open, so SNRM comes first: a meter may answer DISC by DM and
then ignore all that follows on that connection. If SNRM or AARQ fails, or if an association of
ours broke, a session may be open at the meter. Then DISC comes first (with the wrapper: RLRQ after
a refusal), and after DM or silence a new connection. What a meter needs is learned from its
answers; `workarounds.clearFirst` sets it.
"""

from __future__ import annotations

from dlms_connector.config import Device
from dlms_connector.errors import (
    ConfigError,
    ConnectError,
    CounterError,
    DlmsError,
    LinkTimeoutError,
    RefusedError,
    SecurityError,
)
from dlms_connector.hints import Symptom
from dlms_connector.protocol.talk import Cleared

#: Errors that no open session explains.
_OTHER_CAUSES = (ConfigError, ConnectError, SecurityError, CounterError)


class Clearing:
    """What is known of the sessions that one meter may have open, and how it takes a DISC."""

    def __init__(self, device: Device) -> None:
        self._mode = device.workarounds.clear_first
        # Mode E signs on before there is a link that a DISC could end.
        self._has_disc = device.dlms.interface_type == "HDLC"
        kind = device.connection.type
        self._renewable = kind == "tcp"
        #: Only the meter can make a new connection.
        self.dials_in = kind == "listen"
        #: Whether a session of ours may be open at the meter.
        self.left_open = False
        # Whether the last sessions that broke were open at the meter, until it says otherwise.
        self._helps = True
        #: Whether the meter answers SNRM only after a DISC, also if it has no session.
        self._wanted = False
        #: Whether to go on over the same connection after DM.
        self._stays = self._mode == "always" or not self._renewable
        self._answer: Cleared | None = None
        #: Whether a DISC without an answer came before the last connect, which failed. A turn may
        #: have time for one silence only: then SNRM has its turn before the next DISC.
        self._unheard = False
        self._tried_again = False

    @property
    def comes_first(self) -> bool:
        """Whether to end a session before the next connect."""
        if self._unheard:
            return False
        if self._mode != "auto":
            return self._mode == "always"
        broke = self.left_open and self._helps and not self.dials_in
        return self._has_disc and (self._wanted or broke)

    def may_help(self, error: DlmsError) -> bool:
        """Whether a session left open may be the cause of a failed connect.

        A silent meter costs one DISC each time. All else is tried again once until something
        succeeds, because meters lock out clients that try often.
        """
        if self._mode == "never" or isinstance(error, _OTHER_CAUSES):
            return False
        if isinstance(error, LinkTimeoutError):
            return self._has_disc
        if self._tried_again:
            return False
        self._tried_again = True
        return error.perhaps_held if isinstance(error, RefusedError) else self._has_disc

    def begin(self) -> None:
        """Note the beginning of an attempt to connect."""
        self._answer = None

    def goes_on(self, answer: Cleared | None) -> bool:
        """Note the answer to the end of a session; return whether to keep the connection."""
        self._answer = answer
        if answer is Cleared.NONE:
            self._helps = False
            return self._stays
        return answer is not Cleared.SILENCE or not self._renewable

    def connected(self, *, after_failure: bool) -> None:
        """Note that the meter was connected; `after_failure` means that it was not at first."""
        if self._answer is not None:
            self._helps = self._answer is Cleared.ENDED
        if after_failure and self._answer is Cleared.NONE and self._stays and self._has_disc:
            self._wanted = True
        self._tried_again = self._unheard = False

    def failed(self, error: DlmsError) -> bool:
        """Note a connect that failed; return whether its connection is spoiled by the DISC."""
        self._unheard = self._answer is Cleared.SILENCE and self._has_disc
        answered = self._answer in (Cleared.NONE, Cleared.ENDED)
        if not self._has_disc or not answered or not isinstance(error, LinkTimeoutError):
            return False
        error.showing(Symptom.ANSWERS_DISC)
        if self._answer is Cleared.NONE and self._renewable:
            self._stays = not self._stays
        self._wanted = False
        return self.dials_in
