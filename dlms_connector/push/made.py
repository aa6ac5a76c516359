"""Devices that are made by rule, for meters that push and have no entry (`autoCreate`)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping

from dlms_connector.config import Device, acceptable
from dlms_connector.errors import SecurityError
from dlms_connector.push.caller import DOING, Caller, UnknownMeterError
from dlms_connector.push.directory import Directory, Pusher

TITLE, NAME, PEER = "{systemTitle}", "{logicalDeviceName}", "{peer}"


class Made:
    """Makes devices; `adopt` returns whether one may be used."""

    def __init__(
        self, directory: Directory, adopt: Callable[[Device], bool], log: logging.Logger
    ) -> None:
        self._directory, self._adopt, self._log = directory, adopt, log
        self._count: Counter[str] = Counter()
        #: The devices that were made, and the doors for which.
        self._devices: dict[str, tuple[Device, str]] = {}

    def prototype(self, caller: Caller, title: bytes | None) -> Pusher:
        """Return who a ciphered push of a stranger may be from; UnknownMeterError if nobody."""
        told = f"with the system title {title.hex().upper()}" if title else "that sent it"
        rule = caller.rule
        if rule is None or rule.prototype is None or TITLE not in rule.device_name:
            raise UnknownMeterError(told)
        return Pusher(rule.prototype)

    def by_title(self, caller: Caller, title: bytes) -> Pusher:
        """Make the device of a meter whose push was opened with the prototype's keys."""
        return self._make(caller, TITLE, title.hex().upper(), {"system_title": title})

    def in_clear(self, caller: Caller, name: str) -> Pusher:
        """Make the device of a meter by its logical device name, or by its address.

        Raises UnknownMeterError if no rule does.
        """
        rule = caller.rule
        if rule is not None and rule.prototype is not None:
            if name and NAME in rule.device_name:
                return self._make(caller, NAME, name, {"logical_device_name": name})
            if caller.peer and PEER in rule.device_name:
                return self._make(caller, PEER, caller.peer, {"peer": caller.peer})
        raise UnknownMeterError(f"{name[:32]!r}" if name else "that sent it in clear")

    def settle(self) -> tuple[Device, ...]:
        """Take the devices up again into a directory that has changed; return those that fit not.

        Those have their name, or a mark, in common with a device of the configuration.
        """
        left = []
        for name, (device, door) in list(self._devices.items()):
            if self._directory.is_free(device):
                self._directory.add(device)
            else:
                del self._devices[name]
                self._count[door] -= 1
                left.append(device)
        return tuple(left)

    def _make(self, caller: Caller, mark: str, value: str, known: Mapping[str, object]) -> Pusher:
        rule = caller.rule
        assert rule is not None
        assert rule.prototype is not None
        name = acceptable(rule.device_name.replace(mark, value))
        push = rule.prototype.push.model_copy(update=known)
        device = rule.prototype.model_copy(update={"device_name": name, "push": push})
        if mark != TITLE and Pusher(device).least:
            raise SecurityError(DOING, f"{name} pushes in clear where ciphering is agreed")
        if (
            self._count[caller.door] >= rule.most
            or name in self._directory
            or not self._adopt(device)
        ):
            raise UnknownMeterError(f"{value[:32]}, and no device {name!r} may be made for it")
        self._devices[name] = device, caller.door
        self._count[caller.door] += 1
        self._log.info("%s: made for a meter that pushes to %s", name, caller.door)
        return self._directory.add(device)
