"""Builds the devices of a document one after the other, and compares each with those before it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dlms_connector.config import document
from dlms_connector.config.device_building import Problem, SharedLists, build, check_partially
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.model import Device
from dlms_connector.config.noted import Problems
from dlms_connector.config.platform_names import refusal
from dlms_connector.config.problems import did_you_mean
from dlms_connector.config.rows import DEVICE_TYPE, Refused
from dlms_connector.config.secret import SecretSource
from dlms_connector.config.share_rows import Elsewhere
from dlms_connector.config.shown import shown, without
from dlms_connector.config.templates import DEFAULTS, Templates


class FleetBuilding:
    """The devices that were built so far, and those that were not; `add` each row."""

    def __init__(
        self,
        templates: Templates,
        secrets: SecretSource,
        lists: SharedLists,
        groups: Collection[str],
        problems: Problems,
    ) -> None:
        """Take the names of the document's `groups`, and where problems of templates are noted."""
        self.refused: list[Refused] = []
        #: The devices of other shares.
        self.elsewhere: set[str] = set()
        self._templates, self._secrets, self._lists = templates, secrets, lists
        self._group_names, self._problems = groups, problems
        self._devices: dict[str, Device] = {}
        #: Where each name stands that is taken.
        self._paths: dict[str, str] = {}
        #: The group of each endpoint, and the device that has named it.
        self._groups: dict[str, tuple[str | None, str]] = {}

    @property
    def devices(self) -> tuple[Device, ...]:
        """The valid devices, in the order of their rows."""
        return tuple(self._devices.values())

    @property
    def names(self) -> set[str]:
        """All names in the document, also of devices that are refused, or of other shares."""
        return {*self._devices, *(one.name for one in self.refused), *self.elsewhere}

    def add(self, row: Layer | Refused | Elsewhere) -> None:
        """Build the device of a row, or refuse it with all its problems."""
        if isinstance(row, Refused):
            self.refused.append(row)
        elif isinstance(row, Elsewhere):
            if name := _text_of("deviceName", [row.row]):
                self.elsewhere.add(name)
                self._paths.setdefault(name, row.row.place.path)
        else:
            self._build(row)

    def _build(self, row: Layer) -> None:
        path = row.place.path
        name = _text_of("deviceName", [row]) or path
        if told := document.unusable(row.values, row.place):
            self.refused.append(Refused(name, path, told))
            return
        layers, built, problems = self._with_template(row)
        if isinstance(built, Device):
            problems += self._clashes(row.place, name, built)
        else:
            problems += self._sorted_out(built, row.place)
        if problems or not isinstance(built, Device):
            device_type = _text_of("deviceType", layers) or DEVICE_TYPE
            self.refused.append(Refused(name, path, tuple(problems), device_type))
            return
        self._devices[name] = built
        self._paths[name] = path

    def _with_template(self, row: Layer) -> tuple[list[Layer], Device | list[Problem], list[str]]:
        """Return a row's layers, what was built of them, and what is wrong with its template.

        Without its template, the rest of the row is checked as far as that is possible.
        """
        template = row.values.get("template", self._templates.default_template())
        try:
            layers = [row, *self._templates.chain(template)]
        except LookupError as error:
            if "template" in row.values:
                sentence = str(error.args[0])
                if row.place.secretive:
                    sentence = without(sentence, row.values["template"])
                problem = f"{row.place.at(('template',))}: {sentence}"
            else:
                problem = _unusable(row.place, Place(DEFAULTS))
            below = self._templates.chain(None)
            rest = {key: value for key, value in row.values.items() if key != "template"}
            return [row, *below], check_partially([Layer(row.place, rest), *below]), [problem]
        return layers, build(layers, self._secrets, self._lists), []

    def _clashes(self, place: Place, name: str, device: Device) -> Iterator[str]:
        """Yield what is wrong with a device because of others: its name, or its group."""
        if other := self._paths.get(name):
            named = "this" if place.secretive else shown(name)
            yield f"{place.at(('deviceName',))}: {named} is the name of {other} already"
        if (wrong := self._wrong_group(device, name)) is not None:
            yield f"{place.at(('connection', 'group'))}: {wrong}"

    def _wrong_group(self, device: Device, name: str) -> str | None:
        """Return what is wrong with a device's group; one endpoint is in one group."""
        connection, known = device.connection, self._group_names
        if connection.group is not None and connection.group not in known:
            return "there is no such group in `groups`" + did_you_mean(connection.group, known)
        if not device.is_polled:
            return None
        group, first = self._groups.setdefault(connection.endpoint, (connection.group, name))
        if group != connection.group:
            return f"{first}, of the same endpoint, is in another group, or in none"
        return None

    def _sorted_out(self, problems: list[Problem], own: Place) -> list[str]:
        """Return a device's own problems; note those of shared layers once for all devices."""
        shared = [problem for problem in problems if problem.place is not own]
        self._problems.note(*shared)
        sentences = [str(problem) for problem in problems if problem.place is own]
        for place in dict.fromkeys(problem.place for problem in shared):
            sentences.append(_unusable(own, place))
        return sentences


def _text_of(key: str, layers: Sequence[Layer]) -> str | None:
    """Return a key's value in the topmost layer that has it; None if the platform refuses it."""
    said = next((layer.values[key] for layer in layers if key in layer.values), None)
    if not isinstance(said, str) or refusal(said):
        return None
    return said if said.isprintable() else None


def _unusable(own: Place, shared: Place) -> str:
    return f"{own.path}: not usable as long as {shared.path} has problems"
