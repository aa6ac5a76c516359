"""Turns the gateway's configuration into meters that can be polled; nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from time import sleep
from typing import Any

from dlms_connector import __version__
from dlms_connector.config import (
    DEVICES_FILE,
    Configuration,
    Device,
    Loaded,
    Refused,
    is_empty,
    load,
)
from dlms_connector.errors import ConfigError
from dlms_connector.gateway.log_size import LONGEST_MESSAGE
from dlms_connector.gateway.uplink import Converter
from dlms_connector.sharing import Share
from dlms_connector.state import NoPlace, gateways_place

#: Time between two records, so that they differ in the gateway's timestamps.
_NEXT_RECORD_S = 0.002
#: Problems that are logged one by one: the gateway waits for its connectors to be made.
_SINGLE = 50

#: How the gateway marks the id in a configuration that is not JSON.
_ID_MARK = re.compile(r"^\{id_var_start\}(.*?)\{id_var_end\}", re.DOTALL)


@dataclass(frozen=True)
class Prepared:
    """Meters ready to be polled with their converters, and the refused devices.

    `misconfigured` are the refused devices to show on the platform: those with a name of
    their own.
    """

    configuration: Configuration
    devices: tuple[Device, ...]
    converters: Mapping[str, Converter]
    misconfigured: tuple[Refused, ...]
    #: This gateway's share of the fleet, None if it is alone; and the devices of other shares.
    share: Share | None = None
    elsewhere: frozenset[str] = frozenset()
    #: What the document said, to compare it with what it says later.
    loaded: Loaded | None = None


def id_of(raw: Any) -> str | None:
    """Return the id that the gateway put into a configuration, or None."""
    if isinstance(raw, str) and (mark := _ID_MARK.match(raw)):
        return mark.group(1)
    given = raw.get("id") if isinstance(raw, Mapping) else None
    return str(given) if given else None


def name_of(raw: Any, configurations: Mapping[str, Any]) -> str:
    """Return the connector's name, which is also the name of its loggers.

    A JSON configuration contains it. Otherwise it is taken from `configurations`, the gateway's
    list by type: the loggers of another connector must not be used.
    """
    if isinstance(raw, Mapping) and raw.get("name"):
        return str(raw["name"])
    if not isinstance(raw, str) or not (given := id_of(raw)):
        return "DLMS"
    known = (entry for entries in configurations.values() for entry in entries)
    return next((str(one["name"]) for one in known if one.get("id") == given), "DLMS")


def devices_file(raw: Any, folder: Path) -> Path | None:
    """Return the path of the configuration's table of devices; None if it has none."""
    name = raw.get(DEVICES_FILE) if isinstance(raw, Mapping) else None
    return folder / name if isinstance(name, str) and name else None


def prepare(
    raw: Any,
    folder: Path,
    log: Logger,
    converter_of: Callable[[Device, Configuration], Converter],
    denied: Callable[[str], bool] = lambda name: False,
    *,
    loaded: Loaded | None = None,
) -> Prepared:
    """Read any configuration, or take what was `loaded`; every problem becomes a line in the log.

    `folder` is the gateway's configuration folder. `converter_of` raises ConfigError.
    Devices that are `denied` are left out and not shown on the platform.
    """
    loaded = _load(raw, folder, log) if loaded is None else loaded
    _tell([f"configuration: {problem}" for problem in loaded.problems], log)
    for note in loaded.notes:
        log.warning("%s", note)
    refused = [*loaded.refused]
    devices, converters = [], {}
    for device in loaded.configuration.devices:
        if denied(device.device_name):
            log.warning(
                "%s is not polled: the gateway's deviceFiltering denies it", device.device_name
            )
            continue
        try:
            converters[device.device_name] = converter_of(device, loaded.configuration)
            devices.append(device)
        except ConfigError as error:
            refused.append(Refused(device.device_name, "", error.problems, device.device_type))
    _tell(
        [f"{one.name} is not polled: {problem}" for one in refused for problem in one.problems],
        log,
    )
    _tell_count(devices, len(refused), raw, loaded.share, log)
    return Prepared(
        loaded.configuration,
        tuple(devices),
        converters,
        tuple(
            one
            for one in refused
            # A device without a name is named by its path; a name in use is another device's.
            if one.name != one.path and one.name not in converters and not denied(one.name)
        ),
        loaded.share,
        loaded.elsewhere,
        loaded,
    )


def state_directory(
    configured: str | None,
    storage: Mapping[str, Any],
    config_dir: Path,
    log: Logger,
    connector: str = "DLMS",
) -> Path | None:
    """Return the folder for cursors and invocation counters; None if it cannot be created.

    The default is in the gateway's data folder. It is noted beside the configuration, for the
    commands; `connector` is the name of the one that uses it.
    """
    try:
        folder = gateways_place(configured, storage, config_dir, connector)
    except (OSError, ValueError) as error:  # not a folder, or no valid name
        log.warning(
            "state is not kept over a restart: %s; set stateDirectory to a folder that the "
            "gateway may write",
            error,
        )
        return None
    assert not isinstance(folder, NoPlace)  # only a command beside a gateway has none
    return folder


def _load(raw: Any, folder: Path, log: Logger) -> Loaded:
    try:
        return load(_ID_MARK.sub("", raw) if isinstance(raw, str) else raw, base=folder)
    except ConfigError as error:
        return Loaded(Configuration(), (), error.problems)
    except Exception:  # our fault must not stop the gateway's other connectors
        log.exception("the configuration could not be read: no meter is polled")
        return Loaded(Configuration())


def _tell(problems: Sequence[str], log: Logger) -> None:
    """Log problems, a record each; if there are very many, several in one record.

    The gateway's remote logging stores one record per millisecond: of records in a row, most
    would be lost. So there is a pause after each.
    """
    for record in (*problems[:_SINGLE], *_grouped(problems[_SINGLE:])):
        log.error("%s", record)
        sleep(_NEXT_RECORD_S)


def _grouped(problems: Sequence[str]) -> Iterator[str]:
    group: list[str] = []
    for problem in problems:
        if group and sum(map(len, group)) + len(group) + len(problem) > LONGEST_MESSAGE:
            yield "\n".join(group)
            group = []
        group.append(problem)
    if group:
        yield "\n".join(group)


def _tell_count(
    devices: Sequence[Device], refused: int, raw: Any, share: Share | None, log: Logger
) -> None:
    """Log the result of each start in one line."""
    if is_empty(raw):
        log.info("no devices yet (version %s)", __version__)
        return
    polled = sum(device.is_polled for device in devices)
    pushing = f", {len(devices) - polled} only push" if polled < len(devices) else ""
    ours = f", share {share} of the fleet" if share is not None and share.count > 1 else ""
    text = "%d meters are polled%s, %d refused%s (version %s)"
    log.info(text, polled, pushing, refused, ours, __version__)
