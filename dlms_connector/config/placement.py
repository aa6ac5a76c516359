"""What of a fleet stays together when it is shared out: found without building the devices.

Secrets are not looked at, so that a gateway needs only those of its own meters, and so that a
fleet can be shared out where none of them are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from dlms_connector.config.base import DOCUMENT
from dlms_connector.config.connection import Connection, ListenConnection, PushConnection
from dlms_connector.config.document import too_deep
from dlms_connector.config.inheritance import Layer, merge
from dlms_connector.config.templates import Templates
from dlms_connector.sharing import Units

_KEYS = ("connection", "push", "dlms")
#: What tells the sender of a push. A polled meter that has one also pushes to a listener.
_MARKS = ("systemTitle", "logicalDeviceName", "peer")
_CONNECTION: TypeAdapter[Connection] = TypeAdapter(Connection)


class Placement:
    """Tells of each device which unit it belongs to: first `add` all of them, then ask `of`.

    A unit is an endpoint, a port on which meters call, a group of connections, or all that has to
    do with the listeners for pushes. A device whose connection cannot be read is alone.
    """

    #: The unit of the listeners for pushes.
    LISTENERS: Final = Units.push()

    def __init__(self, templates: Templates, listens: bool, named: Collection[str]) -> None:
        """Take whether there are listeners for pushes, and the devices that these name."""
        self._templates, self._listens, self._named = templates, listens, named
        self._units = Units()
        self._endpoints: dict[str, str | None] = {}
        self._keys: dict[str, bytes | None] = {}
        self._below: dict[str | None, list[Layer]] = {}

    def add(self, row: Layer) -> None:
        """Take a device's own keys."""
        connection, push, dlms = self._read(row)
        self._keys[row.place.path] = _key(dlms)
        endpoint: str | None = None
        if isinstance(connection, PushConnection):
            endpoint = self.LISTENERS
        elif connection is not None:
            endpoint = _endpoint(connection)
            pushes = self._listens and (_name(row) in self._named or any(map(push.get, _MARKS)))
            self._units.add(endpoint, group=connection.group, pushes=pushes)
        self._endpoints[row.place.path] = endpoint

    def of(self, row: Layer) -> str:
        """Return the key of the unit that a device belongs to."""
        endpoint = self._endpoints[row.place.path]
        if endpoint is None:
            return f"device {_name(row)}"
        return endpoint if endpoint == self.LISTENERS else self._units.of(endpoint)

    def reads(self, row: Layer) -> bool:
        """Whether the connection of a device can be read."""
        return self._endpoints[row.place.path] is not None

    def key(self, row: Layer) -> bytes | None:
        """Return what stands for a device's key and system title; None if it has no key.

        Equal for devices that are configured with the same ones; it tells nothing of them.
        """
        return self._keys[row.place.path]

    def _read(self, row: Layer) -> tuple[Connection | None, Mapping[str, Any], Mapping[str, Any]]:
        name = row.values.get("template", self._templates.default_template())
        layers = [_part(row), *self._chain(name)]
        merged, _ = merge(layers)
        push, dlms = merged.get("push"), merged.get("dlms")
        try:
            connection = _CONNECTION.validate_python(
                merged.get("connection"), context={DOCUMENT: True}
            )
        except ValidationError:
            connection = None
        return (
            connection,
            push if isinstance(push, Mapping) else {},
            dlms if isinstance(dlms, Mapping) else {},
        )

    def _chain(self, name: Any) -> list[Layer]:
        """Return the layers below a device, of those keys that matter here."""
        known = name if isinstance(name, str) else None
        if known not in self._below:
            try:
                layers = self._templates.chain(known)
            except LookupError:
                layers = self._templates.chain(None)
            self._below[known] = [_part(layer) for layer in layers]
        return self._below[known]


def listening(listeners: Any) -> tuple[bool, frozenset[str]]:
    """Return of a document's `push` whether there are listeners, and the devices they name."""
    listed = listeners if isinstance(listeners, list | tuple) else ()
    named = (one.get("device") for one in listed if isinstance(one, Mapping))
    return bool(listed), frozenset(name for name in named if isinstance(name, str))


def _key(dlms: Mapping[str, Any]) -> bytes | None:
    key, title = dlms.get("blockCipherKey"), dlms.get("systemTitle")
    if not isinstance(key, str) or dlms.get("security") in (None, "NONE"):
        return None
    return blake2b(f"{key}\0{title}".upper().encode("utf-8", "surrogatepass")).digest()


def _name(row: Layer) -> str | None:
    """Return a device's name; None for what is none: such a device is refused."""
    name = row.values.get("deviceName")
    return name if isinstance(name, str) else None


def _part(layer: Layer) -> Layer:
    """Return those keys of a layer that matter here; what is too deep to be merged is none."""
    found = ((key, layer.values[key]) for key in _KEYS if key in layer.values)
    return Layer(layer.place, {key: value for key, value in found if not too_deep(value)})


def _endpoint(connection: Connection) -> str:
    """Return what only one gateway may have: an endpoint, or the port on which meters call."""
    if isinstance(connection, ListenConnection):
        return f"listen://{connection.door}"
    return connection.endpoint
