"""Find the templates and defaults that a device inherits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlms_connector.config import preset
from dlms_connector.config.inheritance import Layer, Place
from dlms_connector.config.problems import did_you_mean
from dlms_connector.config.shown import shown

TEMPLATES = "templates"
DEFAULTS = "defaults"
#: Keys that belong to one device alone.
OWN_KEYS = ("deviceName", "devicesFile")


class Templates:
    """The document's templates, the shipped presets, and the defaults as the lowest layer."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.problems: list[str] = []
        templates = self._object(document.get(TEMPLATES), TEMPLATES)
        self.own = {
            name: self._object(values, f"{TEMPLATES}.{name}") for name, values in templates.items()
        }
        self.defaults = self._object(document.get(DEFAULTS), DEFAULTS)
        self._chains: dict[str, list[Layer] | str] = {}

    def chain(self, name: Any) -> list[Layer]:
        """Return the layers below a device that names this template.

        Raises LookupError with a sentence if they cannot be used.
        """
        if name is None:
            return [self._bottom()]
        if not isinstance(name, str):
            raise LookupError(f"expected the name of a template, got {shown(name)}")
        if name not in self._chains:
            try:
                self._chains[name] = self._follow(name)
            except LookupError as error:
                self._chains[name] = str(error.args[0])
        found = self._chains[name]
        if isinstance(found, str):
            raise LookupError(found)
        return found

    def default_template(self) -> Any:
        """Return the template that `defaults` names for every device without one."""
        return self.defaults.get("template")

    def _follow(self, name: str) -> list[Layer]:
        layers: list[Layer] = []
        passed: list[str] = []
        following: Any = name
        while following is not None:
            if not isinstance(following, str):
                raise LookupError(f"{passed[-1]!r} names {shown(following)} as its template")
            if following in passed:
                raise LookupError("templates in a circle: " + " → ".join([*passed, following]))
            passed.append(following)
            layer = self._layer(following)
            layers.append(layer)
            following = layer.values.get("template")
        return [*layers, self._bottom()]

    def _layer(self, name: str) -> Layer:
        if name in self.own:
            return Layer(Place(f"{TEMPLATES}.{name}"), self.own[name])
        try:
            return Layer(Place(f"presets.{name}"), preset.values(name))
        except KeyError:
            known = [*self.own, *preset.names()]
            raise LookupError(
                f"{name!r} is neither in templates nor a preset"
                + (did_you_mean(name, known) or f"; there are: {', '.join(known)}")
            ) from None

    def _bottom(self) -> Layer:
        return Layer(Place(DEFAULTS), self.defaults)

    def _object(self, value: Any, path: str) -> dict[str, Any]:
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return dict(value)
        self.problems.append(f"{path}: expected an object, got {shown(value)}")
        return {}
