"""What the host must offer: private files, enough file descriptors, the time, known versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import FileRights, Snapshot

#: Descriptors that a gateway without meters has open (logs, its database, the platform), and what
#: the fleet leaves free for the rest of the process: so much, of a low limit a fourth.
_OTHER_FILES, _RESERVE, _RESERVED_PART = 64, 256, 4
#: Seconds by which this host's clock may differ from the platform's.
_MOST_OFF_S = 5.0

Version = tuple[int, ...]

#: Versions with which the end-to-end tests run, and what is known of others.
_TESTED: Mapping[str, tuple[Version, Version]] = {
    "python": ((3, 10), (3, 14)),
    "thingsboard-gateway": ((3, 8, 5), (3, 9)),
}
_FAULTS: tuple[tuple[str, Callable[[Version], bool], str, str], ...] = (
    (
        "thingsboard-gateway",
        lambda version: version < (3, 8),
        "is older than what the connector was made for",
        "pip install 'thingsboard-gateway>=3.8.5,<3.9'",
    ),
)


def secrets(facts: Snapshot) -> Finding:
    """Check that files with secrets are read by the gateway's user and by nobody else."""
    return _rights(facts.secrets, "files with secrets", "chmod 600", "chown them to")


def state(facts: Snapshot) -> Finding:
    """Check that files of state are private, and of the gateway's user."""
    return _rights(facts.state, "files of state", "chmod go-rwx", "chown them to")


def _rights(files: tuple[FileRights, ...], what: str, closing: str, giving: str) -> Finding:
    hidden = [str(each.path) for each in files if each.unreadable]
    if hidden:
        return Finding(
            "failed",
            f"the gateway's user cannot read {', '.join(hidden[:3])}",
            f"{giving} the gateway's user",
        )
    shared = [f"{each.path} ({each.shared})" for each in files if each.shared]
    if shared:
        return Finding(
            "failed",
            f"others can get at {what}: {', '.join(shared[:3])}",
            f"{closing} {' '.join(str(each.path) for each in files if each.shared)}",
        )
    return ok(f"{len(files)} {what}, private" if files else f"no {what}")


def descriptors(facts: Snapshot) -> Finding:
    """Check that the process may open as many files as its meters need."""
    process, lines = next(iter(facts.processes), None), facts.file.lines if facts.file else 0
    if process is None or process.most_files is None:
        return Finding("unknown", "the gateway's limit of open files cannot be read", "see process")
    reserve = min(_RESERVE, process.most_files // _RESERVED_PART)
    needed = lines + _OTHER_FILES + reserve
    limit = f"the gateway may open {process.most_files} files"
    if process.most_files < needed:
        return Finding(
            "failed",
            f"{limit}; {lines} lines to meters need about {needed}, so meters take turns",
            f"LimitNOFILE={max(4096, 2 * needed)} in the service's section [Service], "
            "--ulimit nofile= for a container",
        )
    if process.open_files is not None and process.open_files > 0.8 * process.most_files:
        return Finding(
            "warning",
            f"{limit}, and {process.open_files} are open",
            f"LimitNOFILE={4 * process.most_files} in the service's section [Service]",
        )
    return ok(f"{limit}; {lines} lines to meters need about {needed}")


def clock(facts: Snapshot) -> Finding:
    """Check the host's clock: every value carries its time."""
    off = facts.clock_off_s
    if off is not None and abs(off) > _MOST_OFF_S:
        return Finding(
            "failed",
            f"this host's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the "
            "platform's",
            "sudo timedatectl set-ntp true",
        )
    if facts.synchronised is False:
        # In a container or a virtual machine, the host around it may see to that.
        return Finding(
            "warning",
            "nothing that this kernel knows of keeps the clock synchronised",
            "sudo timedatectl set-ntp true, or install chrony",
        )
    if facts.synchronised is None and off is None:
        return Finding("unknown", "whether the clock is synchronised cannot be read",
                       "give --platform URL to compare it")  # fmt: skip
    return ok("the host's clock is synchronised" if facts.synchronised else "the host's clock is "
              "that of the platform")  # fmt: skip


def zone(facts: Snapshot) -> Finding:
    """Check that the time zone exists: times of meters without a deviation are read in it."""
    process = next(iter(facts.processes), None)
    if process is None:
        return Finding("unknown", "no gateway runs", "see process")
    name = (process.zone or "").removeprefix(":")
    # A path is its own matter, and a rule as in POSIX (`<-05>5`) needs no name.
    is_name = name != "" and not name.startswith("/") and re.search(r"^[^/]*\d", name) is None
    if is_name and facts.zones and name not in facts.zones:
        return Finding(
            "failed",
            f"the gateway's TZ={name} is no time zone here: its times are UTC",
            "install tzdata, or correct TZ in the service's Environment",
        )
    return ok(f"the gateway's time zone is {name or 'that of the host'}")


def versions(facts: Snapshot) -> Finding:
    """Check that versions are those that are tested, and none has a fault that matters."""
    probe = facts.probe
    if probe is None or not probe.versions:
        return Finding("unknown", "the versions are not known", "see loader")
    known = {name: _version(text) for name, text in probe.versions.items()}
    for name, is_faulty, fault, remedy in _FAULTS:
        if name in known and is_faulty(known[name]):
            return Finding("failed", f"{name} {probe.versions[name]} {fault}", remedy)
    own = probe.versions.get("thingsboard-dlms-connector")
    if own is not None and facts.version and own != facts.version:
        return Finding(
            "warning",
            f"the gateway has version {own} of the connector, this command is {facts.version}",
            f"{probe.python} -m pip install --upgrade thingsboard-dlms-connector",
        )
    shown = ", ".join(f"{name} {text}" for name, text in sorted(probe.versions.items()))
    for name, (least, below) in _TESTED.items():
        if name in known and not least <= known[name] < below:
            asked = ".".join(map(str, least))
            return Finding(
                "warning", f"{shown}: {name} is not tested in this version",
                f"tested: from {asked} to below {'.'.join(map(str, below))}",
            )  # fmt: skip
    if known.get("thingsboard-gateway", ())[:2] == (3, 8):
        shown += "; known: this gateway does not close on SIGTERM, so set KillSignal=SIGINT"
    return ok(shown)


def _version(text: str) -> Version:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
