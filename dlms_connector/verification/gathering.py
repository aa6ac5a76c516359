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
from dlms_connector.errors import ConfigError
from dlms_connector.installation import InstallationError, configuration_file
from dlms_connector.migration import SERVICES, Host
from dlms_connector.sharing import RoleFile
from dlms_connector.state import noted_folders
from dlms_connector.verification.gateway_log import files_of, read_log
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
    ConfigFile,
    Entry,
    GatewayProcess,
    Holder,
    Probe,
    Snapshot,
)

_LARGEST = 4_000_000
#: The variable by which a container tells its gateway the token.
_TOLD_BY = "TB_GW_ACCESS_TOKEN"
_CLASS = "DLMSConnector"
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
    main, problem = _main(config_dir / "tb_gateway.json")
    entry = _entry(main)
    everybody = processes(sources.proc)
    gateways = [each for each in everybody if _is_of(each, config_dir)]
    gateway = next(iter(gateways), None)
    main = _as_started(main, gateway)
    path = _file(config_dir, entry)
    probed, problems = sources.ask(gateway, entry, path) if entry and path else (None, None)
    configuration, file = _configuration(path, problems, gateway, sources.load)
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
        holders=_holders(main, config_dir, everybody, gateways, sources.host),
        other_clients=_other_clients(main, everybody, gateways, sources.proc),
        hidden_processes=sum(each.is_hidden for each in everybody),
        bridge=tuple(_bridge(everybody, sources.host)),
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


def _main(path: Path) -> tuple[Mapping[str, Any], str]:
    try:
        found = json.loads(path.read_bytes()[:_LARGEST])
    except OSError as error:
        return {}, f"{path}: {error.strerror or error}"
    except (ValueError, RecursionError):
        return {}, f"{path} is no valid JSON"
    return (found, "") if isinstance(found, dict) else ({}, f"{path} is no object")


def _as_started(main: Mapping[str, Any], process: Process | None) -> Mapping[str, Any]:
    """Return the gateway's configuration with what its environment puts in place of it.

    Containers are told platform and token so (`TbUtility.get_service_environmental_variables` of
    the gateway).
    """
    told = (process.environment or {}) if process else {}
    platform = _part(main, "thingsboard")
    changed = {**platform, "security": dict(_part(platform, "security"))}
    if host := told.get("TB_GW_HOST"):
        changed["host"] = host
    if (port := told.get("TB_GW_PORT", "")).isdecimal():
        changed["port"] = int(port)
    if token := told.get(_TOLD_BY):
        changed["security"]["accessToken"] = token
    return {**main, "thingsboard": changed}


def _part(whole: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = whole.get(key)
    return part if isinstance(part, Mapping) else {}


def _entry(main: Mapping[str, Any]) -> Entry | None:
    entries = main.get("connectors")
    for each in entries if isinstance(entries, list) else ():
        if not isinstance(each, Mapping):
            continue
        kind, name = str(each.get("type", "")), str(each.get("class") or "")
        if name == _CLASS or (not name and kind.lower() == "dlms"):
            return Entry(name=str(each.get("name", "")), type=kind, class_name=name)
    return None


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


def _configuration(
    path: Path | None,
    problems: list[str] | None,
    gateway: Process | None,
    load: Callable[..., Loaded],
) -> tuple[Configuration | None, ConfigFile | None]:
    """Return the connector's configuration; problems are those that the gateway's Python sees.

    The gateway's own environment tells its share and its role.
    """
    if path is None:
        return None, None
    environment = gateway.environment if gateway is not None else None
    try:
        loaded = load(path, environment=environment)
    except ConfigError as error:
        return None, ConfigFile(path=path, problems=tuple(problems or error.problems))
    devices = loaded.configuration.devices
    polled = [device for device in devices if device.is_polled]
    told = loaded.every_problem if problems is None else tuple(problems)
    file = ConfigFile(
        path=path,
        problems=told,
        devices=tuple(device.device_name for device in devices),
        polled=tuple(device.device_name for device in polled),
        lines=len({device.connection.endpoint for device in polled}),
        periods_s={
            device.device_name: max(
                (each.poll_period_ms or device.poll_period_ms for each in device.timeseries),
                default=device.poll_period_ms,
            )
            / 1000
            for device in polled
        },
        has_journal=bool(loaded.configuration.journal),
        share=str(loaded.share) if loaded.share is not None else "",
        standby=_standby(loaded.configuration),
        metrics=_metrics(loaded.configuration),
    )
    return loaded.configuration, file


def _metrics(configuration: Configuration) -> str:
    """Return where the connector serves its metrics; empty if it does not."""
    if (metrics := configuration.metrics) is None:
        return ""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(metrics.host, metrics.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{metrics.port}/metrics"


def _standby(configuration: Configuration) -> str:
    """Return the file by which the gateway would be active, if it is not there."""
    standby = configuration.standby
    if standby is None or RoleFile(Path(standby.active_file)).is_active():
        return ""
    return standby.active_file


def _facts(process: Process, main: Mapping[str, Any], proc: Path) -> GatewayProcess:
    files = process.open_files()
    return GatewayProcess(
        pid=process.pid,
        user=process.user,
        running_s=process.running_s(uptime_s(proc)),
        open_files=None if files is None else len(files),
        most_files=process.limit_of_files(),
        connected=connected(proc, None if files is None else files.values(), _port(main)),
        zone=(process.environment or {}).get("TZ"),
    )


def _port(main: Mapping[str, Any]) -> int:
    port = _part(main, "thingsboard").get("port")
    return port if isinstance(port, int) else 1883


def _platform(main: Mapping[str, Any]) -> tuple[object, int]:
    return _part(main, "thingsboard").get("host"), _port(main)


def _token(main: Mapping[str, Any]) -> str | None:
    token = _part(_part(main, "thingsboard"), "security").get("accessToken")
    return token if isinstance(token, str) and len(token) >= 8 else None


def _holders(
    main: Mapping[str, Any],
    config_dir: Path,
    everybody: Collection[Process],
    gateways: Collection[Process],
    host: Host,
) -> tuple[Holder, ...] | None:
    token = _token(main)
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
                other = _as_started(_main(folder / "tb_gateway.json")[0], each)
                # The same token at another platform is another one.
                if _token(other) == token and _platform(other) == _platform(main):
                    found.append(Holder(what, f"in {folder / 'tb_gateway.json'}"))
    found += [Holder(f"service {path.stem}", f"in {path}") for path, text in host.units()
              if token in text]  # fmt: skip
    return tuple(found)


def _told(process: Process) -> Mapping[str, str]:
    """Return a process's environment without the variable that only a gateway reads.

    In a container each process has it, a shell that somebody opened there too.
    """
    environment = process.environment or {}
    return {name: value for name, value in environment.items() if name != _TOLD_BY}


def _other_clients(
    main: Mapping[str, Any],
    everybody: Collection[Process],
    gateways: Collection[Process],
    proc: Path,
) -> tuple[str, ...]:
    """Return other processes with a connection to the port of the platform's broker."""
    port = _port(main)
    return tuple(
        f"process {each.pid}, {Path(each.arguments[0]).name}"
        for each in everybody
        if each not in gateways
        and not each.is_gateway
        and connected(proc, (each.open_files() or {}).values(), port)
    )


def _bridge(everybody: Collection[Process], host: Host) -> Iterator[str]:
    wanted = host.root / "etc/systemd/system/multi-user.target.wants"
    for name in SERVICES:
        if (wanted / f"{name}.service").is_symlink():
            yield f"service {name} starts with this host"
    for each in everybody:
        for program in _PROGRAMS:
            if any(re.search(rf"(?:^|/){program}(?:\.py)?$", argument)
                   for argument in each.arguments[:3]):  # fmt: skip
                yield f"process {each.pid} ({program})"


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
