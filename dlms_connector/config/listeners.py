"""What the listeners for pushes say of devices: which one calls, and what a new one is like."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dlms_connector.config.device_building import SharedLists, build
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.model import Device, PushListener
from dlms_connector.config.noted import Problems
from dlms_connector.config.secret import SecretSource
from dlms_connector.config.shown import shown
from dlms_connector.config.templates import Templates


def check_names(
    listeners: Sequence[PushListener], names: Collection[str], problems: Problems
) -> None:
    """Note listeners for a device that is nowhere in the document."""
    for index, one in enumerate(listeners):
        if one.device is not None and one.device not in names:
            problems.note(f"push[{index}].device: there is no device {shown(one.device)}")


class Prototypes:
    """Builds the device that a rule for new meters makes, so that its problems are told now."""

    def __init__(
        self, templates: Templates, secrets: SecretSource, lists: SharedLists, problems: Problems
    ) -> None:
        self._templates, self._secrets, self._lists = templates, secrets, lists
        self._problems = problems

    def put_in(self, listeners: Sequence[PushListener]) -> tuple[PushListener, ...]:
        """Return the listeners with their prototypes, as far as they can be built."""
        return tuple(self._with_prototype(index, one) for index, one in enumerate(listeners))

    def _with_prototype(self, index: int, listener: PushListener) -> PushListener:
        rule = listener.auto_create
        if rule is None:
            return listener
        place = Place(f"push[{index}].autoCreate")
        layer = Layer(place, {"deviceName": "?", "connection": {"type": "push"}})
        try:
            layers = [layer, *self._templates.chain(rule.template)]
        except LookupError as error:
            self._problems.note(f"{place.at(('template',))}: {error.args[0]}")
            return listener
        built = build(layers, self._secrets, self._lists)
        if isinstance(built, Device):
            return listener.model_copy(update={"auto_create": rule.made_of(built)})
        self._problems.note(*built)
        return listener
