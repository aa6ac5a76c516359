"""`dlms-connector verify`: a line for each check of an installation."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic as clock
from time import sleep as pause

import click
from rich.console import Console
from rich.text import Text

from dlms_connector.cli.gateway_option import gateway_option
from dlms_connector.cli.platform_access import API_KEY, PASSWORD, login
from dlms_connector.cli.program import FAILED
from dlms_connector.config import PlatformAccess, load_file
from dlms_connector.delivery import PlatformRest
from dlms_connector.errors import ConfigError
from dlms_connector.verification import (
    Finding,
    Findings,
    Mark,
    Snapshot,
    Sources,
    Watch,
    ask_platform,
    changes,
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
@gateway_option
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
@click.option(
    "--watch",
    is_flag=True,
    help="Look again and again, and write a line for what has changed. Ends at the first failure.",
)
@click.option(
    "--keep-going", is_flag=True, help="With --watch: go on after a failure, until it is mended."
)
@click.option(
    "--every",
    "period_s",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="With --watch: the time between two looks.",
)
@click.option(
    "--for",
    "within_s",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="With --watch: end after so long. Default: not by itself.",
)
def command(
    config_dir: Path,
    url: str | None,
    user: str | None,
    as_json: bool,
    watch: bool,
    keep_going: bool,
    period_s: float,
    within_s: float | None,
) -> None:
    """Tell whether an installation is healthy: one line per check, with what to do about it.

    Everything is read, nothing is changed, no meter is asked. Run it as root, or as the user that
    runs the gateway: what cannot be seen is marked with a question mark. Exit codes: 0 nothing
    failed, 1 a check failed; with --watch, in the last look.

    For example: sudo dlms-connector verify --gateway-config /etc/thingsboard-gateway/config
    """
    if watch:
        if as_json:
            raise click.UsageError("--watch writes lines: it cannot be used with --json")
        more = partial(_asked, url=url, user=user) if url is not None else lambda facts: facts
        if not _watch(Watch(Sources(config_dir)), more, period_s, within_s, keep_going=keep_going):
            sys.exit(FAILED)
        return
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


def _watch(
    watch: Watch,
    more: Callable[[Snapshot], Snapshot],
    period_s: float,
    within_s: float | None,
    *,
    keep_going: bool,
) -> bool:
    """Look until the time is over, or something fails; return whether the last look was good."""
    begun = clock()
    before: Findings | None = None
    while True:
        findings = watch.look(datetime.now(), clock(), more)
        for name, finding in changes(before, findings):
            click.echo(f"{datetime.now():%Y-%m-%d %H:%M:%S} {_line(name, finding)}")
        healthy = is_healthy(findings.values())
        if before is None and healthy:
            click.echo(f"{datetime.now():%Y-%m-%d %H:%M:%S} ✓ nothing fails")
        before = findings
        left_s = period_s if within_s is None else begun + within_s - clock()
        if left_s <= 0 or not (healthy or keep_going):
            return healthy
        pause(min(period_s, left_s))


def _line(name: str, finding: Finding) -> str:
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    return f"{_SIGNS[finding.mark][0]} {name}: {finding.text}{remedy}"


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
    marks = Counter(each.mark for each in findings.values())
    told = [f"{marks['failed']} failed"]
    if marks["unknown"]:
        told.append(f"{marks['unknown']} unknown")
    console.print(f"{len(findings)} checks: {', '.join(told)}")
