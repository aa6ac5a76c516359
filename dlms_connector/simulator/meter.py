"""A simulated meter: its objects, its clock, its secrets, and a count of its requests."""

from __future__ import annotations

import time
from collections import Counter

from dlms_connector.obis import Obis
from dlms_connector.simulator.encoding.data import Data, announcing, octets
from dlms_connector.simulator.faults import Faults
from dlms_connector.simulator.objects import (
    CONNECTED,
    Image,
    Role,
    Supply,
    make_consumption,
    object_list,
    objects_of,
    odd,
    read_overrides,
    same_shape,
)
from dlms_connector.simulator.objects import cosem_object as access
from dlms_connector.simulator.objects.cosem_object import AccessError, CosemObject, Objects
from dlms_connector.simulator.options import MeterOptions

PUBLIC_CLIENT = 16
_ASSOCIATION_LN = 15

_ITSELF = Role("NONE", everything=True)


class Meter:
    """One logical device. Its measured values are functions of seed and time.

    `seen` counts the requests, by name: "snrm", "disc", "aarq", "get", "get-with-list" …
    """

    def __init__(self, options: MeterOptions) -> None:
        self.options = options
        self.faults = Faults(options.faults)
        self.seen: Counter[str] = Counter()
        self.seed = options.serial
        self.supply = Supply(make_consumption(options.serial))
        self.feed_in = make_consumption(options.serial, 150.0, "export")
        self.clock_shift = 0.0
        self.relay_state = CONNECTED
        self.events: list[tuple[float, int]] = []
        self.image = Image()
        self.received_counter = options.invocation_counter
        self.sent_counter = 0
        self.association_held = self.unreleased = self.link_held = False
        self.quiet_until = 0.0
        self.connections = 0
        #: The number of the newest connection over which something was asked.
        self.newest_speaker = 0
        self._objects: Objects = objects_of(options.profile)
        self._written: dict[tuple[int, bytes, int], Data | AccessError] = {}
        if options.overrides:
            self._objects = {**self._objects, **read_overrides(options.overrides, self._objects)}

    # -- time

    def true_time(self) -> float:
        """Return the true time, in seconds since 1970."""
        return (self.options.now or time.time)()

    def monotonic(self) -> float:
        """Return the seconds of a monotonic clock."""
        return (self.options.monotonic or time.monotonic)()

    def clock(self) -> float:
        """Return the time of the meter's clock, in seconds since 1970."""
        return self.true_time() + self.clock_shift

    @property
    def held(self) -> float | None:
        """The instant at which measured values are held; None if they are not held."""
        return self.options.hold_at

    def measuring(self) -> float:
        """Return the instant for which the meter shows values now."""
        return self.true_time() if self.held is None else self.held

    # -- objects

    @property
    def objects(self) -> Objects:
        """All objects by class and logical name."""
        return self._objects

    def role_of(self, client: int) -> Role | None:
        """Return the role of a client address; None if the meter does not know it."""
        if client == self.options.client_address:
            return Role(self.options.authentication, everything=True)
        if client == PUBLIC_CLIENT:
            return Role("NONE", everything=False)
        return None

    def find(self, class_id: int, name: bytes, role: Role) -> CosemObject:
        """Return an object; raises AccessError with the result code of a real meter."""
        found = self._objects.get((class_id, name))
        if found is not None and (role.everything or found.public):
            return found
        if found is None and any(other == name for _, other in self._objects):
            raise AccessError(access.CLASS_INCONSISTENT)
        raise AccessError(access.UNDEFINED if role.everything else access.DENIED)

    def read(self, class_id: int, name: bytes, attribute: int, role: Role) -> Data:
        """Return an attribute's value; raises AccessError."""
        found = self.find(class_id, name, role)
        if attribute == 1:
            return octets(name)
        written = self._written.get((class_id, name, attribute))
        if isinstance(written, AccessError):
            raise written
        if written is not None:
            return written
        if class_id == _ASSOCIATION_LN and attribute == 2:
            return self.announced(object_list(self._objects, role))
        source = found.attributes.get(attribute)
        if source is None:
            raise AccessError(access.DENIED)
        value = source(self) if callable(source) else source
        return odd(self.faults, class_id, attribute, value) if self.faults.any else value

    def announced(self, listed: Data) -> Data:
        """Return the object list, with the count that this meter announces."""
        return (
            announcing(listed, int(self.faults["long-list"]))
            if self.faults["long-list"]
            else listed
        )

    def write(self, class_id: int, name: bytes, attribute: int, value: Data, role: Role) -> None:
        """Set an attribute; raises AccessError."""
        found = self.find(class_id, name, role)
        if attribute not in found.writable or not role.everything:
            raise AccessError(access.DENIED)
        before = self.read(class_id, name, attribute, role)
        if not same_shape(before, value):
            raise AccessError(access.TYPE_UNMATCHED)
        writer = found.writable[attribute]
        if writer is not None:
            writer(self, value)
        else:
            self.keep(class_id, name, attribute, value)

    def invoke(self, class_id: int, name: bytes, method: int, argument: Data, role: Role) -> Data:
        """Run a method and return its result; raises AccessError."""
        found = self.find(class_id, name, role)
        if method not in found.methods or not role.everything:
            raise AccessError(access.DENIED)
        return found.methods[method](self, argument)

    def value(self, class_id: int, name: bytes, attribute: int) -> Data:
        """Return an attribute's value, with all access rights."""
        return self.read(class_id, name, attribute, _ITSELF)

    def keep(self, class_id: int, name: bytes, attribute: int, value: Data) -> None:
        """Store a value that was set."""
        self._written[class_id, name, attribute] = value

    def put(self, class_id: int, obis: str, attribute: int, value: Data | AccessError) -> None:
        """Set the value that an attribute returns, or the error it raises (for tests)."""
        self._written[class_id, Obis.parse(obis).octets, attribute] = value

    def note(self, event: int) -> None:
        """Enter an event into the event log."""
        self.events.append((self.clock(), event))
