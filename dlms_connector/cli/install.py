"""`dlms-connector install`: adds the connector to a gateway."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from dlms_connector.cli.gateway_option import gateway_option
from dlms_connector.installation import (
    Change,
    ConnectorType,
    InstallationError,
    apply,
    configuration_file,
    install,
    is_example,
)

F = TypeVar("F", bound=Callable[..., Any])


def options(function: F) -> F:
    """Add the options that `install` and `uninstall` share."""
    for decorate in (
        click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing."),
        click.option(
            "--extensions",
            type=click.Path(path_type=Path, file_okay=False),
            help="The gateway's extensions folder. For the Debian package and for pip it is found "
            "automatically. For Docker: the volume mounted at /thingsboard_gateway/extensions.",
        ),
        gateway_option,
    ):
        function = decorate(function)
    return function


def carry_out(work_out: Callable[[], list[Change]], dry_run: bool) -> bool:
    """Show or make changes; true if anything was changed."""
    try:
        changes = work_out()
        if not changes:
            click.echo("nothing to do")
        elif dry_run:
            for change in changes:
                click.echo(change.diff())
            click.echo(f"dry run: {len(changes)} files would change")
        else:
            for line in apply(changes, datetime.now()):
                click.echo(line)
        return bool(changes) and not dry_run
    except InstallationError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@options
@click.option(
    "--type",
    "connector_type",
    type=click.Choice(["custom", "dlms"]),
    help="The connector type in the gateway's entry. Default: the type of an existing entry, "
    "else custom, which the platform's user interface can edit.",
)
def command(
    config_dir: Path, extensions: Path | None, connector_type: ConnectorType | None, dry_run: bool
) -> None:
    """Make a gateway find the connector, and add its entry to tb_gateway.json.

    Safe to repeat. A copy of each changed file is kept beside it with a time stamp.

    For example: dlms-connector install --gateway-config /etc/thingsboard-gateway/config
    """
    if carry_out(lambda: install(config_dir, extensions, connector_type), dry_run):
        _say_what_is_next(configuration_file(config_dir))


def _say_what_is_next(own: Path) -> None:
    """Tell the steps that are left, with the commands for them."""
    example = is_example(own.read_text("utf-8", errors="replace"))
    if example:
        click.echo(f"{own} is an example. Write your meters into it, or have one found:")
        click.echo(f"  dlms-connector discover --host HOST --port PORT --output {own}")
    click.echo(f"check {'it' if example else own} by")
    click.echo(f"  dlms-connector check --connect {own}")
    click.echo("and restart the gateway, for the Debian package by")
    click.echo("  sudo systemctl restart thingsboard-gateway")
