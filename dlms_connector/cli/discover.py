"""`dlms-connector discover`: finds a meter and writes its device entry."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

import click

from dlms_connector.cli.discover_output import check_output, write_entry
from dlms_connector.cli.discover_request import USUAL, read_servers, request_of
from dlms_connector.cli.discover_running import run
from dlms_connector.cli.discover_shown import as_json, show
from dlms_connector.cli.program import FAILED
from dlms_connector.cli.tracing import trace_options, writing
from dlms_connector.config import Authentication, InterfaceType
from dlms_connector.discovery import document


@click.command()
@click.option("--host", help="Host name or IP address of the meter or its converter.")
@click.option("--port", type=click.IntRange(1, 65535), help="TCP or UDP port.  [default: 4059]")
@click.option("--udp", is_flag=True, help="Use UDP instead of TCP.")
@click.option("--serial", "serial_port", metavar="PORT", help="Serial port, such as /dev/ttyUSB0.")
@click.option("--baudrate", type=int, help="Try only this baud rate.  [default: the usual ones]")
@click.option("--bytesize", type=click.Choice(["7", "8"]), default="8", show_default=True)
@click.option("--parity", type=click.Choice(["N", "E", "O"]), default="N", show_default=True)
@click.option("--stopbits", type=click.Choice(["1", "2"]), default="1", show_default=True)
@click.option("--interface", "interfaces", multiple=True, help="Try only this framing; repeatable.",
              type=click.Choice(get_args(InterfaceType), case_sensitive=False))  # fmt: skip
@click.option("--client", "clients", multiple=True, type=click.IntRange(1, 127),
              help="Try only this client address; repeatable.")  # fmt: skip
@click.option("--server", "servers", multiple=True, callback=read_servers,
              metavar="L/P",
              help="Try only this server address, logical/physical; repeatable.")  # fmt: skip
@click.option("--serial-number", type=click.IntRange(0),
              help="The meter's serial number; the server address is derived from it.")  # fmt: skip
@click.option("--preset", "preset_name", help="Start with the settings of a shipped preset.")
@click.option("--authentication", help="Authentication mechanism.  [default: LOW with a password]",
              type=click.Choice(get_args(Authentication), case_sensitive=False))  # fmt: skip
@click.option(
    "--password",
    help="Reference to the password: ${env:DLMS_…}, ${env:METER_…} or ${file:…}.",
)
@click.option("--password-env", metavar="NAME",
              help="Environment variable with the password, DLMS_… or METER_….")  # fmt: skip
@click.option("--dlms", "more", multiple=True, metavar="KEY=VALUE",
              help="Any other key of `dlms`, such as systemTitle=…; repeatable.")  # fmt: skip
@click.option("--name", help="The entry's deviceName.  [default: from the serial number]")
@click.option("--all", "every", is_flag=True, help="Include registers of unknown meaning.")
@click.option("--try-counter-from-one", is_flag=True,
              help="With ciphering, also try workarounds.counterFromOne: it uses numbers of your "
              "key again, see docs/security.md.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a complete dlms.json; overwrites no file but the example of install."
              )  # fmt: skip
@click.option("--json", "json_wanted", is_flag=True, help="Write a report as JSON.")
@click.option("--timeout", default=USUAL.timeout_s, show_default=True,
              type=click.FloatRange(0.05, 120),
              help="Seconds to wait for an answer to a probe; above 5 also in the entry."
              )  # fmt: skip
@click.option("--rate", default=2.0, show_default=True, type=click.FloatRange(0.01, 1000),
              help="Probes per second at most.")  # fmt: skip
@click.option("--max-probes", default=120, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--max-seconds", default=None, type=click.FloatRange(1, 86_400),
              help="Seconds for all probes.  [default: 50, more with a longer --timeout; 600 with "
              "--serial]")  # fmt: skip
@trace_options
def command(
    serial_port: str | None,
    host: str | None,
    output: Path | None,
    json_wanted: bool,
    trace: Path | None,
    trace_everything: bool,
    **options: Any,
) -> None:
    """Find the addresses and objects of a meter, and write its device entry.

    Give --host (and --port), or --serial. The public client is tried first, without a
    password. Passwords are never guessed; a given password is tried once.

    Exit codes: 0 the entry is written, 1 no meter answered, no association was accepted, or its
    client shows no measured values (the last lines say what to try), 2 an option is wrong.
    """
    if (host is None) == (serial_port is None):
        raise click.UsageError("give either --host or --serial")
    if output is not None:
        check_output(output)
    folder = (output.parent if output else Path()).resolve()
    request = request_of(host, serial_port, folder, options)
    with writing(trace) as writers:
        found = run(request, writers, everything=trace_everything)
    if output is not None and not found.measures:
        output = None  # a file that reads nothing would only be in the way of the next try
    if output is not None and found.entry is not None:
        output = write_entry(output, document(found.entry) + "\n")
    if json_wanted:
        click.echo(as_json(found))
    else:
        show(found, output)
    if not found.measures:
        sys.exit(FAILED)
