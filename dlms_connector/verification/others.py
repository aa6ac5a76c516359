"""Who else is on this host: with the gateway's token, at its platform, or of the old bridge."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlms_connector.migration import SERVICES, Host
from dlms_connector.verification.main_file import (
    TOLD_BY,
    as_started,
    platform_of,
    port_of,
    read_main,
    token_of,
)
from dlms_connector.verification.processes import Process, connected
from dlms_connector.verification.snapshot import Holder

#: Programs of the old bridge, as they are called on a command line.
_PROGRAMS = (
    "dlms_multi_meter_bridge",
    "dlms_to_mosquitto_bridge",
    "dlms_to_gateway_bridge",
    "dlms_poller_production",
    "simple_dlms_bridge",
    "gateway_dlms_bridge",
    "qos_supervisor_service",
)


def holders(
    main: Mapping[str, Any],
    everybody: Collection[Process],
    gateways: Collection[Process],
    host: Host,
) -> tuple[Holder, ...] | None:
    """Return who else has the gateway's token; None if it has none to look for."""
    token = token_of(main)
    if token is None:
        return None
    found = []
    for each in everybody:
        if each in gateways:
            continue
        what = f"process {each.pid}, {Path(each.arguments[0]).name}"
        if any(token in argument for argument in each.arguments):
            found.append(Holder(what, "on its command line"))
        elif token in _told(each).values():
            found.append(Holder(what, "in its environment"))
        elif each.is_gateway:
            for folder in each.configurations():
                other = as_started(read_main(folder)[0], each)
                # The same token at another platform is another one.
                if token_of(other) == token and platform_of(other) == platform_of(main):
                    found.append(Holder(what, f"in {folder / 'tb_gateway.json'}"))
    found += [Holder(f"service {path.stem}", f"in {path}") for path, text in host.units()
              if token in text]  # fmt: skip
    return tuple(found)


def _told(process: Process) -> Mapping[str, str]:
    """Return a process's environment without the variable that only a gateway reads.

    In a container each process has it, a shell that somebody opened there too.
    """
    environment = process.environment or {}
    return {name: value for name, value in environment.items() if name != TOLD_BY}


def other_clients(
    main: Mapping[str, Any],
    everybody: Collection[Process],
    gateways: Collection[Process],
    proc: Path,
) -> tuple[str, ...]:
    """Return other processes with a connection to the port of the platform's broker."""
    port = port_of(main)
    return tuple(
        f"process {each.pid}, {Path(each.arguments[0]).name}"
        for each in everybody
        if each not in gateways
        and not each.is_gateway
        and connected(proc, (each.open_files() or {}).values(), port)
    )


def bridge(everybody: Collection[Process], host: Host) -> Iterator[str]:
    """Yield what of the old bridge runs, or starts with this host."""
    wanted = host.root / "etc/systemd/system/multi-user.target.wants"
    for name in SERVICES:
        if (wanted / f"{name}.service").is_symlink():
            yield f"service {name} starts with this host"
    for each in everybody:
        for program in _PROGRAMS:
            if any(re.search(rf"(?:^|/){program}(?:\.py)?$", argument)
                   for argument in each.arguments[:3]):  # fmt: skip
                yield f"process {each.pid} ({program})"
