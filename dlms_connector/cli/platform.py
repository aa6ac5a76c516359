"""`dlms-connector platform`: dashboards, device profile and alarm rules on the platform."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from dlms_connector.cli.platform_access import API_KEY, PASSWORD, login
from dlms_connector.cli.program import FAILED
from dlms_connector.config import PlatformAccess, load_file
from dlms_connector.delivery import Rest, RestError
from dlms_connector.errors import DlmsError
from dlms_connector.thingsboard import (
    DEVICE_TYPE,
    Checked,
    Installer,
    Receipts,
    Step,
    check,
    documents,
    receipts_chain,
)

_SIGNS = {"created": ("+", "green"), "updated": ("~", "yellow"), "unchanged": ("=", "dim"),
          "left": ("!", "yellow")}  # fmt: skip
_MARKS = {"sent": ("✓", "green"), "optional": ("-", "dim"), "missing": ("✗", "bold red")}


class PlatformError(DlmsError):
    """The platform did not do what was asked."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Write JSON."),
        click.option(
            "--device-type",
            "device_types",
            multiple=True,
            metavar="NAME",
            help="A `deviceType` of the meters, which is their device profile on the platform; may "
            f"be given more than once. Default: those of --config, else {DEVICE_TYPE!r}.",
        ),
        click.option(
            "--config",
            "file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The connector's dlms.json: its `platform` has the address and the user, and its "
            "devices have the device types.",
        ),
        click.option(
            "--user",
            metavar="NAME",
            help=f"An administrator of the tenant. The password is in {PASSWORD}, or is asked for; "
            f"or an API key is in {API_KEY}.",
        ),
        click.option("--url", metavar="URL", help="The address of the platform."),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Bring dashboards and alarm rules onto ThingsBoard, and check that they get data."""


@command.command()
@_options
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option(
    "--receipts",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Whether messages of meters pass the rule chain that sends delivery receipts; auto: "
    "unless the tenant's root rule chain does more than the default one.",
)
def install(
    url: str | None,
    user: str | None,
    file: Path | None,
    device_types: tuple[str, ...],
    as_json: bool,
    dry_run: bool,
    receipts: Receipts,
) -> None:
    """Create or update dashboards, device profile, alarm rules and rule chain.

    It can be repeated: what is there keeps its id, and is changed only where it differs. Dashboards
    and rules of these names are brought to this version: give copies of your own other names.
    Settings of a device profile that exists are kept.

    For example: dlms-connector platform install --url https://tb.example.com --user me@example.com
    """
    rest, types, _ = _session(url, user, file, device_types)
    installer = Installer(
        rest, documents(types), receipts_chain(), dry_run=dry_run, receipts=receipts
    )
    steps = []
    try:
        for step in installer.steps():
            steps.append(step)
            if not as_json:
                _show(step, dry_run)
    except RestError as error:
        raise PlatformError(str(error)) from None
    finally:
        if as_json:
            click.echo(json.dumps([_plain(each) for each in steps], indent=2, ensure_ascii=False))


@command.command(name="check")
@_options
def check_keys(
    url: str | None,
    user: str | None,
    file: Path | None,
    device_types: tuple[str, ...],
    as_json: bool,
) -> None:
    """Tell of each key that an installed widget or rule uses whether a device sends it.

    Keys that only some meters send are told with what a meter needs for them. With --config, also
    which of its meters have another device profile on the platform. Exit codes: 0 all is well, 1
    something is not installed, or a key is missing that all meters or gateways send.

    For example: dlms-connector platform check --config /etc/thingsboard-gateway/config/dlms.json
    """
    rest, types, meters = _session(url, user, file, device_types)
    try:
        found = check(rest, documents(types), meters)
    except RestError as error:
        raise PlatformError(str(error)) from None
    if as_json:
        click.echo(json.dumps(_report(found), indent=2, ensure_ascii=False))
    else:
        _show_keys(found)
    if not found.is_well:
        sys.exit(FAILED)


def _session(
    url: str | None, user: str | None, file: Path | None, device_types: tuple[str, ...]
) -> tuple[Rest, tuple[str, ...], Mapping[str, str]]:
    access, meters = _configured(file)
    if url is None and access is not None:
        url = str(access.url)
    if url is None:
        raise click.UsageError("give --url URL, or --config FILE with `platform`")
    if not url.startswith(("http://", "https://")) or "@" in url:
        raise click.BadParameter(
            "an address such as https://tb.example.com is wanted, without user and password",
            param_hint="--url",
        )
    found = login(url, user, lambda: access, _ask if _is_terminal() else None)
    if found is None:
        raise click.UsageError(
            f"who asks? --user NAME with the password in {PASSWORD}, or an API key in {API_KEY}, "
            "or --config FILE with `platform` of this address"
        )
    rest = Rest(found.url, username=found.username, password=found.password, api_key=found.api_key)
    types = tuple(dict.fromkeys(meters.values()))
    return rest, device_types or types or (DEVICE_TYPE,), meters


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(question: str) -> str:
    answer: str = click.prompt(question, hide_input=True, err=True)
    return answer


def _configured(file: Path | None) -> tuple[PlatformAccess | None, Mapping[str, str]]:
    """Return who may ask, and the device types of the meters by name."""
    if file is None:
        return None, {}
    if not file.is_file():
        raise click.BadParameter(f"{file} does not exist", param_hint="--config")
    configuration = load_file(file).configuration
    return configuration.platform, {
        device.device_name: device.device_type for device in configuration.devices
    }


def _show(step: Step, dry_run: bool) -> None:
    sign, style = _SIGNS[step.did]
    word = f"would be {step.did}" if dry_run and step.did in ("created", "updated") else step.did
    line = Text.assemble((sign, style), f" {step.kind} {step.name}: {word}")
    if step.note:
        line.append(f" ({step.note})", style="dim")
    _console().print(line)


def _show_keys(found: Checked) -> None:
    console = _console()
    for name in found.absent:
        console.print(Text.assemble(("✗", "bold red"), f" {name}: not installed"))
    for text in found.elsewhere:
        console.print(
            Text.assemble(("✗", "bold red"), f" {text}: choose it in the device's details")
        )
    for each in found.keys:
        sign, style = _MARKS[each.answer]
        line = Text.assemble((sign, style), f" {each.key} ({each.subject})")
        if each.note:
            line.append(f": {each.note}; used by {', '.join(each.where)}", style="dim")
        console.print(line)
    sent = sum(each.answer == "sent" for each in found.keys)
    console.print(f"{sent} of {len(found.keys)} keys are sent")
    if found.absent:
        console.print("to install what is missing: dlms-connector platform install")


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _plain(step: Step) -> dict[str, Any]:
    return {"kind": step.kind, "name": step.name, "did": step.did, "note": step.note}


def _report(found: Checked) -> dict[str, Any]:
    keys = [
        {
            "key": each.key,
            "of": each.subject,
            "answer": each.answer,
            "usedBy": list(each.where),
            "note": each.note,
        }
        for each in found.keys
    ]
    return {
        "well": found.is_well,
        "notInstalled": list(found.absent),
        "otherProfile": list(found.elsewhere),
        "keys": keys,
    }
