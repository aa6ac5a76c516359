"""`dlms-connector discover`: finds a meter and writes its device entry."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import click
import simplejson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from dlms_connector.cli.program import FAILED
from dlms_connector.cli.tracing import now_ms, trace_options, writing
from dlms_connector.config import (
    SECRET_KEYS,
    Authentication,
    Connection,
    InterfaceType,
    holds_reference,
    load,
    load_file,
    preset,
)
from dlms_connector.discovery import (
    Discovery,
    Pace,
    Request,
    Server,
    Wanted,
    discover,
    document,
    left_out,
    preset_dlms,
    report,
)
from dlms_connector.errors import ConfigError
from dlms_connector.hints import Symptom
from dlms_connector.installation import give_to_folder, is_example
from dlms_connector.link import Link, make_link
from dlms_connector.state import commands_folder
from dlms_connector.tracing import Trace, Writer, tapped

#: Seconds for all probes on a serial port, where every baud rate is tried.
_SERIAL_MAX_S = 600.0
_USUAL = Pace()
#: Seconds that the connector waits for an answer, unless the entry says otherwise.
_ANSWER_S = 5.0

_SEEN = "a secret on the command line is seen by all users of this computer: "


def _read_servers(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[Server, ...]:
    return tuple(map(_read_server, values))


def _read_server(text: str) -> Server:
    """Parse `1/17`, `1/17/4` (with the address size in octets) or `144`."""
    try:
        numbers = [int(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    match numbers:
        case [whole] if 0 <= whole <= 0xFFFF:
            # On an HDLC line a single number is the whole address.
            return Server(0, whole)
        case [logical, physical] if 0 <= min(numbers) <= max(numbers) < 0x4000:
            return Server(logical, physical)
        case [logical, physical, 1 | 2 | 4 as size] if 0 <= min(numbers) <= max(numbers) < 0x4000:
            return Server(logical, physical, size)
    raise click.BadParameter(f"{text!r} is not an address such as 1/17, 1/17/4 (octets) or 144")


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
@click.option("--server", "servers", multiple=True, callback=_read_servers,
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
@click.option("--json", "as_json", is_flag=True, help="Write a report as JSON.")
@click.option("--timeout", default=_USUAL.timeout_s, show_default=True,
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
    as_json: bool,
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
        _check_output(output)
    folder = (output.parent if output else Path()).resolve()
    credentials = _credentials(options)
    request = Request(
        connection=_connection(host, serial_port, options),
        wanted=_wanted(options),
        credentials=credentials,
        pace=Pace(
            timeout_s=options["timeout"],
            per_second=options["rate"],
            max_probes=options["max_probes"],
            max_s=_most_seconds(options["max_seconds"], options["timeout"], serial_port),
        ),
        name=options["name"],
        every_register=options["every"],
        try_counter_from_one=options["try_counter_from_one"],
        all_baudrates=options["baudrate"] is None,
        folder=folder,
        state_dir=commands_folder(_state_directory(folder), folder) if credentials else None,
    )
    with writing(trace) as writers:
        found = _run(request, writers, everything=trace_everything)
    if output is not None and not found.measures:
        output = None  # a file that reads nothing would only be in the way of the next try
    if output is not None and found.entry is not None:
        output = _write(output, document(found.entry) + "\n")
    if as_json:
        click.echo(_json(report(found)))
    else:
        _show(found, output)
    if not found.measures:
        sys.exit(FAILED)


def _most_seconds(given: float | None, timeout_s: float, serial_port: str | None) -> float:
    """Return the seconds for all probes: as many probes as usual, where each takes longer."""
    if given is not None:
        return given
    usual = _USUAL.max_s if serial_port is None else _SERIAL_MAX_S
    return usual * max(1.0, timeout_s / _USUAL.timeout_s)


def _state_directory(folder: Path) -> str | None:
    """Return the state folder that is configured there, in a `dlms.json` or the environment."""
    try:
        return load_file(folder / "dlms.json").configuration.state_directory
    except ConfigError:
        return load({}, base=folder).configuration.state_directory


def _check_output(output: Path) -> None:
    """Raise BadParameter if the file cannot be written, before a meter is contacted."""
    if output.exists() and not _only_an_example(output):
        raise click.BadParameter(f"{output} exists already", param_hint="--output")
    folder = output.parent
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {folder}", param_hint="--output")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.BadParameter(f"nothing can be written in {folder}", param_hint="--output")


def _only_an_example(output: Path) -> bool:
    """Whether a file is what `install` put there for somebody to edit, and nobody did."""
    with suppress(OSError, UnicodeDecodeError):
        return is_example(output.read_text("utf-8"))
    return False


def _write(output: Path, text: str) -> Path | None:
    """Write a new file; return None if that fails, so that the entry is shown instead."""
    try:
        if _only_an_example(output):
            output.write_text(text, "utf-8")  # in place: it stays the gateway's file
            return output
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
        give_to_folder(output)
    except OSError as error:
        click.echo(f"cannot write {output}: {error.strerror}", err=True)
        return None
    return output


def _run(request: Request, writers: Sequence[Writer], *, everything: bool) -> Discovery:
    tap = None
    if writers:
        tap = Trace(
            "discovery", writers, now_ms=now_ms, log=logging.getLogger(__name__),
            everything=everything,
        )  # fmt: skip

    def link(connection: Connection) -> Link:
        made = make_link(connection)
        return made if tap is None else tapped(made, tap)

    try:
        return _discovered(request, link)
    finally:
        if tap is not None:
            tap.close()


def _discovered(request: Request, link: Callable[[Connection], Link]) -> Discovery:
    """Discover, and show how far that is."""
    with _progress() as progress:
        probing = progress.add_task("looking for the meter", total=None)

        shown = ""

        def trying(what: str, done: int, total: int) -> None:
            nonlocal shown
            kind = what.partition(" client")[0]
            if progress.disable and kind != shown:
                shown = kind
                click.echo(f"trying {what}", err=True)
            progress.update(probing, description=what, completed=done, total=total)

        def reading(done: int, total: int) -> None:
            progress.update(probing, description="reading objects", completed=done, total=total)

        try:
            return asyncio.run(discover(request, trying=trying, reading=reading, make_link=link))
        except ConfigError as error:
            raise _with_options(error) from None


@contextmanager
def _progress() -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as it:
        yield it


def _with_options(error: ConfigError) -> ConfigError:
    """Return the error with a hint about options instead of configuration keys."""
    return ConfigError(*error.problems).showing(Symptom.OPTIONS)


def _connection(
    host: str | None, serial_port: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    slow = {"timeoutMs": int(options["timeout"] * 1000)} if options["timeout"] > _ANSWER_S else {}
    if serial_port is not None:
        if options["port"] is not None or options["udp"]:
            raise click.UsageError("--port and --udp go with --host")
        section: dict[str, Any] = {
            "type": "serial", "port": serial_port, "baudrate": options["baudrate"] or 9600,
        }  # fmt: skip
        given = {"bytesize": int(options["bytesize"]), "parity": options["parity"],
                 "stopbits": int(options["stopbits"])}  # fmt: skip
        usual = {"bytesize": 8, "parity": "N", "stopbits": 1}
        return section | {key: each for key, each in given.items() if each != usual[key]} | slow
    kind = {"type": "udp"} if options["udp"] else {"type": "tcp"}
    return {**kind, "host": host, "port": options["port"] or 4059, **slow}


def _wanted(options: Mapping[str, Any]) -> Wanted:
    name = options["preset_name"]
    if name is not None and name not in preset.names():
        there_are = ", ".join(preset.names())
        raise click.BadParameter(f"{name!r} is none; there are: {there_are}", param_hint="--preset")
    interfaces = options["interfaces"]
    if options["udp"] and set(interfaces) - {"WRAPPER"}:
        raise click.BadParameter("only WRAPPER goes over UDP", param_hint="--interface")
    if options["serial_number"] is not None and options["servers"]:
        raise click.UsageError("give either --server or --serial-number")
    return Wanted(
        interfaces=tuple(dict.fromkeys(interfaces)),
        clients=tuple(dict.fromkeys(options["clients"])),
        servers=tuple(options["servers"]),
        preset=name,
        serial_number=options["serial_number"],
    )


def _credentials(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `dlms` that the association needs; nothing for the public client."""
    given: dict[str, Any] = {}
    for pair in options["more"]:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--dlms")
        given[key] = value
    password, variable = options["password"], options["password_env"]
    if password and variable:
        raise click.UsageError("give either --password or --password-env")
    if variable:
        if not os.environ.get(variable):
            raise click.BadParameter(f"{variable} is not set", param_hint="--password-env")
        password = f"${{env:{variable}}}"
    if password:
        given["password"] = password
    for key in SECRET_KEYS:
        if key in given and not holds_reference(str(given[key])):
            option = "--password" if key == "password" else f"--dlms {key}"
            raise click.BadParameter(
                _SEEN + "put it into an environment variable DLMS_… or METER_… and "
                "write ${env:NAME}",
                param_hint=option,
            )
    authentication = options["authentication"]
    if authentication is None and "password" in given:
        usual = preset_dlms(options["preset_name"]).get("authentication", "NONE")
        authentication = "LOW" if usual == "NONE" else usual
    if authentication not in (None, "NONE"):
        given["authentication"] = authentication
    return given


def _show(found: Discovery, output: Path | None) -> None:
    """Show the findings on stderr, and only the entry on stdout."""

    def say(text: str) -> None:
        click.echo(text, err=True)

    for note in found.notes:
        say(note)
    description = found.description
    if found.dlms and description is not None:
        say(f"found a meter at {found.endpoint}: {_words(found.dlms)}")
        say(f"  calls itself {description.logical_device_name or '(nothing)'}, serial number "
            f"{description.serial_number or 'unknown'}")  # fmt: skip
        read = sum(one.is_read for one in description.objects)
        say(f"  {len(description.objects)} objects, {read} of them read")
        for ref, problem in description.skipped:
            say(f"  skipped {ref}: {problem}")
        unnamed = left_out(description)
        if unnamed:
            say(f"  {len(unnamed)} registers of unknown meaning left out (--all takes them)")
        fits = ", ".join(found.presets[:3])
        say(f"  presets that fit: {fits}" if fits else "  no preset fits")
    elif found.dlms:
        say(f"a meter answers at {found.endpoint}: {_words(found.dlms)}")
    if found.entry is not None and not found.measures:
        say("the entry reads no measured value; what to try:")
    for line in found.advice:
        say(line)
    if found.entry is None:
        return
    if output is not None:
        say(f"wrote {output}; try: dlms-connector read {output}")
    else:
        click.echo(document(found.entry))


def _words(dlms: Mapping[str, Any]) -> str:
    names = {"interfaceType": "", "clientAddress": "client ", "logicalAddress": "logical address ",
             "physicalAddress": "physical address ", "addressSize": "octets of address ",
             "referencing": "", "authentication": "authentication "}  # fmt: skip
    return ", ".join(f"{words}{dlms[key]}" for key, words in names.items() if key in dlms)


def _json(value: Any) -> str:
    return str(simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False))
