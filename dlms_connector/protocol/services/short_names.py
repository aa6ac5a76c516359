"""The services on objects named by short name, for older meters (IEC 62056-5-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import ExcessError, ObjectError
from dlms_connector.protocol.data import Data, DataType
from dlms_connector.protocol.services.allowance import ASKED, Allowance
from dlms_connector.protocol.services.conversation import Conversation
from dlms_connector.protocol.services.directory import Directory, ObjectList
from dlms_connector.protocol.services.logical_names import Select, item
from dlms_connector.protocol.services.long_values import too_large
from dlms_connector.protocol.services.naming import Naming
from dlms_connector.protocol.services.replies import Result
from dlms_connector.protocol.services.variables import Variables, variable
from dlms_connector.protocol.talk import Talk

_OBJECT_UNDEFINED = 4

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
        self._select, self._directory, self._allowance = select, directory, allowance
        self._variables = Variables(conversation, room, lambda: directory.shapes)
        #: What is known of the names of objects.
        self.names = Naming(self._variables, directory, allowance)

    def get(self, ref: AttributeRef) -> Talk[Data | ObjectError]:
        """Read one attribute, with block transfer if needed."""
        yield from self.names.learn([ref])
        doing = f"reading {ref}"
        if self._directory.attribute(ref) is None:
            return ObjectError(doing, _OBJECT_UNDEFINED)
        budget = self._allowance().budget((ref,))
        try:
            results = yield from self._variables.read([self.descriptor(ref)], doing, budget)
        except ExcessError as error:
            return too_large(error, doing)
        return item(results[0], doing)

    def get_list(self, refs: Sequence[AttributeRef]) -> Talk[list[Data | ObjectError]]:
        """Read several attributes in one request.

        Raises ServiceError where the meter does not answer with one result for each.
        """
        yield from self.names.learn(refs)
        known = [ref for ref in refs if self._directory.attribute(ref) is not None]
        results: dict[AttributeRef, Result] = {}
        if known:
            doing = f"reading {len(known)} attributes at once"
            names = [self.descriptor(ref) for ref in known]
            found = yield from self._variables.read(names, doing, self._allowance().budget(known))
            results = dict(zip(known, found, strict=True))
        return [item(results.get(ref, _OBJECT_UNDEFINED), f"reading {ref}") for ref in refs]

    def set(self, ref: AttributeRef, value: Data) -> Talk[ObjectError | None]:
        """Write one attribute, in blocks if needed."""
        (error,) = yield from self.set_list([(ref, value)])
        return error

    def set_list(
        self, writes: Sequence[tuple[AttributeRef, Data]]
    ) -> Talk[list[ObjectError | None]]:
        """Write several attributes in one request, in blocks if needed."""
        yield from self.names.learn([ref for ref, _ in writes])
        known = [write for write in writes if self._directory.attribute(write[0]) is not None]
        codes: Iterator[int] = iter(())
        if known:
            names = [self.descriptor(ref) for ref, _ in known]
            for name, (_, value) in zip(names, known, strict=True):
                self._directory.shapes.expect(name, value)
            doing = f"writing {known[0][0]}" if len(known) == 1 else f"writing {len(known)} at once"
            found = yield from self._variables.write(names, [value for _, value in known], doing)
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
        yield from self.names.learn([method])
        doing = f"invoking {method}"
        name = self._directory.method(method)
        if name is None:
            raise ObjectError(doing, _OBJECT_UNDEFINED)
        (code,) = yield from self._variables.write(
            [variable(name)], [argument or _NO_ARGUMENT], doing
        )
        if code:
            raise ObjectError(doing, code)
        return None

    def descriptor(self, ref: AttributeRef) -> bytes:
        """Return the variable access specification of an attribute, with its selection."""
        name = self._directory.attribute(ref) or 0
        return variable(name, b"" if ref.selection is None else self._select(ref.selection))

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """Read the object list, and learn its base names; see `Naming.object_list`."""
        return self.names.object_list(class_id)
