"""`dlms-connector restore`: puts a backup back."""

from __future__ import annotations

from pathlib import Path

import click

from dlms_connector.backup import BackupError, Opened, Part, Restored, newest_of_one, restore
from dlms_connector.cli.gateway_option import gateway_option
from dlms_connector.config import load_file
from dlms_connector.errors import ConfigError
from dlms_connector.verification import running

#: Problems of the restored configuration that are shown.
_SHOWN = 10


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@gateway_option
@click.option(
    "--only",
    type=click.Choice(["config", "state"]),
    help="Restore the configuration only, or the state only.",
)
@click.option("--dry-run", is_flag=True, help="Prove the backup, show what would be done.")
def command(source: Path, config_dir: Path, only: Part | None, dry_run: bool) -> None:
    """Put a backup back: SOURCE is the archive, or a folder whose newest archive is taken.

    The gateway must be installed, and must not run. What is replaced is kept beside it. Invocation
    counters never go back: before one is used, the meter is asked for it, or more numbers are
    skipped than can have been used since. Profiles go on from what the platform had confirmed; rows
    after that are read from the meters again. Run it as root, or as the user that runs the gateway.

    For example: dlms-connector restore /mnt/backups --gateway-config DIR --dry-run
    """
    path = newest_of_one(source) if source.is_dir() else source
    opened = Opened.of(path)
    told = opened.manifest
    click.echo(
        f"{path} is whole: made {told.created:%Y-%m-%d %H:%M} UTC on {told.host} by version "
        f"{told.connector}, {told.counters} invocation counters, "
        f"{'the' if opened.has_records else 'no'} records"
    )
    if not dry_run and (pids := running(config_dir)):
        raise BackupError(
            f"the gateway runs with {config_dir} (process {', '.join(map(str, pids))}): stop it "
            "first, such as by sudo systemctl stop thingsboard-gateway"
        )
    parts: tuple[Part, ...] = ("config", "state") if only is None else (only,)
    done = restore(opened, config_dir, parts=parts, dry_run=dry_run)
    for line in done.lines or ["nothing differs: nothing to do"]:
        click.echo(line)
    if dry_run:
        click.echo("dry run: nothing was changed")
        return
    _tell_next(opened, config_dir, done)


def _tell_next(opened: Opened, config_dir: Path, done: Restored) -> None:
    if done.counters:
        click.echo(
            f"{done.counters} invocation counters are read from their meters before use, or "
            "raised by a million at least where a meter shows none"
        )
    document = config_dir / opened.manifest.document
    try:
        problems = load_file(document).every_problem
    except ConfigError as error:
        problems = error.problems
    for problem in problems[:_SHOWN]:
        click.echo(f"still to do: {problem}")
    if len(problems) > _SHOWN:
        click.echo(f"… and {len(problems) - _SHOWN} more: dlms-connector check {document}")
    click.echo("next: put the files of secrets back, then")
    click.echo(f"  dlms-connector install --gateway-config {config_dir}")
    click.echo(f"  dlms-connector check {document}")
    click.echo("and start the gateway")
