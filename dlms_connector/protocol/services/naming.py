"""Learning the short names of objects: from the object list, or from the configuration.

The list is read only if it is needed: hundreds of objects take a slow meter a minute. A name from
elsewhere is proved before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from dlms_connector.cosem import AttributeRef, MethodRef
from dlms_connector.errors import ExcessError, LinkError, ObjectError, OutOfStepError, ServiceError
from dlms_connector.obis import Obis
from dlms_connector.protocol.data import Budget, Data, DataType, encode, structure
from dlms_connector.protocol.services.allowance import Allowance
from dlms_connector.protocol.services.broken_list import entries_of
from dlms_connector.protocol.services.directory import (
    DOING,
    OBJECT_LIST,
    Directory,
    Object,
    ObjectList,
)
from dlms_connector.protocol.services.long_values import too_large
from dlms_connector.protocol.services.replies import Result
from dlms_connector.protocol.services.variables import Variables, variable
from dlms_connector.protocol.talk import Talk

#: Access selectors of the object list (IEC 62056-6-2, class 12).
_BY_CLASS, _BY_OBJECT = b"\x01", b"\x02"


class Naming:
    """Fills the directory of a meter within one association; `allowance`: what replies may hold."""

    def __init__(
        self, variables: Variables, directory: Directory, allowance: Callable[[], Allowance]
    ) -> None:
        self._variables, self._directory, self._allowance = variables, directory, allowance
        #: Whether the list is not asked for in this association, and what was asked for instead.
        self._rests: bool | None = None
        self._sought: set[Object] = set()

    def object_list(self, class_id: int | None = None) -> Talk[ObjectList | ObjectError]:
        """Read the object list, and learn its base names: the entries that are there.

        With `class_id` only the objects of this class, by selective access.
        """
        if class_id is not None:
            return (yield from self._some(_BY_CLASS + encode(_class(class_id))))
        budget = self._allowance().of_object_list()
        try:
            listed = yield from self._listed(variable(OBJECT_LIST), budget)
        except LinkError as error:
            if not isinstance(error, OutOfStepError):
                self._directory.broke_off(entries_of(error, budget))
            raise
        if isinstance(listed, ObjectList):
            self._directory.learn(listed.data)
        return listed

    def _some(self, selection: bytes) -> Talk[ObjectList | ObjectError]:
        """Read and learn the entries of the object list that a selection gives."""
        budget = self._allowance().of_object_list()
        listed = yield from self._listed(variable(OBJECT_LIST, selection), budget)
        if isinstance(listed, ObjectList):
            self._directory.add(listed.data)
        return listed

    def _listed(self, specification: bytes, budget: Budget) -> Talk[ObjectList | ObjectError]:
        try:
            found = yield from self._variables.read_raw(specification, DOING, budget)
            if isinstance(found, int):
                return ObjectError(DOING, found)
            return (yield from ObjectList.read(found, budget))
        except ExcessError as error:
            return too_large(error, DOING)

    def lacks(self, refs: Sequence[AttributeRef | MethodRef] | None) -> bool:
        """Whether names are not known, or not proved; None stands for any object."""
        directory = self._directory
        if refs is None:
            return not directory.names and not directory.told
        objects = {(ref.class_id, ref.obis) for ref in refs}
        return any(map(directory.lacks, objects)) or not directory.unproved.isdisjoint(objects)

    def learn(self, refs: Sequence[AttributeRef | MethodRef] | None) -> Talk[None]:
        """Make sure that the names of objects are known, and theirs; None stands for any object.

        Raises ServiceError if the meter refuses its object list, and LinkError.
        """
        directory = self._directory
        objects = dict.fromkeys((ref.class_id, ref.obis) for ref in refs or ())
        for object_ in objects:
            if object_ in directory.unproved:
                yield from self._prove(object_)
        if not self.lacks(refs):
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
            (result,) = yield from self._variables.read([variable(base)], doing, budget)
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


def _class(class_id: int) -> Data:
    return Data(DataType.LONG_UNSIGNED, class_id)


def _named(class_id: int, obis: Obis) -> Data:
    return structure(_class(class_id), Data(DataType.OCTET_STRING, obis.octets))
