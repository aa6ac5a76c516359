"""`dlms-connector shard`: a fleet's configuration for several gateways."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dlms_connector.cli.options import file_argument
from dlms_connector.cli.shard_files import Written, before_in, left_over, write
from dlms_connector.config import Files, FleetDocument

_MOST = 10_000
#: Devices that are named in a list of moves on a terminal.
_NAMED = 20


def _weights(over: int, text: str | None) -> tuple[float, ...]:
    if text is None:
        return (1.0,) * over
    try:
        weights = tuple(float(each) for each in text.split(","))
    except ValueError:
        weights = ()
    if len(weights) != over or not all(0 <= each <= _MOST for each in weights) or not any(weights):
        raise click.BadParameter(
            f"expected {over} numbers from 0 to {_MOST} such as 2,1,1, not all 0",
            param_hint="--weights",
        )
    return weights


@click.command()
@file_argument
@click.option(
    "--over",
    required=True,
    type=click.IntRange(1, _MOST),
    metavar="N",
    help="How many gateways share the fleet.",
)
@click.option(
    "--weights",
    metavar="W,W,…",
    help="A number for each gateway: one of weight 2 gets twice as many meters as one of weight 1.",
)
@click.option(
    "--from",
    "before",
    type=click.IntRange(1, _MOST),
    metavar="M",
    help="Show what moves from as many gateways of one weight. Default: compared with what lies "
    "in the output folder.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for gateway-0, gateway-1, … Default: shards beside FILE.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    file: Path,
    over: int,
    weights: str | None,
    before: int | None,
    output: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Share the meters of the configuration FILE out over N gateways.

    Each gateway gets a folder with its configuration. The meters of an endpoint or a group stay
    together; push listeners and the meters that only push are at one gateway. One gateway more
    takes its share of the others, and moves no meter between those. Secrets are not looked up:
    their references stay as they are.

    For example: dlms-connector shard dlms.json --over 3 --from 2 --dry-run
    """
    fleet = FleetDocument(file)
    shares = _weights(over, weights)
    folder = output or file.parent / "shards"
    moves = _moves(fleet, shares, before, folder, file.name)
    parts = [*fleet.files(shares)]
    written = [
        write(folder / f"gateway-{number}", part, like=file, dry_run=dry_run)
        for number, part in enumerate(parts)
    ]
    unread = [row.name for row in fleet.rows if not row.readable]
    left = left_over(folder, over, file.name)
    if as_json:
        _write_json(shares, parts, written, moves, unread, left)
        return
    _show(fleet, shares, parts, moves)
    for name in unread[:_NAMED]:
        click.echo(f"note: {name}: its connection cannot be read, so it is shared out alone")
    for each in (line for one in written for line in one.lines):
        click.echo(each)
    _tell_order(moves, left)


def _moves(
    fleet: FleetDocument,
    weights: Sequence[float],
    before: int | None,
    folder: Path,
    name: str,
) -> Mapping[str, tuple[int | None, int]]:
    """Return the devices that move, with their gateway before (None for a new one) and now."""
    names = [row.name for row in fleet.rows]
    now = dict(zip(names, fleet.owners(weights), strict=True))
    if before is not None:
        earlier = dict(zip(names, fleet.owners((1.0,) * before), strict=True))
    elif not (earlier := before_in(folder, name)):
        return {}
    return {each: (earlier.get(each), who) for each, who in now.items() if earlier.get(each) != who}


def _show(
    fleet: FleetDocument,
    weights: Sequence[float],
    parts: Sequence[Files],
    moves: Mapping[str, tuple[int | None, int]],
) -> None:
    units = Counter(
        dict(zip((row.unit for row in fleet.rows), fleet.owners(weights), strict=True)).values()
    )
    coming = Counter(to for _, to in moves.values())
    going = Counter(whence for whence, _ in moves.values())
    table = Table("gateway", "weight", "meters", "units", "come", "go")
    for number, part in enumerate(parts):
        figures = (len(part.devices), units[number], coming[number], going[number])
        table.add_row(str(number), f"{weights[number]:g}", *map(str, figures))
    Console(highlight=False, soft_wrap=True).print(table)
    for name, (whence, to) in [*moves.items()][:_NAMED]:
        click.echo(f"{name}: {'new' if whence is None else f'gateway {whence}'} → gateway {to}")
    if len(moves) > _NAMED:
        click.echo(f"… and {len(moves) - _NAMED} more; --json has all of them")
    click.echo(f"{len(moves)} of {len(fleet.rows)} meters move")


def _tell_order(moves: Mapping[str, tuple[int | None, int]], left: Sequence[Path]) -> None:
    for path in left:
        click.echo(f"note: {path} is of no gateway any more: stop that gateway, and remove it")
    if any(whence is not None for whence, _ in moves.values()):
        click.echo(
            "next: first restart the gateways that give meters away, then those that get them, "
            "so that no two ask one meter (docs/scaling.md)"
        )


def _write_json(
    weights: Sequence[float],
    parts: Sequence[Files],
    written: Sequence[Written],
    moves: Mapping[str, tuple[int | None, int]],
    unread: Sequence[str],
    left: Sequence[Path],
) -> None:
    content = {
        "weights": list(weights),
        "gateways": [
            {
                "index": number,
                "devices": list(part.devices),
                "files": [os.fspath(path) for path in one.paths],
            }
            for number, (part, one) in enumerate(zip(parts, written, strict=True))
        ],
        "moves": [
            {"device": name, "from": whence, "to": to} for name, (whence, to) in moves.items()
        ],
        "unreadable": list(unread),
        "leftOver": [os.fspath(path) for path in left],
    }
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))
