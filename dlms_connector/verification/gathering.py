"""Gathers the facts. Everything is read, nothing is changed; what cannot be read stays unknown."""

from __future__ import annotations

import ctypes
import json
import re
import zoneinfo
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from dlms_connector import __version__
from dlms_connector.config import Configuration, Loaded, load_file
from dlms_connector.installation import InstallationError, configuration_file
from dlms_connector.migration import Host
from dlms_connector.state import noted_folders
from dlms_connector.verification.connector_file import read_configuration
from dlms_connector.verification.gateway_log import files_of, read_log
from dlms_connector.verification.main_file import (
    as_started,
    connectors_entry,
    port_of,
    read_main,
)
from dlms_connector.verification.others import bridge, holders, other_clients
from dlms_connector.verification.probing import probe
from dlms_connector.verification.processes import (
    Process,
    connected,
    listening,
    processes,
    uptime_s,
)
from dlms_connector.verification.rights import below, rights
from dlms_connector.verification.snapshot import (
    Entry,
    GatewayProcess,
    Probe,
    Snapshot,
)


@dataclass(frozen=True)
class Sources:
    """Where facts come from; other places in tests.

    `ask` is who asks the gateway's Python, `load` who reads the configuration.
    """

    config_dir: Path
    proc: Path = Path("/proc")
    host: Host = field(default_factory=Host)
    ask: Callable[[Process | None, Entry, Path], tuple[Probe, list[str] | None]] = probe
    load: Callable[..., Loaded] = load_file


def gather(sources: Sources, now: datetime) -> Snapshot:
    """Gather all that is known without asking the platform. `now` is local, without a zone."""
    config_dir = sources.config_dir
    main, problem = read_main(config_dir)
    entry = connectors_entry(main)
    everybody = processes(sources.proc)
    gateways = [each for each in everybody if _is_of(each, config_dir)]
    gateway = next(iter(gateways), None)
    main = as_started(main, gateway)
    path = _file(config_dir, entry)
    probed, problems = sources.ask(gateway, entry, path) if entry and path else (None, None)
    configuration, file = read_configuration(path, problems, gateway, sources.load)
    outputs = (gateway.open_files() or {}) if gateway else {}
    user = gateway.owner[0] if gateway else None
    folders = noted_folders(config_dir)
    names = [device.device_name for device in configuration.devices] if configuration else []
    logs = files_of(
        config_dir, gateway.directory if gateway else None, [outputs.get(n, "") for n in (1, 2)]
    )
    return Snapshot(
        config_dir=config_dir,
        main_problem=problem,
        main={"storage": main.get("storage")},
        entry=entry,
        file=file,
        processes=tuple(_facts(each, main, sources.proc) for each in gateways),
        probe=probed,
        holders=holders(main, everybody, gateways, sources.host),
        other_clients=other_clients(main, everybody, gateways, sources.proc),
        hidden_processes=sum(each.is_hidden for each in everybody),
        bridge=tuple(bridge(everybody, sources.host)),
        listening=listening(sources.proc),
        log=read_log(logs, names, now),
        online=_online(folders, entry),
        secrets=rights(_secrets(config_dir, configuration), user),
        state=rights((each for folder in folders for each in below(folder)), user),
        synchronised=_synchronised(),
        zones=frozenset(zoneinfo.available_timezones()),
        version=__version__,
    )


def running(config_dir: Path, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes of gateways with a configuration folder, as far as they can be seen."""
    return [each.pid for each in processes(proc) if _is_of(each, config_dir)]


def _file(config_dir: Path, entry: Entry | None) -> Path | None:
    if entry is None:
        return None
    with suppress(InstallationError):
        return configuration_file(config_dir)
    return None


def _is_of(process: Process, config_dir: Path) -> bool:
    """Whether a process is a gateway with this configuration folder."""
    if not process.is_gateway:
        return False
    ours = config_dir.resolve()
    if any(folder.resolve() == ours for folder in process.configurations()):
        return True
    # Started as a module and told nothing, it takes the folder of its own package.
    return process.is_module and ours.parts[-2:] == ("thingsboard_gateway", "config")


def _facts(process: Process, main: Mapping[str, Any], proc: Path) -> GatewayProcess:
    files = process.open_files()
    return GatewayProcess(
        pid=process.pid,
        user=process.user,
        running_s=process.running_s(uptime_s(proc)),
        open_files=None if files is None else len(files),
        most_files=process.limit_of_files(),
        connected=connected(proc, None if files is None else files.values(), port_of(main)),
        zone=(process.environment or {}).get("TZ"),
    )


def _online(folders: Collection[Path], entry: Entry | None) -> frozenset[str] | None:
    """Return the meters that the connector noted as online; it writes when that changes."""
    if entry is None:
        return None
    name = re.sub(r"[^A-Za-z0-9_-]", "_", entry.name)
    for folder in folders:
        with suppress(OSError, ValueError, RecursionError):
            found = json.loads((folder / f"online-{name}.json").read_bytes())
            return frozenset(found) if isinstance(found, dict) else None
    return None


def _secrets(config_dir: Path, configuration: Configuration | None) -> Iterator[Path]:
    yield from below(config_dir / "secrets")
    named = configuration.secrets_directory if configuration else None
    if named:
        yield from below(config_dir / named)


def _synchronised() -> bool | None:
    """Return what the kernel knows of its clock, whoever keeps it (adjtimex(2), TIME_ERROR)."""
    with suppress(OSError, AttributeError):
        request = ctypes.create_string_buffer(512)  # struct timex, zero: only look
        status = ctypes.CDLL(None, use_errno=True).adjtimex(request)
        if status >= 0:
            return bool(status != 5)
    return None
