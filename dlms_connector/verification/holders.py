"""Whether the gateway is the only one with its token, and the old bridge is gone."""

from __future__ import annotations

from dlms_connector.migration import BROKER_PORT
from dlms_connector.verification.finding import Finding, ok
from dlms_connector.verification.snapshot import Snapshot


def token(facts: Snapshot) -> Finding:
    """Check that no other process or service of this host has the gateway's access token."""
    if facts.holders is None:
        return Finding(
            "unknown",
            "tb_gateway.json has no access token to look for",
            "with other credentials, see that no second client uses them",
        )
    if facts.holders:
        found = "; ".join(f"{each.what} ({each.where})" for each in facts.holders)
        return Finding(
            "failed",
            f"others have the gateway's access token: {found}",
            "stop them, or give them tokens of their own: the platform keeps one session per token",
        )
    if facts.other_clients:
        return Finding(
            "warning",
            "others on this host are connected to the platform's MQTT port, too: "
            + ", ".join(facts.other_clients),
            "see that none of them uses the gateway's token",
        )
    if facts.hidden_processes:
        return Finding(
            "unknown",
            f"no other holder is seen; {facts.hidden_processes} processes cannot be looked at",
            "run this as root",
        )
    return ok("the gateway is the only one on this host with its access token")


def bridge(facts: Snapshot) -> Finding:
    """Check that no service or program of the old bridge is in use."""
    if facts.bridge:
        return Finding(
            "failed",
            f"the old bridge is still in use: {', '.join(facts.bridge)}",
            "stop it, it asks the same meters: sudo systemctl disable --now NAME.service "
            "(docs/migration.md)",
        )
    return ok("no service of the old bridge is in use")


def broker(facts: Snapshot) -> Finding:
    """Check that nobody listens on the port of the old bridge's broker."""
    if facts.listening is None:
        return Finding("unknown", "the listening ports cannot be read", "run this on Linux")
    if BROKER_PORT in facts.listening:
        return Finding(
            "failed",
            f"somebody listens on port {BROKER_PORT}, where the old bridge published",
            "remove the listener from /etc/mosquitto/conf.d and restart mosquitto",
        )
    return ok(f"nobody listens on port {BROKER_PORT}, where the old bridge published")
