"""`dlms-connector simulate`: simulated meters to try a configuration with."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.table import Table

from dlms_connector.simulator.faults import fault_table, parse_fault
from dlms_connector.simulator.meter import Meter
from dlms_connector.simulator.options import (
    EXAMPLE_KEY_256,
    MICROSTAR_FAULTS,
    Authentication,
    Framing,
    MeterOptions,
    Security,
    microstar,
)
from dlms_connector.simulator.recording import read_recording
from dlms_connector.simulator.serving import Endpoint, sample_configuration, simulate

_AUTHENTICATIONS = get_args(Authentication)
_SECURITIES = get_args(Security)


@click.command("simulate", help="Run simulated meters to try a configuration with.")
@click.option("--meters", default=1, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=4059,
    show_default=True,
    type=click.IntRange(0, 65_535),
    help="Port of the first meter; each further meter has the next port. 0: any free ports.",
)
@click.option("--shared", is_flag=True, help="Serve all meters on one port, like a converter.")
@click.option("--udp", is_flag=True, help="Serve UDP instead of TCP (WRAPPER).")
@click.option(
    "--profile",
    default="household",
    show_default=True,
    type=click.Choice(["household", "microstar"]),
)
@click.option(
    "--interface",
    "framing",
    type=click.Choice(["HDLC", "WRAPPER", "IEC_62056_21"]),
    help="The default is HDLC, with --udp WRAPPER. IEC_62056_21 is a readout instead of DLMS.",
)
@click.option("--referencing", default="LN", type=click.Choice(["LN", "SN"]), show_default=True)
@click.option("--authentication", type=click.Choice(_AUTHENTICATIONS))
@click.option("--password", help="Password for LOW and HIGH.")
@click.option("--security", default="NONE", type=click.Choice(_SECURITIES), show_default=True)
@click.option("--suite", default="0", type=click.Choice(["0", "1", "2"]), show_default=True)
@click.option("--hold", is_flag=True, help="Keep measured values constant; the clock runs on.")
@click.option(
    "--objects",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of objects that replace or extend the meter's own (docs/simulator.md).",
)
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve the meter of this recording (dlms-connector record); its password is not checked.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Simulate a fault (see --faults); repeatable.",
)
@click.option("--faults", "list_faults", is_flag=True, help="List the faults and exit.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after this many seconds.")
@click.option("--print-config", is_flag=True, help="Print a dlms.json for these meters and exit.")
def command(**given: Any) -> None:
    """Serve simulated meters until Ctrl-C, or for --seconds."""
    if given["list_faults"]:
        _print_faults()
        return
    if given["udp"] and given["framing"] not in (None, "WRAPPER"):
        raise click.UsageError(
            f"{given['framing']} is not spoken over UDP; take --interface WRAPPER"
        )
    if given["authentication"] == "HIGH_ECDSA" and given["suite"] == "0":
        raise click.UsageError("HIGH_ECDSA needs --suite 1 or 2")
    if given["port"] and not given["shared"] and given["port"] + given["meters"] > _PORTS:
        raise click.UsageError(f"--port {given['port']} is too high for {given['meters']} meters")
    if given["replay"]:
        _take_recording(given)
    meters = [_options(number, given) for number in range(1, given["meters"] + 1)]
    try:
        Meter(meters[0])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if given["print_config"]:
        _print_configuration(meters, given)
        return
    try:
        _allow_sockets(len(meters))
        asyncio.run(_serve(meters, given))
    except BrokenPipeError:
        raise  # the reader of our output has ended; click then exits quietly
    except OSError as error:
        raise click.ClickException(
            f"cannot listen at {given['host']}, ports from {given['port']}: "
            f"{error.strerror or error}; {_ADVICE.get(error.errno or 0, 'check --host and --port')}"
        ) from error


_ADVICE = {
    errno.EADDRINUSE: "another --port may be free, --port 0 takes any",
    errno.EACCES: "ports below 1024 need privileges, take a higher --port",
    errno.EMFILE: "the limit of open files (ulimit -n) is too low for so many --meters",
}
_PORTS = 1 << 16
#: Reserved physical addresses, which no meter has: calling device, and broadcast.
_RESERVED = (126, 127)
#: With --hold: 2025-01-01 12:00 UTC.
_HELD_AT = 1_735_732_800.0
#: Sockets per meter: the listening one, and two clients at most.
_SOCKETS = 3


def _allow_sockets(meters: int) -> None:
    """Raise the soft limit of open files to what the meters need, if the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = meters * _SOCKETS + 256
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _options(number: int, given: dict[str, Any]) -> MeterOptions:
    framing: Framing = given["framing"] or ("WRAPPER" if given["udp"] else "HDLC")
    chosen: dict[str, Any] = {
        "framing": framing,
        "referencing": given["referencing"],
        "security": given["security"],
        **_suite(int(given["suite"])),
        **_proof(given),
    }
    if given["security"] != "NONE" or given["authentication"] == "HIGH_GMAC":
        chosen["client_address"] = 1  # 16 stays free for the public client and the counter
    if given["hold"]:
        chosen["hold_at"] = _HELD_AT
    chosen |= given.get("recorded", {})
    if given["objects"]:
        chosen["overrides"] = _read_objects(given["objects"])
    if given["shared"]:
        if framing == "WRAPPER":
            chosen["logical_address"] = number
        else:
            chosen["physical_address"] = (
                number if number < _RESERVED[0] else number + len(_RESERVED)
            )
    faults = _read_faults(given["faults"])
    if given["profile"] == "microstar":
        return microstar(number, **chosen, faults={**MICROSTAR_FAULTS, **faults})
    return MeterOptions(serial=number, **chosen, faults=faults)


def _take_recording(given: dict[str, Any]) -> None:
    """Take framing and addresses of a recording. Raises UsageError."""
    if given["meters"] != 1:
        raise click.UsageError("--replay serves one meter")
    try:
        recorded = read_recording(given["replay"])
    except ValueError as error:
        raise click.BadParameter(f"{given['replay']}: {error}", param_hint="--replay") from None
    if given["udp"] and recorded["framing"] != "WRAPPER":
        raise click.UsageError("the recorded meter speaks HDLC, which does not go over UDP")
    given["recorded"] = recorded


def _suite(suite: int) -> dict[str, Any]:
    keys = {"block_cipher_key": EXAMPLE_KEY_256, "authentication_key": EXAMPLE_KEY_256[::-1]}
    return {"security_suite": suite, **(keys if suite == 2 else {})}


def _proof(given: dict[str, Any]) -> dict[str, Any]:
    """Return authentication and password as far as they are given; a password alone means LOW."""
    chosen: dict[str, Any] = {}
    if given["authentication"] or given["password"]:
        chosen["authentication"] = given["authentication"] or "LOW"
    if given["password"]:
        chosen["password"] = given["password"].encode()
    return chosen


def _read_faults(texts: Sequence[str]) -> dict[str, Any]:
    try:
        return dict(parse_fault(text) for text in texts)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _read_objects(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise click.UsageError(f"{path}: an object of OBIS codes is expected")
    return raw


def _print_faults() -> None:
    table = Table("fault", "the meter …")
    for row in fault_table():
        table.add_row(row["name"], row["effect"])
    Console().print(table)


def _print_configuration(meters: Sequence[MeterOptions], given: dict[str, Any]) -> None:
    port = given["port"]
    if not port:
        raise click.UsageError("--print-config needs a --port other than 0")
    step = 0 if given["shared"] else 1
    placed = [(meter, given["host"], port + index * step) for index, meter in enumerate(meters)]
    click.echo(json.dumps(sample_configuration(placed, udp=given["udp"]), indent=2))


async def _serve(meters: Sequence[MeterOptions], given: dict[str, Any]) -> None:
    entries = [meters] if given["shared"] else meters
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers
            loop.add_signal_handler(number, stopped.set)
    async with simulate(entries, given["host"], given["port"], udp=given["udp"]) as endpoints:
        _announce(endpoints, given)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), given["seconds"])
    click.echo("stopped")


_SHOWN = 20


def _announce(endpoints: Sequence[Endpoint], given: dict[str, Any]) -> None:
    served = [(meter.options, endpoint) for endpoint in endpoints for meter in endpoint.meters]
    for options, endpoint in served[:_SHOWN]:
        secret = (
            f", password {options.password.decode(errors='replace')}"
            if options.authentication not in ("NONE", "HIGH_GMAC", "HIGH_ECDSA")
            else ""
        )
        click.echo(
            f"meter {options.serial}: {'udp' if given['udp'] else 'tcp'} "
            f"{endpoint.host}:{endpoint.port} {options.framing} client {options.client_address}, "
            f"logical {options.logical_address}, physical {options.physical_address}, "
            f"{options.referencing}, authentication {options.authentication}{secret}"
        )
    if len(served) > _SHOWN:
        last = served[-1][1]
        click.echo(f"… and {len(served) - _SHOWN} more, up to port {last.port}")
    click.echo(
        "serving; Ctrl-C stops" + (f", or {given['seconds']:g} s" if given["seconds"] else "")
    )
