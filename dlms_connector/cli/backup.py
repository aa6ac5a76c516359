"""`dlms-connector backup`: an archive of configuration and state."""

from __future__ import annotations

from pathlib import Path

import click

from dlms_connector.backup import Made, make
from dlms_connector.cli.gateway_option import gateway_option
from dlms_connector.config import load_file
from dlms_connector.errors import ConfigError
from dlms_connector.installation import configuration_file
from dlms_connector.state import copies

#: Secrets that are named one by one on a terminal.
_NAMED = 20


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@gateway_option
@click.option(
    "--keep",
    type=click.IntRange(1),
    metavar="N",
    help="Remove the oldest backups of this installation beyond N afterwards. Default: none.",
)
@click.option(
    "--with-secrets",
    is_flag=True,
    help="Also write passwords and keys that stand in clear in dlms.json. Whoever reads the "
    "archive has them.",
)
def command(directory: Path, config_dir: Path, keep: int | None, with_secrets: bool) -> None:
    """Write a backup of the connector's configuration and state into DIRECTORY.

    The gateway may run meanwhile. In it are dlms.json, its devicesFile, the entry of
    tb_gateway.json, invocation counters, and the records of what the platform has confirmed.
    References to secrets stay references, and the secrets themselves are not in it. A password or
    key in clear is left out and named. The archive is readable by its owner only. Run it as root,
    or as the user that runs the gateway.

    For example: dlms-connector backup /mnt/backups --gateway-config /etc/thingsboard-gateway/config
    """
    state = state_of(config_dir)
    made = make(config_dir, state, directory, keep=keep, with_secrets=with_secrets)
    _tell(made, state)


def state_of(config_dir: Path) -> Path | None:
    """Return the folder of the state of a gateway; None if it has none yet."""
    document = configuration_file(config_dir)
    try:
        configured = load_file(document).configuration.state_directory
    except ConfigError:
        configured = None  # a configuration that cannot be loaded is backed up as it is
    folder = copies.state_folder_of(configured, config_dir)
    return folder if folder.is_dir() else None


def _tell(made: Made, state: Path | None) -> None:
    for one in made.left_out[:_NAMED]:
        back = f"; a restored configuration looks for it in secrets/{one.file}" if one.file else ""
        click.echo(f"left out, because it may be a secret in clear: {one.path}{back}")
    if len(made.left_out) > _NAMED:
        click.echo(f"… and {len(made.left_out) - _NAMED} more; the manifest names all of them")
    for name in made.unread:
        click.echo(f"note: {name} tells no number, so it is not in the backup")
    if state is None:
        click.echo("note: there is no folder of state yet: set DLMS_STATE_DIRECTORY if it lies "
                   "where this command does not find it")  # fmt: skip
    for path in made.removed:
        click.echo(f"removed {path}")
    size = made.path.stat().st_size
    counters = made.manifest.counters
    records = "the records" if made.manifest.records_version is not None else "no records"
    click.echo(f"wrote {made.path}: {size} bytes, {counters} invocation counters, {records}")
