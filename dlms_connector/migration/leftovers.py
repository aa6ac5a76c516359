"""What is of no use after the change: services, listeners, connectors, tokens. Removes nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.migration.bridge import Bridge

#: The bridge's services, in the order in which they are stopped: the first one starts the others
#: again when they end.
SERVICES: Mapping[str, str] = {
    "qos-supervisor": "restarts the bridge when it ends",
    "dlms-multi-meter": "polls the meters and publishes",
    "dlms-mosquitto-bridge": "polls a meter and publishes to the broker",
    "dlms-mqtt-bridge": "polls a meter and publishes to the platform",
    "dlms-admin-api": "edits the database",
    "dlms-dashboard": "shows the database",
}

#: Where the bridge published and the gateway's MQTT connector listened.
BROKER_PORT = 1884

_LARGEST = 1_000_000
_MOST_FILES = 2000


@dataclass(frozen=True)
class Host:
    """The folders that are looked at; `root` is another one in tests, and in an image."""

    root: Path = Path("/")

    def units(self) -> Iterator[tuple[Path, str]]:
        """Yield the unit files that an administrator wrote, with their text."""
        yield from self._texts("etc/systemd/system", "*.service")

    def broker_files(self) -> Iterator[tuple[Path, str]]:
        """Yield the configuration files of mosquitto, with their text."""
        yield from self._texts("etc/mosquitto", "**/*.conf")

    def _texts(self, folder: str, pattern: str) -> Iterator[tuple[Path, str]]:
        for path in sorted((self.root / folder).glob(pattern))[:_MOST_FILES]:
            try:
                if path.is_file() and path.stat().st_size <= _LARGEST:
                    yield path, path.read_text("utf-8", "replace")
            except OSError:
                continue  # not ours to read: then it is not ours to speak of


@dataclass(frozen=True)
class Leftover:
    """Something that may go, and the command or the place to do it."""

    what: str
    how: str


def leftovers(
    bridge: Bridge, database: Path, mqtt_config: Path | None, host: Host
) -> list[Leftover]:
    """Return what may be removed once the new connector's values arrive, in order.

    Tokens are named by their device and never shown.
    """
    main = _gateway(mqtt_config)
    return [
        *_services(database, host),
        *_listeners(host),
        *_connectors(mqtt_config, main),
        *_tokens(bridge, main),
    ]


def _services(database: Path, host: Host) -> Iterator[Leftover]:
    folder = database.resolve().parent
    program = str(folder.parent if folder.name == "data" else folder)
    units = dict(host.units())
    known = {path.stem: path for path in units}
    found = [name for name in SERVICES if name in known]
    # A unit of any name that runs something beside the database; the root folder says nothing.
    found += [
        path.stem for path, text in units.items()
        if path.stem not in SERVICES and len(program) > 1 and f"{program}/" in text
        and "gateway" not in path.stem
    ]  # fmt: skip
    for name in found:
        use = SERVICES.get(name, f"runs from {program}")
        yield Leftover(f"service {name} ({use})", f"sudo systemctl disable --now {name}.service")
    if not found:
        names = ", ".join(SERVICES)
        yield Leftover(
            f"the bridge's services: none was found here; their usual names are {names}",
            "sudo systemctl disable --now NAME.service, on the machine where the bridge runs",
        )


def _listeners(host: Host) -> Iterator[Leftover]:
    listener = re.compile(rf"^\s*(?:listener|port)\s+{BROKER_PORT}\b", re.MULTILINE)
    found = False
    for path, text in host.broker_files():
        if listener.search(text):
            found = True
            alone = len(re.findall(r"^\s*listener\s", text, re.MULTILINE)) == 1
            yield Leftover(
                f"the broker's listener on port {BROKER_PORT} in {path}",
                f"sudo rm {path} && sudo systemctl restart mosquitto, if nothing else uses it"
                if alone and path.parent.name == "conf.d"
                else f"remove its lines from {path}, then sudo systemctl restart mosquitto",
            )
    if not found:
        yield Leftover(
            f"a broker's listener on port {BROKER_PORT}: none was found in /etc/mosquitto",
            "sudo grep -rn 'listener' /etc/mosquitto",
        )


def _connectors(mqtt_config: Path | None, main: Mapping[str, Any]) -> Iterator[Leftover]:
    if mqtt_config is None:
        return
    entries = main.get("connectors")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and entry.get("configuration") == mqtt_config.name:
            yield Leftover(
                f"the gateway's connector {entry.get('name')!r} (type {entry.get('type')!r})",
                "remove its entry from tb_gateway.json and restart the gateway; where it was made "
                "in the platform's user interface, delete it there",
            )
    yield Leftover(f"{mqtt_config}", f"keep it until you are sure, then rm {mqtt_config}")


def _tokens(bridge: Bridge, main: Mapping[str, Any]) -> Iterator[Leftover]:
    thingsboard = main.get("thingsboard")
    security = thingsboard.get("security") if isinstance(thingsboard, Mapping) else None
    gateways = security.get("accessToken") if isinstance(security, Mapping) else None
    for meter in bridge.meters:
        if meter.tb_token is None:
            continue
        name = meter.tb_device_name or meter.name
        if isinstance(gateways, str) and gateways.encode() == bytes(meter.tb_token):
            yield Leftover(
                f"{meter.name}: the bridge used the gateway's own access token, so its values went "
                f"to the gateway's own device: that history stays there, and {name} begins anew",
                "keep the token, the gateway needs it; the bridge must stop, or the two close "
                "each other's sessions (code 7)",
            )
        else:
            yield Leftover(
                f"{meter.name}: its own access token on the platform",
                f"on the platform, device {name}, Manage credentials: set a new one; its data "
                "comes through the gateway now",
            )


def _gateway(mqtt_config: Path | None) -> Mapping[str, Any]:
    """Return the gateway's main configuration beside the mapping; empty if there is none."""
    if mqtt_config is None:
        return {}
    try:
        document = json.loads((mqtt_config.parent / "tb_gateway.json").read_bytes()[:_LARGEST])
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, Mapping) else {}
