"""The facts that the checks judge. None is what could not be found out; no secret is in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The connector's entry in `tb_gateway.json`."""

    name: str
    type: str
    class_name: str


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """The connector's `dlms.json` as the gateway's own process would read it."""

    path: Path
    problems: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  #: all that are not refused
    polled: tuple[str, ...] = ()
    lines: int = 0  #: connections that polling needs at most
    periods_s: Mapping[str, float] = field(default_factory=dict)  #: longest poll period, by device
    has_journal: bool = False
    share: str = ""  #: which share of the fleet, if there are several
    metrics: str = ""  #: the address of its metrics, if they are served
    standby: str = ""  #: the file that is not there, so that another gateway serves the meters


@dataclass(frozen=True, kw_only=True)
class GatewayProcess:
    """A running gateway. `connected` tells whether it has a connection to the platform's port."""

    pid: int
    user: str
    running_s: float
    open_files: int | None = None
    most_files: int | None = None
    connected: bool | None = None
    zone: str | None = None  #: its variable TZ


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What the gateway's own Python said: the class it loads, or why not; and versions."""

    python: str
    loaded_from: str | None = None
    error: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    of_the_process: bool = True  #: False if no gateway runs, and this Python was asked instead


@dataclass(frozen=True)
class Holder:
    """Something besides the gateway that has its token, and where it was seen."""

    what: str
    where: str


@dataclass(frozen=True, kw_only=True)
class LogNews:
    """What the end of the gateway's log says. `silent` are meters and their last complaint."""

    files: tuple[str, ...] = ()
    disconnects: int = 0
    silent: Mapping[str, str] = field(default_factory=dict)
    within_s: float = 3600.0


@dataclass(frozen=True)
class FileRights:
    """A file or folder that others must not read. `shared` is what others may do, or empty."""

    path: Path
    shared: str = ""
    unreadable: bool = False  #: by the gateway's user


@dataclass(frozen=True, kw_only=True)
class OnPlatform:
    """What the platform has of a device: age of its newest value, and its state, if it has any."""

    age_s: float | None = None
    state: str | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything that is known of an installation."""

    config_dir: Path
    main_problem: str = ""
    main: Mapping[str, Any] = field(default_factory=dict)  #: without its secrets
    entry: Entry | None = None
    file: ConfigFile | None = None
    processes: tuple[GatewayProcess, ...] = ()
    probe: Probe | None = None
    holders: tuple[Holder, ...] | None = None
    other_clients: tuple[str, ...] = ()  #: with a connection to the platform's MQTT port
    hidden_processes: int = 0  #: whose command and environment may not be read
    bridge: tuple[str, ...] = ()  #: services and programs of the old bridge that are in use
    listening: frozenset[int] | None = None
    log: LogNews | None = None
    online: frozenset[str] | None = None  #: meters that the connector noted as online
    secrets: tuple[FileRights, ...] = ()
    state: tuple[FileRights, ...] = ()
    synchronised: bool | None = None
    clock_off_s: float | None = None  #: this host's clock minus the platform's
    zones: frozenset[str] = frozenset()  #: names of time zones that this host knows
    platform: Mapping[str, OnPlatform] | None = None
    platform_problem: str = ""
    version: str = ""  #: of this command
