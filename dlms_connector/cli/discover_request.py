"""From the options of `discover` to what is to be discovered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dlms_connector.config import SECRET_KEYS, holds_reference, load, load_file, preset
from dlms_connector.discovery import Pace, Request, Server, Wanted, preset_dlms
from dlms_connector.errors import ConfigError
from dlms_connector.state import commands_folder

#: Seconds for all probes on a serial port, where every baud rate is tried.
_SERIAL_MAX_S = 600.0
USUAL = Pace()
#: Seconds that the connector waits for an answer, unless the entry says otherwise.
_ANSWER_S = 5.0

#: Keys of `dlms` that the search itself tries, and the options that narrow it.
_SOUGHT = {
    "interfaceType": "--interface", "clientAddress": "--client", "logicalAddress": "--server",
    "physicalAddress": "--server", "addressSize": "--server", "serialNumber": "--serial-number",
}  # fmt: skip
_SEEN = "a secret on the command line is seen by all users of this computer: "


def read_servers(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[Server, ...]:
    """Read the values of --server, for click. Raises BadParameter."""
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


def request_of(
    host: str | None, serial_port: str | None, folder: Path, options: Mapping[str, Any]
) -> Request:
    """Return the request; `folder` is that of the entry. Raises UsageError, BadParameter."""
    credentials = _credentials(options)
    return Request(
        connection=_connection(host, serial_port, options),
        wanted=_wanted(options),
        credentials=credentials,
        pace=Pace(
            timeout_s=options["timeout"],
            per_second=options["rate"],
            max_probes=options["max_probes"],
            max_s=most_seconds(options["max_seconds"], options["timeout"], serial_port),
        ),
        name=options["name"],
        every_register=options["every"],
        try_counter_from_one=options["try_counter_from_one"],
        all_baudrates=options["baudrate"] is None,
        folder=folder,
        state_dir=commands_folder(_state_directory(folder), folder) if credentials else None,
    )


def most_seconds(given: float | None, timeout_s: float, serial_port: str | None) -> float:
    """Return the seconds for all probes: as many probes as usual, where each takes longer."""
    if given is not None:
        return given
    usual = USUAL.max_s if serial_port is None else _SERIAL_MAX_S
    return usual * max(1.0, timeout_s / USUAL.timeout_s)


def _state_directory(folder: Path) -> str | None:
    """Return the state folder that is configured there, in a `dlms.json` or the environment."""
    try:
        return load_file(folder / "dlms.json").configuration.state_directory
    except ConfigError:
        return load({}, base=folder).configuration.state_directory


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
        if key in _SOUGHT:
            raise click.BadParameter(f"{key} is searched for; give {_SOUGHT[key]}",
                                     param_hint="--dlms")  # fmt: skip
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
