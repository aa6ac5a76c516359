"""`dlms-connector record`: keeps a conversation with a meter, for a bug report."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any, cast

import click
from rich.console import Console

from dlms_connector import __version__
from dlms_connector.cli.at_meter import at_meter
from dlms_connector.cli.chosen import named
from dlms_connector.cli.options import file_argument
from dlms_connector.cli.program import FAILED
from dlms_connector.cli.sent import with_hint
from dlms_connector.cli.state_folder import state_folder
from dlms_connector.cli.tracing import now_ms
from dlms_connector.config import Device, load_file
from dlms_connector.discovery import Description, describe
from dlms_connector.errors import ConfigError, DlmsError
from dlms_connector.interpret import options_of
from dlms_connector.meter import wanted
from dlms_connector.protocol import Client
from dlms_connector.protocol.talk import Talk
from dlms_connector.state import NoPlace, private_files
from dlms_connector.tracing import FORMAT, VERSION, Recorder, Trace, secrets_of

_log = logging.getLogger(__name__)
#: What is told of the meter: nothing of it is secret.
_TOLD = ("interfaceType", "referencing", "authentication", "security", "securitySuite", "standard",
         "clientAddress", "logicalAddress", "physicalAddress")  # fmt: skip


@click.command()
@file_argument
@click.option("--device", "name", required=True, metavar="NAME", help="The meter to record.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to write it; never overwrites a file.  [default: recording.json]"
              )  # fmt: skip
@click.option("--timeout", "timeout_s", default=600.0, show_default=True, metavar="SECONDS",
              type=click.FloatRange(1, 86_400), help="Seconds for all of it.")  # fmt: skip
def command(file: Path, name: str, output: Path | None, timeout_s: float) -> None:
    """Keep a conversation with a meter of the configuration FILE: association, objects, values.

    Passwords, keys, serial numbers, names and system titles are replaced, see docs/tracing.md.
    Exit codes: 0 written, 1 written, but the meter failed, 2 the configuration is wrong.
    """
    loaded = load_file(file)
    (device,) = named(loaded, [name])
    if not device.is_polled or device.dlms.interface_type == "IEC_62056_21":
        raise click.UsageError("only a conversation by DLMS can be recorded; take read --trace")
    state_dir = state_folder(loaded, file, device)
    output = output or Path("recording.json")
    try:
        target = os.fdopen(private_files.create(output), "w", encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
    with target, Console(stderr=True).status("recording"):
        content, failure = asyncio.run(_record(device, state_dir, timeout_s))
        json.dump(content, target, indent=1, ensure_ascii=False)
    click.echo(f"{output}: {len(content['exchanges'])} exchanges", err=True)
    if failure is not None:
        click.echo(f"{name}: {with_hint(failure)}", err=True)
        sys.exit(FAILED)


async def _record(
    device: Device, state_dir: Path | NoPlace | None, timeout_s: float
) -> tuple[dict[str, Any], DlmsError | None]:
    recorder = Recorder()
    trace = Trace(
        device.device_name, (), now_ms=now_ms, log=_log, secrets=secrets_of(device),
        apdu=recorder.apdu,
    )  # fmt: skip
    failure: DlmsError | None = None
    shown: Description | None = None

    def talk(client: Client) -> Talk[Description]:
        return (yield from describe(
            client, referencing=device.dlms.referencing, options=options_of(device.dlms)
        ))  # fmt: skip

    try:
        async with at_meter(device, state_dir, _log) as meter:
            meter.session.trace(trace)
            failure = (await meter.poll(wanted(device))).error
            if failure is None:
                shown = cast(Description, await meter.run(talk, timeout_s=timeout_s))
    except ConfigError:
        raise
    except DlmsError as error:
        failure = error
    finally:
        trace.close()
    return _content(device, recorder, shown, failure), failure


def _content(
    device: Device, recorder: Recorder, shown: Description | None, failure: DlmsError | None
) -> dict[str, Any]:
    dlms = device.dlms.model_dump(by_alias=True, mode="python", include=None)
    return {
        "format": FORMAT,
        "version": VERSION,
        "program": f"dlms-connector {__version__}",
        "device": {key: dlms.get(key) for key in _TOLD},
        "failure": type(failure).__name__ if failure else None,
        "objects": [
            {"obis": str(one.obis), "class": one.listed.class_id, "version": one.listed.version,
             "read": one.is_read, "unit": one.unit}
            for one in (shown.objects if shown else ())
        ],
        "exchanges": recorder.exchanges(),
    }  # fmt: skip
