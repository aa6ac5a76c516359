"""Makes the new configuration: what arrived at the platform arrives there under the same names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlms_connector.config import Secret, acceptable, preset
from dlms_connector.migration.bridge import (
    CLIENT,
    PORT,
    RETRIES,
    SERVER,
    TIMEOUT_MS,
    Bridge,
    OldMeter,
)
from dlms_connector.migration.items import Item, items_of
from dlms_connector.migration.mapping import SECTIONS, Mapped, Rule

#: The preset of the bridge's meters. Its items are not taken: its energy is in kWh, and the
#: bridge sent what the meter gives.
_MICROSTAR = "microstar"


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A row of the table old → new, of a meter or an item; `why` if it stays behind."""

    old: str
    new: str = ""
    why: str = ""
    is_meter: bool = False


@dataclass(frozen=True, kw_only=True)
class Migration:
    """The new configuration, and what a person has to know of it.

    `secrets` are contents of files to be written, by name. `missing` are such files whose content
    nobody knew: a person has to write them.
    """

    document: Mapping[str, Any]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    rows: tuple[Moved, ...] = ()
    notes: tuple[str, ...] = ()


def migrate(bridge: Bridge, mapped: Mapped | None, password: Secret | None = None) -> Migration:
    """Make the new configuration of all meters that the bridge published.

    `password` is of the meters of which the database has none. Raises nothing: what cannot be
    taken over stays behind and is told in the rows.
    """
    return _Plan(bridge, mapped, password).run()


class _Plan:
    def __init__(self, bridge: Bridge, mapped: Mapped | None, password: Secret | None) -> None:
        self._bridge, self._mapped, self._password = bridge, mapped, password
        self._notes = [*bridge.notes, *(mapped.notes if mapped else ())]
        self._rows: list[Moved] = []
        self._devices: list[dict[str, Any]] = []
        self._secrets: dict[str, Secret] = {}
        self._missing: list[str] = []

    def run(self) -> Migration:
        names = self._names()
        for meter in self._bridge.meters:
            self._move(meter, names.get(meter.id, ""))
        return Migration(
            document={"devices": self._devices},
            secrets=self._secrets,
            missing=tuple(self._missing),
            rows=tuple(self._rows),
            notes=tuple(dict.fromkeys(self._notes)),
        )

    def _names(self) -> dict[int, str]:
        """Give each meter its name on the platform; each name to one meter only."""
        moving = [meter for meter in self._bridge.meters if not _why_not(meter)]
        wanted = {meter.id: self._name(meter) for meter in moving}
        own = {meter.id: _own_name(meter) for meter in self._bridge.meters}
        given: dict[str, int] = {}
        # Whose own name it is comes first: a mapping with one constant name put all under it.
        for number in sorted(wanted, key=lambda number: (wanted[number] != own[number], number)):
            name = wanted[number]
            if name in given:
                name = _free(own[number], given)
                self._notes.append(
                    f"{own[number]}: its values arrived as {wanted[number]}, mixed with those of "
                    f"another meter; from now on as {name}"
                )
            given[name] = number
        return {number: name for name, number in given.items()}

    def _name(self, meter: OldMeter) -> str:
        rule = self._rule(meter)
        if rule is not None and rule.device_name:
            return acceptable(rule.device_name)
        if rule is not None:
            self._notes.append(
                f"{meter.name}: the mapping took the device's name from the message or its topic; "
                f"{_own_name(meter)} is taken: compare it with the name on the platform"
            )
        return _own_name(meter)

    def _rule(self, meter: OldMeter) -> Rule | None:
        """Return the entry of the mapping by which the meter's values arrived; None if directly."""
        if self._mapped is None or not self._mapped.rules:
            return None
        if meter.tb_token and meter.tb_port != self._mapped.port:
            return None  # with a token of its own it published to the platform itself
        published = {name for one in meter.measurements for name in (one.name, one.tb_key) if name}
        fitting = [rule for rule in self._mapped.rules if published.intersection(rule.keys)]
        own = (meter.tb_device_name, meter.name)
        by_name = [rule for rule in fitting if rule.device_name in own]
        by_topic = [rule for rule in fitting if set(rule.topic.split("/")).intersection(own)]
        return next(iter([*by_name, *by_topic, *fitting]), None)

    def _move(self, meter: OldMeter, name: str) -> None:
        if why := _why_not(meter):
            self._rows.append(Moved(old=_words(meter), why=why, is_meter=True))
            return
        rule = self._rule(meter)
        items = items_of(meter, rule, self._notes)
        if not any(item.key for item in items):
            why = "none of its measurements can be taken over"
            self._rows.append(Moved(old=_words(meter), why=why, is_meter=True))
            self._rows += [_row(item) for item in items]
            return
        device = self._device(meter, name, rule, items)
        self._devices.append(device)
        self._rows.append(Moved(old=_words(meter), new=_new_words(device), is_meter=True))
        self._rows += [_row(item) for item in items]

    def _device(
        self, meter: OldMeter, name: str, rule: Rule | None, items: Sequence[Item]
    ) -> dict[str, Any]:
        device: dict[str, Any] = {"deviceName": name}
        if rule is not None and rule.device_type:
            device["deviceType"] = acceptable(rule.device_type)
        device["connection"] = {
            "type": "tcp", "host": meter.host, "port": meter.port or PORT,
            "timeoutMs": TIMEOUT_MS, "retries": RETRIES,
        }  # fmt: skip
        device["dlms"] = {
            "interfaceType": "HDLC",
            "clientAddress": CLIENT if meter.client_id is None else meter.client_id,
            "logicalAddress": 0,
            "physicalAddress": SERVER if meter.server_id is None else meter.server_id,
            "authentication": "LOW",
            "password": f"${{file:{self._secret_file(meter, name)}}}",
        }
        periods = [item.period_ms for item in items if item.key]
        device["pollPeriod"] = min(periods)
        if rule is not None and rule.only_on_change:
            device["reportStrategy"] = {"type": "ON_CHANGE"}
        for section in SECTIONS:
            rows = [
                item.row(device["pollPeriod"])
                for item in items
                if item.key and item.section == section
            ]
            if rows:
                device[section] = rows
        if _is_microstar(meter, items):
            device["workarounds"] = preset.values(_MICROSTAR)["workarounds"]
        return device

    def _secret_file(self, meter: OldMeter, device: str) -> str:
        """Return the name of the file of a meter's password, and note what is to be in it."""
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", device).lstrip(".") or "meter"
        name = f"{_free(stem, {name.removesuffix('.password') for name in self._files()})}.password"
        password = meter.password or self._password
        if password is None:
            self._missing.append(name)
        else:
            self._secrets[name] = _content(password, device)
        return name

    def _files(self) -> Iterable[str]:
        return (*self._secrets, *self._missing)


def _why_not(meter: OldMeter) -> str:
    """Return why a meter is not taken over; nothing if it is."""
    if not meter.host:
        return "it has no ip_address"
    if not meter.tb_enabled:
        return "the bridge did not publish it (tb_enabled is off)"
    if not any(each.enabled for each in meter.measurements):
        return "it has no enabled measurement, so the bridge did not poll it"
    return ""


def _own_name(meter: OldMeter) -> str:
    return acceptable(meter.tb_device_name or meter.name)


def _free(name: str, taken: Iterable[str]) -> str:
    """Return the name, with a number where it is taken."""
    used, free, number = set(taken), name, 2
    while free in used:
        free, number = f"{name}-{number}", number + 1
    return free


def _content(password: Secret, device: str) -> Secret:
    """Return the content of a secret's file: the password, and the device that may use it."""
    plain = password.isascii() and password.decode("ascii").isprintable()
    shown = bytes(password) if plain and not password.startswith(b"hex:") else (
        b"hex:" + password.hex().encode())  # fmt: skip
    return Secret(shown + b"\ndevice: " + device.encode() + b"\n")


def _is_microstar(meter: OldMeter, items: Sequence[Item]) -> bool:
    """Whether it is the maker's meter: by its model, or because its energies are on channel 1."""
    if meter.model:
        return _MICROSTAR in meter.model.lower()
    return all(item.obis.startswith("1-1:") for item in items if item.key)


def _words(meter: OldMeter) -> str:
    address = f"{meter.host or '?'}:{meter.port or PORT}"
    client, server = (
        usual if given is None else given
        for given, usual in ((meter.client_id, CLIENT), (meter.server_id, SERVER))
    )
    status = f", {meter.status}" if meter.status else ""
    return f"{meter.name} at {address}, client {client}, server {server}{status}"


def _new_words(device: Mapping[str, Any]) -> str:
    connection, dlms = device["connection"], device["dlms"]
    return (
        f"{device['deviceName']} at {connection['host']}:{connection['port']}, "
        f"{dlms['interfaceType']}, client {dlms['clientAddress']}, logical address "
        f"{dlms['logicalAddress']}, physical address {dlms['physicalAddress']}, "
        f"{dlms['authentication']}, {dlms['password']}"
    )


def _row(item: Item) -> Moved:
    if not item.key:
        return Moved(old=item.old, why=item.why)
    kind = "" if item.section == "timeseries" else ", attribute"
    return Moved(old=item.old, new=f"{item.key}, {item.obis}, every {item.period_ms} ms{kind}")
