"""`dlms-connector migrate`: the meters of the old bridge become a `dlms.json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from dlms_connector.cli.program import FAILED
from dlms_connector.cli.terminal import table_console
from dlms_connector.config import Secret, load_file
from dlms_connector.migration import (
    Bridge,
    Host,
    Migration,
    MigrationError,
    Moved,
    leftovers,
    migrate,
    read_bridge,
    read_mapping,
    write,
)


@click.command()
@click.option(
    "--db",
    "database",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The bridge's SQLite database, admin.db. It is only read.",
)
@click.option(
    "--mqtt-config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration of the gateway's MQTT connector, dlmsToMqtt.json: under which names "
    "the values arrived. It is only read.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write. Default: dlms.json beside the file of --mqtt-config, else in the "
    "current folder. It must not exist. Passwords go into secrets/ beside it.",
)
@click.option(
    "--password-env",
    metavar="NAME",
    help="An environment variable with the password of the meters of which the database has none.",
)
@click.option("--dry-run", is_flag=True, help="Show the table old → new, and write nothing.")
def command(
    database: Path,
    mqtt_config: Path | None,
    output: Path | None,
    password_env: str | None,
    dry_run: bool,
) -> None:
    """Take meters over from the old bridge: same device names, same keys, so history continues.

    Nothing is overwritten and nothing is removed; at the end it says what can be removed, and how.
    Exit codes: 0 all went well, 1 the new configuration has problems, 2 a file cannot be used.

    For example: dlms-connector migrate --db data/admin.db --mqtt-config
    /etc/thingsboard-gateway/config/dlmsToMqtt.json --dry-run
    """
    bridge = read_bridge(database)
    mapped = read_mapping(mqtt_config) if mqtt_config else None
    migration = migrate(bridge, mapped, _password(password_env))
    output = output or (mqtt_config.parent if mqtt_config else Path()) / "dlms.json"
    _show(migration)
    if not migration.document["devices"]:
        raise MigrationError(f"{database}: no meter can be taken over; the table says why")
    if dry_run:
        for path in (*(output.parent / "secrets" / name for name in migration.secrets), output):
            click.echo(f"dry run: would write {path}")
    else:
        for line in write(migration, output):
            click.echo(line)
    _tell_missing(migration, output)
    _tell_leftovers(bridge, database, mqtt_config)
    if not dry_run and not _is_valid(output, migration):
        sys.exit(FAILED)


def _password(variable: str | None) -> Secret | None:
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise click.BadParameter(f"{variable} is not set", param_hint="--password-env")
    return Secret(os.fsencode(value))


def _show(migration: Migration) -> None:
    table_console().print(_table(migration.rows))
    for note in migration.notes:
        click.echo(f"note: {note}")


def _table(rows: Iterable[Moved]) -> Table:
    table = Table("old", "new", title="old → new")
    for row in rows:
        # What comes from the database is text, no markup.
        new = Text(row.new) if row.new else Text(f"stays behind: {row.why}", style="yellow")
        indent = "" if row.is_meter else "  "
        style = "bold" if row.is_meter else ""
        table.add_row(Text(indent + row.old), Text(indent) + new, style=style)
    return table


def _tell_missing(migration: Migration, output: Path) -> None:
    if not migration.missing:
        return
    click.echo("to do: the database has no password of these meters; the bridge's program has it:")
    for name in migration.missing:
        click.echo(f"  write it into {output.parent / 'secrets' / name} (mode 600)")
    click.echo("  or move the written files away, and run this again with --password-env NAME")


def _tell_leftovers(bridge: Bridge, database: Path, mqtt_config: Path | None) -> None:
    click.echo("can be removed, once the values arrive through the new connector:")
    for one in leftovers(bridge, database, mqtt_config, Host()):
        click.echo(f"  {one.what}\n    {one.how}")
    click.echo("  nothing of it was removed; docs/migration.md tells the order, and the way back")


def _is_valid(output: Path, migration: Migration) -> bool:
    """Whether the file passes `check`, but for passwords that a person has to write."""
    problems = load_file(output).every_problem
    for problem in problems:
        click.echo(problem, err=True)
    if not problems:
        click.echo(f"next: dlms-connector check {output} --connect")
    return not problems or bool(migration.missing)
