"""Which device a push comes from, and the keys that it can be ciphered with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from dlms_connector.config import Device, ListenConnection, TcpConnection, UdpConnection
from dlms_connector.errors import ConfigError, SecurityError
from dlms_connector.hints import Symptom
from dlms_connector.protocol.notifications import AGREED, BROADCAST, Envelope, opened
from dlms_connector.protocol.security import DEDICATED, GLOBAL, PROTECTIONS, Keys, Unsealed

_DOING = "deciphering a push"
_NEEDS = {GLOBAL: "blockCipherKey", BROADCAST: "broadcastKey", DEDICATED: "dedicatedKey"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A deciphered push, and what stands for the key that it was ciphered with."""

    unsealed: Unsealed
    key: bytes

    def __repr__(self) -> str:
        return f"<opened push, counter {self.unsealed.counter}>"


class Pusher:
    """A device that may push, with its keys; they are never shown."""

    def __init__(self, device: Device) -> None:
        self.device = device
        #: The address at which it is polled, if it is written as one.
        self.host = _host(device)
        self.least = PROTECTIONS[device.push.security or device.dlms.security]
        dlms = device.dlms
        self._secrets: Mapping[str, bytes | None] = {
            GLOBAL: dlms.block_cipher_key,
            BROADCAST: dlms.broadcast_key,
            DEDICATED: dlms.dedicated_key,
        }
        self._keys: dict[str, Keys] = {}

    def __repr__(self) -> str:
        return f"<Pusher {self.device.device_name}>"

    @property
    def title(self) -> bytes | None:
        """The system title that is configured."""
        return title_of(self.device)

    @property
    def has_keys(self) -> bool:
        """Whether anything ciphered can be read."""
        return any(self._secrets.values())

    def open(self, found: Envelope, title: bytes) -> Opened:
        """Verify and decipher a push of this device. Raises SecurityError or ProtocolError."""
        secret = self._secrets.get(found.kind)
        if not secret:
            raise _no_key(found.kind)
        keys = self._keys.get(found.kind) or self._made(found.kind, secret)
        try:
            return Opened(opened(found, keys, title, self.least), bytes(secret))
        except SecurityError as error:
            if not self.device.dlms.authentication_key and Symptom.WRONG_TAG in error.symptoms:
                error.showing(Symptom.PUSH_AUTHENTICATED)
            raise

    def _made(self, kind: str, secret: bytes) -> Keys:
        dlms = self.device.dlms
        authentication = dlms.authentication_key or b""
        try:
            keys = Keys(dlms.security_suite, secret, authentication, broadcast=kind == BROADCAST)
        except ConfigError as error:
            raise SecurityError(_DOING, str(error)) from error
        self._keys[kind] = keys
        return keys


class Directory:
    """The devices by what a push tells of its sender."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self._by_device: dict[str, Pusher] = {}
        self._by_title: dict[bytes, Pusher] = {}
        self._by_name: dict[bytes, Pusher] = {}
        self._by_peer: dict[str, Pusher] = {}
        #: Those that there were before a change, while it is made.
        self._known: dict[str, Pusher] = {}
        self._fill(tuple(devices))

    def change(self, devices: Iterable[Device]) -> None:
        """Have these devices from now on, and no others."""
        self._known = self._by_device.copy()
        for each in (self._by_device, self._by_title, self._by_name, self._by_peer):
            each.clear()
        self._fill(tuple(devices))
        self._known = {}

    def is_free(self, device: Device) -> bool:
        """Whether no other device has the name of this one, or a mark of it."""
        taken = (
            device.device_name in self._by_device,
            title_of(device) in self._by_title,
            (device.push.logical_device_name or "").encode() in self._by_name,
            device.push.peer in self._by_peer,
        )
        return not any(taken)

    def _fill(self, devices: Sequence[Device]) -> None:
        pushers = [self.add(device) for device in devices]
        hosts = Counter(pusher.host for pusher in pushers)
        for pusher in pushers:
            if pusher.host and hosts[pusher.host] == 1:
                self._by_peer.setdefault(pusher.host, pusher)

    def add(self, device: Device) -> Pusher:
        """Add a device; of two with the same mark, the first one has it."""
        known = self._known.get(device.device_name)
        pusher = known if known is not None and known.device is device else Pusher(device)
        self._by_device[device.device_name] = pusher
        if title := title_of(device):
            self._by_title.setdefault(title, pusher)
        if name := device.push.logical_device_name:
            self._by_name.setdefault(name.encode(), pusher)
        if peer := device.push.peer:
            self._by_peer[peer] = pusher
        return pusher

    def __iter__(self) -> Iterator[Pusher]:
        return iter(self._by_device.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_device

    def named(self, device_name: str) -> Pusher | None:
        """Return a device by its name on the platform."""
        return self._by_device.get(device_name)

    def by_title(self, title: bytes) -> Pusher | None:
        """Return the device with a system title."""
        return self._by_title.get(title)

    def by_text(self, texts: Iterable[bytes]) -> Pusher | None:
        """Return the device that one of these texts names."""
        found = (self._by_name.get(text.strip(b"\0 ")) for text in texts)
        return next((pusher for pusher in found if pusher), None)

    def by_peer(self, peer: str) -> Pusher | None:
        """Return the device that pushes from an address."""
        return self._by_peer.get(peer)


def title_of(device: Device) -> bytes | None:
    """Return the meter's system title, as far as the configuration tells it."""
    connection = device.connection
    dialled = connection.system_title if isinstance(connection, ListenConnection) else None
    return device.push.system_title or device.dlms.server_system_title or dialled


def _host(device: Device) -> str | None:
    """Return the address that a device is polled at, if it is written as one."""
    if not isinstance(device.connection, TcpConnection | UdpConnection):
        return None
    try:
        return str(ip_address(device.connection.host))
    except ValueError:
        return None


def _no_key(kind: str) -> SecurityError:
    if kind == AGREED:
        problem = "its key was made for this message"
        return SecurityError(_DOING, problem).showing(Symptom.PUSH_KEY_MADE)
    error = SecurityError(_DOING, f"ciphered with a {kind} key that is not configured")
    return error.showing(Symptom.PUSH_KEY_MISSING, key=_NEEDS[kind])
