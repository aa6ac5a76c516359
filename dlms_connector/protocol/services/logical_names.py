"""GET, SET and ACTION on objects named by logical name (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dlms_connector.cosem import AttributeRef, MethodRef, Selection
from dlms_connector.errors import ExcessError, ObjectError, ProtocolError, ServiceError
from dlms_connector.protocol.data import (
    Budget,
    Cursor,
    Data,
    DataType,
    array,
    decode_whole,
    encode,
    encode_length,
)
from dlms_connector.protocol.services import codec
from dlms_connector.protocol.services.allowance import unlimited
from dlms_connector.protocol.services.block_transfer import (
    ACTION,
    GET,
    SET,
    follow_action,
    follow_get,
    send_blocks,
    unexpected,
)
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import DOING, OBJECT_LIST_LN, ObjectList
from dlms_connector.protocol.services.long_values import (
    LONG,
    sensible,
    sensibly,
    too_large,
    unhurried,
)
from dlms_connector.protocol.services.numbers import read_numbers
from dlms_connector.protocol.services.question import Question
from dlms_connector.protocol.services.replies import (
    ActionBlock,
    ActionDone,
    GetBlock,
    GetList,
    GetNormal,
    Reply,
    Result,
    SetDone,
    long_value,
    parse,
    read_action_result,
    read_results,
)
from dlms_connector.protocol.talk import Talk

#: Access selector of the object list: the objects of a list of classes (IEC 62056-6-2, class 15).
_BY_CLASS = b"\x02"

#: Octets before the items of a list request: tag, choice, invoke-id and count.
LIST_HEADER = 4

#: Returns what the reply to a question for these attributes may hold.
Allow = Callable[[Sequence[AttributeRef]], Budget]
#: Encodes the parameters of selective access: selector and data.
Select = Callable[[Selection], bytes]


class LogicalNames:
    """The services of one association, one request at a time.

    `room` returns the largest size of a request before ciphering, in octets; `allow` what the
    reply to a question may hold.
    """

    def __init__(
        self,
        conversation: Conversation,
        room: Callable[[], int],
        select: Select,
        allow: Allow = unlimited,
    ) -> None:
        self._conversation = conversation
        self._room = room
        self._select = select
        self._allow = allow

    def get(self, ref: AttributeRef) -> Talk[Data | ObjectError]:
        """GET one attribute, with block transfer if needed."""
        doing = f"reading {ref}"
        request = self._get_request(ref, self._conversation.next_invoke_id())
        answer = yield from self._conversation.ask(request, doing, repeatable=True)
        return (yield from self._single(answer, (ref,), doing))

    def pose(self, question: Question) -> Talk[list[Data | ObjectError]]:
        """GET the attributes of a question, with the result of `get` or `get_list`.

        The request is encoded once. An answer of plain numbers is read at once; any other is
        parsed as without a question.
        """
        flags = bytes((codec.CONFIRMED_HIGH | self._conversation.next_invoke_id(),))
        if question.encoded is None:
            question.encoded = self._encoded(question)
        before, behind = question.encoded
        doing = question.doing
        answer = yield from self._conversation.ask(before + flags + behind, doing, repeatable=True)
        numbers = read_numbers(answer, len(question))
        if numbers is not None:
            return numbers
        if len(question) > 1:
            return (yield from self._list(answer, question, doing))
        return [(yield from self._single(answer, question, doing))]

    def _encoded(self, question: Question) -> tuple[bytes, bytes]:
        if len(question) > 1:
            names = b"".join(map(self.descriptor, question))
            return bytes((GET, 3)), encode_length(len(question)) + names
        (ref,) = question
        request = self._get_request(ref, 0)
        return request[:2], request[3:]

    def _single(
        self, answer: bytes, refs: Sequence[AttributeRef], doing: str
    ) -> Talk[Data | ObjectError]:
        try:
            return (yield from self._value(answer, doing, self._allow(refs)))
        except ExcessError as error:
            return too_large(error, doing)

    def _get_request(self, ref: AttributeRef, invoke_id: int) -> bytes:
        request = codec.get_request(ref.class_id, ref.obis.octets, ref.attribute, invoke_id)
        return (
            request if ref.selection is None else codec.select(request, self._select(ref.selection))
        )

    def _value(self, answer: bytes, doing: str, budget: Budget) -> Talk[Data | ObjectError]:
        """Return the value in the answer to a GET, or in the blocks that follow it."""
        if len(answer) > LONG and (octets := long_value(answer)) is not None:
            return (yield from unhurried(octets, doing, budget))
        match parse(answer, doing, budget):
            case GetNormal(_, result):
                return item(result, doing)
            case GetBlock() as block:
                follow = follow_get(self._conversation, answer, block, doing, budget.octets)
                whole = yield from follow
                if isinstance(whole, int):
                    return item(whole, doing)
                return (yield from unhurried(whole, doing, budget))
            case other:
                raise unexpected(other, doing)

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """GET the object list of the association: the entries that are there.

        With `class_id` only the objects of this class, by selective access.
        """
        ref = OBJECT_LIST_LN
        invoke_id = self._conversation.next_invoke_id()
        request = codec.get_request(ref.class_id, ref.obis.octets, ref.attribute, invoke_id)
        if class_id is not None:
            classes = array(Data(DataType.LONG_UNSIGNED, class_id))
            request = codec.select(request, _BY_CLASS + encode(classes))
        answer = yield from self._conversation.ask(request, DOING, repeatable=True)
        try:
            return (yield from self._objects(answer, self._allow((ref,))))
        except ExcessError as error:
            return too_large(error, DOING)

    def _objects(self, answer: bytes, budget: Budget) -> Talk[ObjectList | ObjectError]:
        whole: bytes | int | None = long_value(answer)
        if whole is None:
            match parse(answer, DOING):
                case GetNormal(_, int() as code):
                    whole = code
                case GetBlock() as block:
                    follow = follow_get(self._conversation, answer, block, DOING, budget.octets)
                    whole = yield from follow
                case other:
                    raise unexpected(other, DOING)
        if isinstance(whole, int):
            return ObjectError(DOING, whole)
        return (yield from ObjectList.read(whole, budget))

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """GET several attributes in one request.

        Raises ServiceError where the meter does not answer with one result for each.
        """
        doing = f"reading {len(refs)} attributes at once"
        flags = codec.CONFIRMED_HIGH | self._conversation.next_invoke_id()
        names = encode_length(len(refs)) + b"".join(map(self.descriptor, refs))
        request = bytes((GET, 3, flags)) + names
        answer = yield from self._conversation.ask(request, doing, repeatable=True)
        return (yield from self._list(answer, refs, doing))

    def _list(
        self, answer: bytes, refs: Sequence[AttributeRef], doing: str
    ) -> Talk[list[Data | ObjectError]]:
        """Return the results in the answer to a list, or in the blocks that follow it."""
        budget = self._allow(refs)
        reply = sensible(lambda: parse(answer, doing, budget))
        if isinstance(reply, GetBlock):
            whole = yield from sensibly(
                follow_get(self._conversation, answer, reply, doing, budget.octets)
            )
            results = sensible(lambda: _list_of_blocks(whole, doing, budget))
        elif isinstance(reply, GetList):
            results = reply.results
        else:
            raise ServiceError(doing, _no_list(reply))
        return [item(result, f"reading {ref}") for result, ref in zip(results, refs, strict=True)]

    def set(self, ref: AttributeRef, value: Data) -> Talk[ObjectError | None]:
        """SET one attribute, in blocks if needed."""
        doing = f"writing {ref}"
        invoke_id = self._conversation.next_invoke_id()
        octets = encode(value)
        request = codec.set_request(ref.class_id, ref.obis.octets, ref.attribute, octets, invoke_id)
        if len(request) <= self._room():
            answer = yield from self._conversation.ask(request, doing)
        else:
            head = bytes((SET, 2)) + request[2 : len(request) - len(octets)]
            answer = yield from send_blocks(self._conversation, head, octets, self._room(), doing)
        (code,) = _codes(answer, 1, doing)
        return _error(code, doing)

    def set_list(
        self, writes: Sequence[tuple[AttributeRef, Data]]
    ) -> Talk[list[ObjectError | None]]:
        """SET several attributes in one request, in blocks if needed.

        Raises ServiceError if the meter does not answer with one result for each. Some of
        them may have been written then.
        """
        doing = f"writing {len(writes)} attributes at once"
        flags = codec.CONFIRMED_HIGH | self._conversation.next_invoke_id()
        count = encode_length(len(writes))
        names = count + b"".join(self.descriptor(ref) for ref, _ in writes)
        values = count + b"".join(encode(value) for _, value in writes)
        if 3 + len(names) + len(values) <= self._room():
            request = bytes((SET, 4, flags)) + names + values
            answer = yield from self._conversation.ask(request, doing)
        else:
            head = bytes((SET, 5, flags)) + names
            answer = yield from send_blocks(self._conversation, head, values, self._room(), doing)
        codes = sensible(lambda: _codes(answer, len(writes), doing))
        return [
            _error(code, f"writing {ref}") for code, (ref, _) in zip(codes, writes, strict=True)
        ]

    def action(self, method: MethodRef, argument: Data | None) -> Talk[Data | None]:
        """Invoke a method and return its return value; both may be transferred in blocks.

        Raises ObjectError if the meter refuses.
        """
        doing = f"invoking {method}"
        invoke_id = self._conversation.next_invoke_id()
        octets = None if argument is None else encode(argument)
        request = codec.action_request(
            method.class_id, method.obis.octets, method.method, octets, invoke_id
        )
        if octets is None or len(request) <= self._room():
            answer = yield from self._conversation.ask(request, doing)
        else:
            # No usage flag precedes the first block: it carries the argument itself.
            head = bytes((ACTION, 4)) + request[2 : len(request) - len(octets) - 1]
            answer = yield from send_blocks(self._conversation, head, octets, self._room(), doing)
        try:
            return (yield from self._return_value(answer, doing, self._allow(())))
        except ExcessError as error:
            raise too_large(error, doing) from error

    def _return_value(self, answer: bytes, doing: str, budget: Budget) -> Talk[Data | None]:
        match parse(answer, doing, budget):
            case ActionDone(_, ((code, returned),)):
                return _returned(code, returned, doing)
            case ActionBlock() as block:
                follow = follow_action(self._conversation, answer, block, doing, budget.octets)
                whole = yield from follow
                return _returned(*_action_of_blocks(whole, doing, budget), doing)
            case other:
                raise unexpected(other, doing)

    def descriptor(self, ref: AttributeRef) -> bytes:
        """Return the descriptor of an attribute in a list request, with its selection."""
        name = ref.class_id.to_bytes(2, "big") + ref.obis.octets + bytes((ref.attribute,))
        if ref.selection is None:
            return name + b"\x00"
        return name + b"\x01" + self._select(ref.selection)


def item(result: Result, doing: str) -> Data | ObjectError:
    """Return the value of an attribute, or the meter's refusal as an error."""
    return ObjectError(doing, result) if isinstance(result, int) else result


def _error(code: int, doing: str) -> ObjectError | None:
    return ObjectError(doing, code) if code else None


def _list_of_blocks(whole: bytes | int, doing: str, budget: Budget) -> tuple[Result, ...]:
    if isinstance(whole, int):
        raise ServiceError(doing, f"refused: {ObjectError(doing, whole)}")
    cursor = Cursor(whole, doing, budget)
    results = read_results(cursor)
    cursor.end()
    return results


def _no_list(reply: Reply) -> str:
    match reply:
        case GetNormal(_, int() as code):
            return f"the list as a whole was refused with code {code}"
    return f"{type(reply).__name__} came back instead of a list"


def _codes(answer: bytes, count: int, doing: str) -> tuple[int, ...]:
    reply = parse(answer, doing)
    if not isinstance(reply, SetDone):
        raise unexpected(reply, doing)
    if len(reply.codes) == count:
        return reply.codes
    if len(reply.codes) == 1 and reply.codes[0]:
        return reply.codes * count  # a transfer that was aborted: nothing of it was written
    raise ProtocolError(doing, f"{len(reply.codes)} results came back")


def _returned(code: int, returned: Result | None, doing: str) -> Data | None:
    if code:
        raise ObjectError(doing, code)
    if isinstance(returned, int):
        if not returned:
            return None  # some meters report success twice
        raise ObjectError(doing, returned)
    return returned


def _action_of_blocks(whole: bytes, doing: str, budget: Budget) -> tuple[int, Result | None]:
    """Parse a method's return value from its joined blocks.

    The standard does not say whether the blocks hold the data alone, or the whole result
    with its code before it. Meters do either.
    """
    try:
        return 0, decode_whole(whole, budget=budget.again())
    except ProtocolError:
        cursor = Cursor(whole, doing, budget)
        result = read_action_result(cursor)
        cursor.end()
        return result
