"""Read and Write on objects named by short name, for older meters (IEC 62056-5-3).

Read and Write have no invoke-id: a late answer cannot be told from the right one. So requests
are not repeated here; only HDLC may repeat them, as its frames have sequence numbers.
Gurux fails on blocks of Read and Write; these requests are built by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import (
    ExcessError,
    LinkError,
    ObjectError,
    OutOfStepError,
    ProtocolError,
    ServiceError,
)
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import (
    Budget,
    Data,
    DataType,
    encode,
    encode_length,
    structure,
)
from dlms_connector.protocol.services.allowance import ASKED, Allowance
from dlms_connector.protocol.services.blocks import Collected
from dlms_connector.protocol.services.broken_list import entries_of
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import (
    DOING,
    OBJECT_LIST,
    Directory,
    Object,
    ObjectList,
)
from dlms_connector.protocol.services.logical_names import Select, item
from dlms_connector.protocol.services.long_values import (
    LONG,
    sensible,
    sensibly,
    too_large,
    unhurried,
)
from dlms_connector.protocol.services.replies import Result
from dlms_connector.protocol.services.shapes import Fit
from dlms_connector.protocol.services.short_name_replies import (
    BlockTaken,
    ReadBlock,
    ReadResults,
    WriteResults,
    long_value,
    parse_read,
    parse_read_blocks,
    parse_write,
)
from dlms_connector.protocol.talk import Talk

READ, WRITE = 0x05, 0x06
_NAME, _PARAMETERIZED, _BLOCK_NUMBER, _WRITE_BLOCK = 2, 4, 5, 7

#: Count and choice of an answer with one result.
_ONE_VALUE, _ONE_ERROR, _ONE_BLOCK = b"\x01\x00", b"\x01\x01", b"\x01\x02"

#: Octets before a block's data: tag of the Write, one variable, its kind, last-block, block
#: number; then the count, tag and length of one octet string.
_BLOCK_HEADER = 1 + 1 + 1 + 1 + 2 + 1 + 1 + 3

#: Block numbers have two octets.
_MOST_BLOCKS = 0xFFFF

_OBJECT_UNDEFINED = 4

#: Access selectors of the object list (IEC 62056-6-2, class 12).
_BY_CLASS, _BY_OBJECT = b"\x01", b"\x02"

#: The argument that is written for a method without one.
_NO_ARGUMENT = Data(DataType.INTEGER, 0)


class ShortNames:
    """The services of one association, one request at a time.

    `room` returns the largest size of a request before ciphering, in octets; `allowance` what
    replies may hold.
    """

    def __init__(
        self,
        conversation: Conversation,
        room: Callable[[], int],
        select: Select,
        directory: Directory,
        allowance: Callable[[], Allowance] = lambda: ASKED,
    ) -> None:
        self._allowance = allowance
        self._conversation = conversation
        self._room = room
        self._select = select
        self._directory = directory
        #: Whether the list is not asked for in this association, and what was asked for instead.
        self._rests: bool | None = None
        self._sought: set[Object] = set()

    def get(self, ref: AttributeRef) -> Talk[Data | ObjectError]:
        """Read one attribute, with block transfer if needed."""
        yield from self.learn_names([ref])
        doing = f"reading {ref}"
        if self._directory.attribute(ref) is None:
            return ObjectError(doing, _OBJECT_UNDEFINED)
        budget = self._allowance().budget((ref,))
        try:
            results = yield from self._read([self.descriptor(ref)], doing, budget)
        except ExcessError as error:
            return too_large(error, doing)
        return item(results[0], doing)

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read several attributes in one request.

        Raises ServiceError where the meter does not answer with one result for each.
        """
        yield from self.learn_names(refs)
        known = [ref for ref in refs if self._directory.attribute(ref) is not None]
        results: dict[AttributeRef, Result] = {}
        if known:
            doing = f"reading {len(known)} attributes at once"
            names = [self.descriptor(ref) for ref in known]
            found = yield from self._read(names, doing, self._allowance().budget(known))
            results = dict(zip(known, found, strict=True))
        return [item(results.get(ref, _OBJECT_UNDEFINED), f"reading {ref}") for ref in refs]

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """Read the object list, and learn its base names: the entries that are there.

        With `class_id` only the objects of this class, by selective access.
        """
        if class_id is not None:
            return (yield from self._some(_BY_CLASS + encode(_class(class_id))))
        budget = self._allowance().of_object_list()
        try:
            listed = yield from self._listed(_variable(OBJECT_LIST), budget)
        except LinkError as error:
            if not isinstance(error, OutOfStepError):
                self._directory.broke_off(entries_of(error, budget))
            raise
        if isinstance(listed, ObjectList):
            self._directory.learn(listed.data)
        return listed

    def _some(self, selection: bytes) -> Talk[ObjectList | ObjectError]:
        """Read and learn the entries of the object list that a selection gives."""
        variable = bytes((_PARAMETERIZED,)) + OBJECT_LIST.to_bytes(2, "big") + selection
        listed = yield from self._listed(variable, self._allowance().of_object_list())
        if isinstance(listed, ObjectList):
            self._directory.add(listed.data)
        return listed

    def _listed(self, variable: bytes, budget: Budget) -> Talk[ObjectList | ObjectError]:
        answer = yield from self._conversation.ask(bytes((READ, 1)) + variable, DOING)
        try:
            return (yield from self._objects(answer, budget))
        except ExcessError as error:
            return too_large(error, DOING)

    def _objects(self, answer: bytes, budget: Budget) -> Talk[ObjectList | ObjectError]:
        whole = answer[1:]
        if whole[:2] == _ONE_BLOCK:
            match parse_read(answer, DOING):
                case ReadBlock() as block:
                    whole = yield from self._follow(answer, block, DOING, budget.octets)
        if len(whole) == 3 and whole[:2] == _ONE_ERROR:
            return ObjectError(DOING, whole[2])
        return (yield from ObjectList.read(_data_alone(whole), budget))

    def set(self, ref: AttributeRef, value: Data) -> Talk[ObjectError | None]:
        """Write one attribute, in blocks if needed."""
        (error,) = yield from self.set_list([(ref, value)])
        return error

    def set_list(
        self, writes: Sequence[tuple[AttributeRef, Data]]
    ) -> Talk[list[ObjectError | None]]:
        """Write several attributes in one request, in blocks if needed."""
        yield from self.learn_names([ref for ref, _ in writes])
        known = [write for write in writes if self._directory.attribute(write[0]) is not None]
        codes: Iterator[int] = iter(())
        if known:
            names = [self.descriptor(ref) for ref, _ in known]
            doing = f"writing {known[0][0]}" if len(known) == 1 else f"writing {len(known)} at once"
            found = yield from self._write(names, [value for _, value in known], doing)
            codes = iter(found)  # in turn: the same attribute may be written twice
        results = []
        for ref, _ in writes:
            listed = self._directory.attribute(ref) is not None
            code = next(codes) if listed else _OBJECT_UNDEFINED
            results.append(ObjectError(f"writing {ref}", code) if code else None)
        return results

    def action(self, method: MethodRef, argument: Data | None) -> Talk[Data | None]:
        """Invoke a method by writing its argument; a return value cannot be read this way.

        Raises ObjectError if the meter refuses.
        """
        yield from self.learn_names([method])
        doing = f"invoking {method}"
        name = self._directory.method(method)
        if name is None:
            raise ObjectError(doing, _OBJECT_UNDEFINED)
        (code,) = yield from self._write([_variable(name)], [argument or _NO_ARGUMENT], doing)
        if code:
            raise ObjectError(doing, code)
        return None

    def descriptor(self, ref: AttributeRef) -> bytes:
        """Return the variable access specification of an attribute, with its selection."""
        name = self._directory.attribute(ref) or 0
        if ref.selection is None:
            return _variable(name)
        return bytes((_PARAMETERIZED,)) + name.to_bytes(2, "big") + self._select(ref.selection)

    def lacks_names(self, refs: Sequence[AttributeRef | MethodRef] | None) -> bool:
        """Whether names are not known, or not proved; None stands for any object."""
        directory = self._directory
        if refs is None:
            return not directory.names and not directory.told
        objects = {(ref.class_id, ref.obis) for ref in refs}
        return any(map(directory.lacks, objects)) or not directory.unproved.isdisjoint(objects)

    def learn_names(self, refs: Sequence[AttributeRef | MethodRef] | None) -> Talk[None]:
        """Make sure that the names of objects are known, and theirs; None stands for any object.

        The object list is read only if it is needed: hundreds of objects take a slow meter a
        minute.
        """
        directory = self._directory
        objects = dict.fromkeys((ref.class_id, ref.obis) for ref in refs or ())
        for object_ in objects:
            if object_ in directory.unproved:
                yield from self._prove(object_)
        if not self.lacks_names(refs):
            return
        if self._rests is None:
            self._rests = directory.rests()
        if self._rests:
            yield from self._seek(objects)
            return
        listed = yield from self.object_list()
        if isinstance(listed, ObjectError):
            raise ServiceError(DOING, str(listed))

    def _seek(self, objects: Iterable[Object]) -> Talk[None]:
        """Ask for the entries of single objects, each once, as the whole list breaks off."""
        for object_ in objects:
            selects = object_ not in self._sought and self._directory.selects is not False
            if not selects or not self._directory.lacks(object_):
                continue
            self._sought.add(object_)
            self._directory.selects = False  # unless it answers
            found = yield from self._some(_BY_OBJECT + encode(_named(*object_)))
            self._directory.selects = isinstance(found, ObjectList)

    def _prove(self, object_: Object) -> Talk[None]:
        """Make sure that an object is at its name: the first attribute is its logical name."""
        directory, (class_id, obis) = self._directory, object_
        base = directory.base(object_)
        if base is None:
            return
        doing = f"checking the short name of {obis}"
        budget = self._allowance().budget((AttributeRef(class_id, obis, 1),))
        result: Result | None = None
        with suppress(ExcessError):  # no logical name is that long
            (result,) = yield from self._read([_variable(base)], doing, budget)
        told = object_ in directory.told
        # A meter need not give the logical name: then the configuration is believed.
        if (isinstance(result, int) and told) or (
            isinstance(result, Data) and result.value == obis.octets
        ):
            directory.unproved -= {object_}
            return
        directory.disprove(object_)
        if told:
            directory.remarks.quirk(
                f"has another object than {obis} of class {class_id} at the baseName {base} of the "
                "configuration, so that its object list is read instead"
            )

    def _read(
        self, variables: Sequence[bytes], doing: str, budget: Budget
    ) -> Talk[tuple[Result, ...]]:
        request = bytes((READ,)) + encode_length(len(variables)) + b"".join(variables)
        fit = Fit(self._directory.shapes, variables, budget)
        answer = yield from self._conversation.ask(request, doing, fit=fit)
        several = len(variables) > 1
        if not several and len(answer) > LONG and (octets := long_value(answer)) is not None:
            return fit.learn(((yield from unhurried(octets, doing, budget)),))
        reply = sensible(lambda: parse_read(answer, doing, budget), several=several)
        if isinstance(reply, ReadBlock):
            follow = self._follow(answer, reply, doing, budget.octets)
            whole = yield from (sensibly(follow) if several else follow)
            if not several and len(whole) > LONG:
                value = yield from unhurried(_data_alone(whole), doing, budget)
                return fit.learn((value,))
            reply = sensible(
                lambda: parse_read_blocks(whole, doing, budget, several=several), several=several
            )
        if not isinstance(reply, ReadResults):
            raise ProtocolError(doing, f"{type(reply).__name__} is no answer to this request")
        return fit.learn(reply.results)

    def _follow(self, answer: bytes, block: ReadBlock, doing: str, most: int) -> Talk[bytes]:
        collected = Collected(doing, most)
        while True:
            collected.add(block.number, block.raw)
            if block.last:
                return collected.whole()
            request = bytes((READ, 1, _BLOCK_NUMBER)) + block.number.to_bytes(2, "big")
            try:
                answer = yield from self._conversation.ask(request, doing)
            except LinkError as error:
                error.arrived = collected.whole()
                raise
            match parse_read(answer, doing):
                case ReadBlock() as block:
                    pass
                case ReadResults((int() as code,)):
                    raise ServiceError(doing, str(ObjectError("block transfer", code)))
                case other:
                    raise ProtocolError(doing, f"{type(other).__name__} came instead of a block")

    def _write(
        self, variables: Sequence[bytes], values: Sequence[Data], doing: str
    ) -> Talk[tuple[int, ...]]:
        count = encode_length(len(variables))
        body = count + b"".join(variables) + count + b"".join(map(encode, values))
        if len(body) < self._room():
            answer = yield from self._conversation.ask(bytes((WRITE,)) + body, doing)
        else:
            answer = yield from self._send_blocks(body, doing)
        reply = parse_write(answer, doing)
        if isinstance(reply, WriteResults):
            if len(reply.codes) == len(variables):
                return reply.codes
            if len(reply.codes) == 1 and reply.codes[0]:
                return reply.codes * len(variables)  # aborted: nothing of it was written
        raise ProtocolError(doing, "not as many results came back as were asked for")

    def _send_blocks(self, body: bytes, doing: str) -> Talk[bytes]:
        size = self._room() - _BLOCK_HEADER
        if size < 1 or len(body) > size * _MOST_BLOCKS:
            problem = f"{len(body)} octets do not go in PDUs of {self._room()}"
            raise ServiceError(doing, problem)
        answer = b""
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        for number, part in enumerate(parts, 1):
            if answer:
                reply = parse_write(answer, doing)
                if isinstance(reply, WriteResults) and any(reply.codes):
                    return answer  # an error that ends the transfer
                if not isinstance(reply, BlockTaken):
                    raise ProtocolError(doing, "success is claimed before all is written")
                if reply.number != number - 1:
                    raise ProtocolError(doing, f"block {reply.number} was taken: {number - 1}")
            head = bytes((WRITE, 1, _WRITE_BLOCK, number == len(parts)))
            request = head + number.to_bytes(2, "big") + b"\x01"
            request += encode(Data(DataType.OCTET_STRING, part))
            answer = yield from self._conversation.ask(request, doing)
        return answer


def _data_alone(whole: bytes) -> bytes:
    """Return the data of one variable in joined blocks; some meters leave out count and choice."""
    return whole[2:] if whole[:2] == _ONE_VALUE else whole


def _class(class_id: int) -> Data:
    return Data(DataType.LONG_UNSIGNED, class_id)


def _named(class_id: int, obis: Obis) -> Data:
    return structure(_class(class_id), Data(DataType.OCTET_STRING, obis.octets))


def _variable(name: int) -> bytes:
    return bytes((_NAME,)) + name.to_bytes(2, "big")
