"""Load a user's document into a validated configuration.

Every device is built separately: its own keys over its template, over the template's
template, over `defaults`. A problem in a device refuses only that device. A problem in a
template or in `defaults` is reported once, even if many devices use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlms_connector.config import document
from dlms_connector.config.device_building import SharedLists
from dlms_connector.config.fleet_building import FleetBuilding
from dlms_connector.config.folders import Folders
from dlms_connector.config.keys import is_of_platform
from dlms_connector.config.listeners import Prototypes, check_names
from dlms_connector.config.model import Configuration
from dlms_connector.config.noted import Problems
from dlms_connector.config.notes import notes
from dlms_connector.config.placement import Placement
from dlms_connector.config.rows import Refused, rows_of
from dlms_connector.config.share_rows import own_rows
from dlms_connector.config.sharing import share_of, standby_of
from dlms_connector.config.shown import shown
from dlms_connector.config.template_checks import check_templates
from dlms_connector.config.templates import Templates
from dlms_connector.config.top_level import read_top_level
from dlms_connector.errors import ConfigError
from dlms_connector.sharing import WHOLE_FLEET, Share

#: Progress is told after so many meters each.
_TOLD_EACH = 500


@dataclass(frozen=True)
class Loaded:
    """A valid configuration, and the refused devices and problems of the document.

    `problems` are those outside of devices: in templates, defaults and keys of the connector.
    """

    configuration: Configuration
    refused: tuple[Refused, ...] = ()
    problems: tuple[str, ...] = ()
    #: What works, but has a cost that its author may not know.
    notes: tuple[str, ...] = ()
    #: This gateway's share of the fleet, None if it is alone.
    share: Share | None = None
    #: The devices of the shares of others, which are not built.
    elsewhere: frozenset[str] = frozenset()

    @property
    def every_problem(self) -> tuple[str, ...]:
        """All problems, those outside of devices first."""
        return self.problems + tuple(each for one in self.refused for each in one.problems)


def load(
    raw: object,
    *,
    base: Path,
    config_dir: Path | None = None,
    checked: Callable[[int], None] = lambda count: None,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the configuration that the gateway passes: an object, or a JSON text.

    File names in the configuration are relative to the folder `base`. `config_dir` is the
    gateway's configuration folder, which contains the secrets, if it differs from `base`.
    `environment` is that of the gateway's process, if it is not this one: it tells the share, the
    role, folders and secrets.
    Raises ConfigError if nothing of the document can be used.
    """
    if isinstance(raw, str):
        raw = document.parse(raw)
    if not isinstance(raw, Mapping):
        raise ConfigError(f"expected an object with `devices`, got {shown(raw)}")
    named = os.environ if environment is None else environment
    return _loaded(raw, base, config_dir or base, named, checked)


def load_file(
    path: Path,
    *,
    checked: Callable[[int], None] = lambda count: None,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load a configuration file; raises ConfigError if nothing of it can be used.

    `checked` is told now and then how many meters have been looked at. `environment` is as in
    `load`.
    """
    text = document.read(path)
    try:
        base = path.resolve().parent
        return load(text, base=base, checked=checked, environment=environment)
    except ConfigError as error:
        raise ConfigError(*(f"{path}: {problem}" for problem in error.problems)) from None


def _loaded(
    raw: Mapping[Any, Any],
    base: Path,
    config_dir: Path,
    environment: Mapping[str, str],
    checked: Callable[[int], None],
) -> Loaded:
    problems, lists = Problems(), SharedLists()
    keys, wrong = document.usable(raw)
    problems.note(*wrong)
    from_platform = is_of_platform(raw)
    # Before anything else: without them it is not known what is this gateway's to poll.
    share = share_of(keys, environment)
    active_file = standby_of(keys, environment, from_platform=from_platform)
    folders = Folders(environment, problems, from_platform=from_platform)
    top = read_top_level(keys, config_dir, folders, problems, share=share, active_file=active_file)
    templates = Templates(keys)
    check_templates(templates, problems)
    fleet = FleetBuilding(templates, top.secrets, lists, top.configuration.groups, problems)
    ours = own_rows(rows_of(keys, base, problems), share or WHOLE_FLEET, templates, keys)
    for count, row in enumerate(ours.rows, 1):
        fleet.add(row)
        if count % _TOLD_EACH == 0:
            checked(count)
    push = top.configuration.push
    check_names(push, fleet.names, problems)
    push = Prototypes(templates, top.secrets, lists, problems).put_in(push)
    if share is not None and not share.holds(Placement.LISTENERS):
        push = ()
    made = top.configuration.model_copy(update={"devices": fleet.devices, "push": push})
    return Loaded(
        made,
        tuple(fleet.refused),
        tuple(problems),
        notes=tuple(notes(raw, made, ours.split_keys)),
        share=share,
        elsewhere=frozenset(fleet.elsewhere),
    )
