"""Whether the gateway runs with the connector in it, and a configuration that it can use."""

from __future__ import annotations

from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import Snapshot

_INSTALL = "dlms-connector install --gateway-config {}"


def process(facts: Snapshot) -> Finding:
    """Check that exactly one gateway runs with this configuration folder."""
    pids = ", ".join(f"{each.pid} ({each.user})" for each in facts.processes)
    match len(facts.processes):
        case 0 if facts.hidden_processes:
            return Finding(
                "failed",
                f"no gateway with {facts.config_dir} is seen; {facts.hidden_processes} processes "
                "of other users cannot be looked at",
                "run this as root, or as the user that runs the gateway",
            )
        case 0:
            return Finding(
                "failed",
                f"no gateway runs with {facts.config_dir}",
                "start it: sudo systemctl start thingsboard-gateway; its log says why it ended",
            )
        case 1:
            return ok(f"the gateway runs, process {pids}")
    return Finding(
        "failed",
        f"{len(facts.processes)} gateways run with {facts.config_dir}: processes {pids}",
        "stop all but one: they close each other's sessions",
    )


def entry(facts: Snapshot) -> Finding:
    """Check that `tb_gateway.json` has an entry of the connector that the gateway can use."""
    if facts.main_problem:
        return Finding("failed", facts.main_problem, "name the gateway's folder, and repair it")
    if facts.entry is None:
        return Finding(
            "failed",
            f"tb_gateway.json in {facts.config_dir} has no entry of the connector",
            _INSTALL.format(facts.config_dir),
        )
    if not facts.entry.class_name:
        return Finding(
            "failed",
            f"the entry {facts.entry.name} has no class: the gateway does not load it",
            'add "class": "DLMSConnector"; the user interface keeps it for type custom only',
        )
    return ok(f"the entry is called {facts.entry.name}, type {facts.entry.type}")


def loader(facts: Snapshot) -> Finding:
    """Check that the gateway's own loader finds the class in the Python of its process."""
    probe = facts.probe
    if probe is None:
        return Finding("unknown", "there is no entry whose class could be loaded", "see entry")
    who = "the gateway's Python" if probe.of_the_process else "this Python (no gateway runs)"
    if probe.loaded_from is None:
        return Finding(
            "failed",
            f"{who}, {probe.python}, does not load DLMSConnector: {probe.error}",
            f"{probe.python} -m pip install thingsboard-dlms-connector, then "
            + _INSTALL.format(facts.config_dir),
        )
    if not probe.of_the_process:
        text = f"{who} loads DLMSConnector from {probe.loaded_from}"
        return Finding("unknown", text, "start the gateway, and look again")
    return ok(f"{who} loads DLMSConnector from {probe.loaded_from}")


def configuration(facts: Snapshot) -> Finding:
    """Check that the connector's file has no problem, and meters."""
    file = facts.file
    if file is None:
        return Finding("unknown", "there is no entry that names a file", "see entry")
    if file.problems:
        more = f", and {len(file.problems) - 1} more" if len(file.problems) > 1 else ""
        return Finding(
            "failed", f"{file.path}: {file.problems[0]}{more}", f"dlms-connector check {file.path}"
        )
    ours = f", share {file.share} of the fleet" if file.share else ""
    if not file.devices and not file.share:
        return Finding("failed", f"{file.path} has no devices", "add meters: docs/discovery.md")
    return ok(f"{file.path}: {len(file.devices)} devices{ours}, none refused")
