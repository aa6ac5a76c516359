"""`dlms-connector verify`: a line for each check of an installation."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from dlms_connector.cli.platform_access import API_KEY, PASSWORD, login
from dlms_connector.cli.program import FAILED
from dlms_connector.config import PlatformAccess, load_file
from dlms_connector.delivery import PlatformRest
from dlms_connector.errors import ConfigError
from dlms_connector.verification import (
    Finding,
    Mark,
    Snapshot,
    Sources,
    ask_platform,
    gather,
    is_healthy,
    judge,
)

#: The sign of each mark and its colour.
_SIGNS: Mapping[Mark, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "failed": ("✗", "bold red"),
    "unknown": ("?", "cyan"),
}


@click.command()
@click.option(
    "--gateway-config",
    "config_dir",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder with the gateway's tb_gateway.json.",
)
@click.option(
    "--platform",
    "url",
    metavar="URL",
    help="Also ask the platform for the newest values, by its REST API. Its user is that of "
    f"--user with the password in {PASSWORD}, or whose API key is in {API_KEY}; else that of "
    "`platform` in dlms.json.",
)
@click.option("--user", metavar="NAME", help="The platform's user, an administrator of the tenant.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(config_dir: Path, url: str | None, user: str | None, as_json: bool) -> None:
    """Tell whether an installation is healthy: one line per check, with what to do about it.

    Everything is read, nothing is changed, no meter is asked. Run it as root, or as the user that
    runs the gateway: what cannot be seen is marked with a question mark. Exit codes: 0 nothing
    failed, 1 a check failed.

    For example: sudo dlms-connector verify --gateway-config /etc/thingsboard-gateway/config
    """
    facts = gather(Sources(config_dir), datetime.now())
    if url is not None:
        facts = _asked(facts, url, user)
    findings = judge(facts)
    if as_json:
        _write_json(findings)
    else:
        _show(findings)
    if not is_healthy(findings.values()):
        sys.exit(FAILED)


def _asked(facts: Snapshot, url: str, user: str | None) -> Snapshot:
    rest = _rest(facts, url, user)
    if rest is None:
        return replace(
            facts,
            platform_problem=f"--platform needs a user: --user NAME and {PASSWORD}, "
            f"or {API_KEY}, or `platform` in dlms.json",
        )
    return ask_platform(facts, rest, time.time())


def _rest(facts: Snapshot, url: str, user: str | None) -> PlatformRest | None:
    found = login(url, user, lambda: _configured(facts))
    if found is None:
        return None
    return PlatformRest(
        found.url, username=found.username, password=found.password, api_key=found.api_key
    )


def _configured(facts: Snapshot) -> PlatformAccess | None:
    if facts.file is None:
        return None
    try:
        return load_file(facts.file.path).configuration.platform
    except ConfigError:
        return None


def _write_json(findings: Mapping[str, Finding]) -> None:
    document = {
        "healthy": is_healthy(findings.values()),
        "checks": [
            {"check": name, "mark": each.mark, "text": each.text, "remedy": each.remedy}
            for name, each in findings.items()
        ],
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _show(findings: Mapping[str, Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for name, each in findings.items():
        sign, style = _SIGNS[each.mark]
        line = Text.assemble((sign, style), f" {name}: {each.text}")
        if each.remedy:
            line.append(f" → {each.remedy}", style="dim")
        console.print(line)
    failed = sum(each.mark == "failed" for each in findings.values())
    unknown = sum(each.mark == "unknown" for each in findings.values())
    console.print(
        f"{len(findings)} checks: {failed} failed" + (f", {unknown} unknown" * bool(unknown))
    )
