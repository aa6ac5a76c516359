"""`dlms-connector uninstall`: undoes `install`."""

from __future__ import annotations

from pathlib import Path

import click

from dlms_connector.cli.install import carry_out, options
from dlms_connector.installation import uninstall


@click.command()
@options
def command(config_dir: Path, extensions: Path | None, dry_run: bool) -> None:
    """Remove the connector from a gateway.

    A dlms.json that you have edited stays; so does the package itself.

    For example: dlms-connector uninstall --gateway-config /etc/thingsboard-gateway/config
    """
    if carry_out(lambda: uninstall(config_dir, extensions), dry_run):
        click.echo("restart the gateway for it to take effect")
