"""The device entry so far, from the user's options, the preset and the discovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlms_connector.config import Connection, Device, Dlms, SerialConnection, load, preset
from dlms_connector.discovery.candidates import Candidate, Wanted, preset_dlms
from dlms_connector.discovery.entry import make_entry
from dlms_connector.discovery.pace import Pace
from dlms_connector.errors import ConfigError
from dlms_connector.state import NoPlace

_NAMELESS = "discovered"
#: The keys of a preset that the search itself finds out.
_ADDRESS = ("interfaceType", "clientAddress", "logicalAddress", "physicalAddress", "addressSize",
            "serialNumber", "serialNumberFormula")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to discover, and what is known before.

    `connection` is the section of `dlms.json`; `credentials` are keys of its section `dlms`,
    such as `authentication` and `password`, or `referencing` alone. Both are copied to the
    entry. References to secrets are looked up below `folder`; invocation counters are kept in
    `state_dir`.
    """

    connection: Mapping[str, Any]
    wanted: Wanted = field(default_factory=Wanted)
    credentials: Mapping[str, Any] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    name: str | None = None
    every_register: bool = False
    #: Whether `counterFromOne` may be tried: it repeats numbers under the user's key.
    try_counter_from_one: bool = False
    all_baudrates: bool = True
    folder: Path = Path()
    state_dir: Path | NoPlace | None = None


class Draft:
    """Makes entries and devices from a request and the findings so far."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.credentials = _credentials(request)

    @property
    def workarounds(self) -> Mapping[str, Any]:
        """The workarounds of the preset."""
        return self._of_preset("workarounds")

    def device(
        self,
        dlms: Mapping[str, Any],
        connection: Connection | None = None,
        workarounds: Mapping[str, Any] | None = None,
    ) -> Device:
        """Return a device with these sections. Raises ConfigError."""
        entry = self.entry(_NAMELESS, dlms, {}, connection, workarounds)
        return device_of(entry, self._request.folder)

    def entry(
        self,
        name: str,
        dlms: Mapping[str, Any],
        items: Mapping[str, Sequence[Mapping[str, Any]]],
        connection: Connection | None = None,
        workarounds: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return an element of `devices`: timing is the preset's, workarounds add to its."""
        reached = {**self._of_preset("connection"), **self._request.connection}
        if isinstance(connection, SerialConnection):
            reached["baudrate"] = connection.baudrate
        return make_entry(name, reached, dlms, items, {**self.workarounds, **(workarounds or {})})

    def _of_preset(self, key: str) -> Mapping[str, Any]:
        name = self._request.wanted.preset
        section: dict[str, Any] = {}
        while name is not None:
            values = preset.values(name)
            section = {**values.get(key, {}), **section}
            name = values.get("template")
        return section


def _credentials(request: Request) -> Mapping[str, Any]:
    """Return the user's credentials with the preset's additions; empty without credentials."""
    if not request.credentials:
        return {}
    known = preset_dlms(request.wanted.preset)
    return {key: value for key, value in known.items() if key not in _ADDRESS} | dict(
        request.credentials
    )


def presents_secret(dlms: Dlms) -> bool:
    """Whether an association with these keys shows the meter a secret, or makes use of one."""
    return dlms.authentication != "NONE" or dlms.security != "NONE"


def section_of(candidate: Candidate) -> dict[str, Any]:
    """Return the section `dlms` with the address of a candidate."""
    logical, physical, size = candidate.server
    section: dict[str, Any] = {
        "interfaceType": candidate.interface,
        "clientAddress": candidate.client,
        "logicalAddress": logical,
    }
    if candidate.is_hdlc:
        section["physicalAddress"] = physical
        if size is not None:
            section["addressSize"] = size
    if candidate.referencing != "LN":
        section["referencing"] = candidate.referencing
    return section


def device_of(entry: Mapping[str, Any], folder: Path) -> Device:
    """Return the device of an entry, validated as the connector does. Raises ConfigError."""
    loaded = load({"devices": [entry]}, base=folder)
    if loaded.every_problem:
        raise ConfigError(*(each.removeprefix("devices[0].") for each in loaded.every_problem))
    return loaded.configuration.devices[0]
