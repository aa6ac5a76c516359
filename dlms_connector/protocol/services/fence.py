"""A question whose answer is known: it shows that the answers before it were in step.

Where nothing tells answers apart, one answer too many shifts all that follow, and each is taken
for that to the question after. The next question shows it; behind the last of a poll there is
none. So the logical name of the association is asked for then: it fits no other question, and
never changes. If anything else comes, the answers before it may be to other questions.
"""

from __future__ import annotations

from dataclasses import dataclass

from dlms_connector.errors import LinkTimeoutError, OutOfStepError, ServiceError
from dlms_connector.protocol.services.codec import CONFIRMED_HIGH
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.talk import Talk

DOING = "checking that no answer was to an earlier question"

#: Read of 0xFA00, the first attribute of the association by short names.
_READ = b"\x05\x01\x02\xfa\x00"
#: GET of attribute 1 of the present association: behind the invoke-id.
_GET, _NAME = b"\xc0\x01", b"\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x00"
#: Head of the answers, without the invoke-id: ReadResponse with one result, GetResponse.
_HEADS = {_READ[:1]: 2, _GET[:1]: 3}
#: What is believed at first: a logical name 0.0.40.x.x.255, or a Data-Access-Result.
_LOGICAL_NAME, _ERROR = b"\x00\x09\x06\x00\x00\x28", b"\x01"


@dataclass
class FenceMark:
    """What a meter answers to the question; `odd` came once instead, `off` if it is silent."""

    known: bytes = b""
    odd: bytes = b""
    off: bool = False

    def accepts(self, result: bytes) -> bool:
        """Whether this is the answer to the question; the same odd one twice is."""
        if not self.known and (result.startswith((_LOGICAL_NAME, _ERROR)) or result == self.odd):
            self.known = result
        self.odd = result
        return result == self.known


class Fence:
    """The question of one association; `mark` is kept over the associations with a meter."""

    def __init__(
        self, conversation: Conversation, mark: FenceMark, *, by_short_names: bool
    ) -> None:
        self._conversation, self._mark = conversation, mark
        self._by_short_names = by_short_names

    def check(self) -> Talk[None]:
        """Ask, if the meter answers it. Raises OutOfStepError if something else came, LinkError.

        An answer that was passed over is enough: those before it may have been one too late.
        """
        if self._conversation.passed_over:
            raise OutOfStepError(DOING)
        if self._mark.off:
            return
        if self._by_short_names:
            request = _READ
        else:
            flags = CONFIRMED_HIGH | self._conversation.next_invoke_id()
            request = _GET + bytes((flags,)) + _NAME
        try:
            answer = yield from self._conversation.ask(request, DOING)
        except ServiceError:
            return  # no answer to a read, so no late one
        except LinkTimeoutError:
            self._mark.off = not self._mark.known
            raise
        if not self._mark.accepts(answer[_HEADS[request[:1]] :]):
            raise OutOfStepError(DOING)
