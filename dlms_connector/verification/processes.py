"""Reads the processes of this host from /proc. What environments hold is shown nowhere."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_LARGEST = 4_000_000
#: State of a listening and of an established connection in /proc/net/tcp.
_LISTENING, _ESTABLISHED = "0A", "01"
_VARIABLE = "TB_GW_CONFIG_DIR"
#: Where the gateway's service and image have their configuration.
_USUAL = ("/etc/thingsboard-gateway/config", "/thingsboard_gateway/config")
_GATEWAYS = ("thingsboard-gateway", "thingsboard_gateway", "tb_gateway", "gateway_program")


@dataclass(frozen=True)
class Process:
    """A process; what its user alone may read is empty if we may not."""

    folder: Path
    pid: int
    arguments: tuple[str, ...] = field(repr=False)

    @cached_property
    def environment(self) -> Mapping[str, str] | None:
        """Its environment; None if it may not be read."""
        content = _read(self.folder / "environ")
        if content is None:
            return None
        pairs = (each.partition(b"=") for each in content.split(b"\0") if b"=" in each)
        return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}

    @property
    def is_hidden(self) -> bool:
        """Whether its environment may not be read; not if it has ended meanwhile."""
        return self.environment is None and (self.folder / "environ").exists()

    @property
    def directory(self) -> Path | None:
        """Its working directory, as far as it may be known."""
        with suppress(OSError):
            return Path(os.readlink(self.folder / "cwd"))  # noqa: PTH115 - of another process
        return None

    @property
    def owner(self) -> tuple[int, int]:
        """Its user's and its group's number."""
        status = self.folder.stat()
        return status.st_uid, status.st_gid

    @property
    def user(self) -> str:
        """Its user's name."""
        uid, _ = self.owner
        with suppress(KeyError):
            return pwd.getpwuid(uid).pw_name
        return str(uid)

    @property
    def is_gateway(self) -> bool:
        """Whether it is a ThingsBoard gateway: by its program, not by what it is told."""
        return any(word in argument for argument in self.arguments[:3] for word in _GATEWAYS)

    @property
    def is_module(self) -> bool:
        """Whether it is a gateway that was started as a module and told no folder."""
        told = (self.environment or {}).get(_VARIABLE)
        return not told and any("tb_gateway" in argument for argument in self.arguments[1:3])

    def configurations(self) -> Iterator[Path]:
        """Yield the folders that may be a gateway's configuration folder."""
        named = (self.environment or {}).get(_VARIABLE)
        for folder in [named] if named else _USUAL:
            yield Path(os.path.normpath((self.directory or Path("/")) / folder))

    @property
    def python(self) -> str:
        """Its interpreter as it was called: the link of a virtual environment, not its target."""
        name = self.arguments[0] if self.arguments else ""
        if "python" in Path(name).name and Path(name).is_absolute():
            return name
        with suppress(OSError):
            return os.readlink(self.folder / "exe")  # noqa: PTH115 - of another process
        return name

    def limit_of_files(self) -> int | None:
        """Return how many files it may open."""
        for line in (_read(self.folder / "limits") or b"").splitlines():
            if line.startswith(b"Max open files"):
                soft = line.split()[3]
                return int(soft) if soft.isdigit() else 1 << 30
        return None

    def open_files(self) -> dict[int, str] | None:
        """Return what its descriptors are; None if that may not be known."""
        found = {}
        try:
            for each in (self.folder / "fd").iterdir():
                with suppress(OSError):
                    found[int(each.name)] = os.readlink(each)  # noqa: PTH115 - may be a socket
        except OSError:
            return None
        return found

    def running_s(self, uptime_s: float) -> float:
        """Return for how long it has been running; it started `ticks` after the host."""
        # Behind the name in brackets, which may hold anything: field 22 of proc(5).
        fields = (_read(self.folder / "stat") or b"").rpartition(b")")[2].split()
        ticks = int(fields[19]) if len(fields) > 19 else 0
        return max(0.0, uptime_s - ticks / os.sysconf("SC_CLK_TCK"))


def processes(proc: Path) -> list[Process]:
    """Return all processes but this one and its parents."""
    own = set(_family(proc))
    found = []
    for folder in sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        content = _read(folder / "cmdline")
        pid = int(folder.name)
        if content and pid not in own:
            arguments = tuple(os.fsdecode(each) for each in content.rstrip(b"\0").split(b"\0"))
            found.append(Process(folder, pid, arguments))
    return found


def _family(proc: Path) -> Iterator[int]:
    """Yield this process and its parents: the shell that runs us may name the token."""
    pid = os.getpid()
    while pid > 1:
        yield pid
        fields = (_read(proc / str(pid) / "stat") or b"").rpartition(b")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0


def uptime_s(proc: Path) -> float:
    """Return for how long this host has been running."""
    return float(((_read(proc / "uptime") or b"0").split() or [b"0"])[0])


def listening(proc: Path) -> frozenset[int] | None:
    """Return the TCP ports at which somebody listens; None if that may not be known."""
    rows = [row for name in ("tcp", "tcp6") for row in _connections(proc / "net" / name)]
    if not rows and _read(proc / "net" / "tcp") is None:
        return None
    return frozenset(local for local, _, status, _ in rows if status == _LISTENING)


def connected(proc: Path, files: Iterable[str] | None, port: int) -> bool | None:
    """Return whether one of a process's open files is a connection to a port."""
    if files is None or _read(proc / "net" / "tcp") is None:
        return None
    inodes = {each[8:-1] for each in files if each.startswith("socket:[")}
    return any(
        remote == port and status == _ESTABLISHED and inode in inodes
        for name in ("tcp", "tcp6")
        for _, remote, status, inode in _connections(proc / "net" / name)
    )


def _connections(path: Path) -> Iterator[tuple[int, int, str, str]]:
    for line in (_read(path) or b"").decode("ascii", "replace").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9:
            local, remote = (int(fields[i].rpartition(":")[2], 16) for i in (1, 2))
            yield local, remote, fields[3], fields[9]


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return None
