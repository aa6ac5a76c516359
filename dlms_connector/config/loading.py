"""Load a user's document into a validated configuration.

Every device is built separately: its own keys over its template, over the template's
template, over `defaults`. A problem in a device refuses only that device. A problem in a
template or in `defaults` is reported once, even if many devices use it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from dlms_connector.config import document, fleet_file
from dlms_connector.config.allowed_hosts import VARIABLE as ALLOWED_HOSTS
from dlms_connector.config.allowed_hosts import allowed_hosts
from dlms_connector.config.base import DOCUMENT
from dlms_connector.config.delivery import journal_notes
from dlms_connector.config.device_building import Problem, SharedLists, build, check_partially
from dlms_connector.config.document import too_deep, without_odd_keys
from dlms_connector.config.echo import too_large
from dlms_connector.config.inheritance import Layer, Location, Place, json_path
from dlms_connector.config.model import Configuration, Device, PushListener
from dlms_connector.config.placement import Placement, listening
from dlms_connector.config.platform_names import refusal
from dlms_connector.config.problems import did_you_mean, problems_of
from dlms_connector.config.secret import RUN_SECRETS, SOURCE, SecretSource
from dlms_connector.config.sharing import share_of, standby_of
from dlms_connector.config.shown import shown, without
from dlms_connector.config.templates import DEFAULTS, OWN_KEYS, TEMPLATES, Templates
from dlms_connector.errors import ConfigError
from dlms_connector.sharing import WHOLE_FLEET, Share

#: Keys that the gateway or its user interface adds, and reads itself.
GATEWAY_KEYS = frozenset(
    (
        *("id", "name", "type", "class", "key", "mode", "ts", "configVersion", "useGRPC"),
        *("configuration", "configurationJson", "logLevel", "enableRemoteLogging"),
        *("sendDataOnlyOnChange", "disabled"),
    )
)
#: Names the JSON Schema to an editor, and says nothing to the connector.
SCHEMA_KEY = "$schema"
_NOT_OURS = GATEWAY_KEYS | {SCHEMA_KEY}
DEVICES_FILE = "devicesFile"
#: Folders that only somebody at the host may choose, and the variables that name them.
FOLDER_VARIABLES = {
    "stateDirectory": "DLMS_STATE_DIRECTORY",
    "secretsDirectory": "DLMS_SECRETS_DIRECTORY",
}
BACKUP_VARIABLE = "DLMS_BACKUP_DIRECTORY"
#: Keys that the gateway adds to each configuration that the platform has sent.
_FROM_PLATFORM = frozenset({"enableRemoteLogging", "configVersion"})
#: Progress is told after so many meters each.
_TOLD_EACH = 500
_TOO_DEEP = "nested too deeply"
_ODD_KEY = "unknown key: it has characters that are not printable"
_DEVICE_TYPE: str = Device.model_fields["device_type"].default
_BUILT_HERE = frozenset({"devices", DEVICES_FILE, TEMPLATES, DEFAULTS})


@dataclass(frozen=True)
class Refused:
    """A device that cannot be used, and all its problems.

    `name` is the path if the device has no name of its own.
    """

    name: str
    path: str
    problems: tuple[str, ...]
    device_type: str = _DEVICE_TYPE


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
    `environment` tells the gateway's share and role, if it is not that of this process.
    Raises ConfigError if nothing of the document can be used.
    """
    if isinstance(raw, str):
        raw = document.parse(raw)
    if not isinstance(raw, Mapping):
        raise ConfigError(f"expected an object with `devices`, got {shown(raw)}")
    named = os.environ if environment is None else environment
    return _Loading(raw, base, config_dir or base, named).run(checked)


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


def is_empty(raw: object) -> bool:
    """Whether nobody has configured anything yet: there are the gateway's own keys at most.

    This is what the gateway's user interface sends when a connector is added.
    """
    return isinstance(raw, Mapping) and all(
        key in _NOT_OURS or (key == "devices" and value in (None, [])) for key, value in raw.items()
    )


class _Loading:
    """Loads one document."""

    def __init__(
        self, raw: Mapping[Any, Any], base: Path, config_dir: Path, environment: Mapping[str, str]
    ) -> None:
        self._document = raw
        self._raw = {str(key): value for key, value in raw.items()}
        self._base = base
        self._config_dir = config_dir
        self._problems: dict[str, None] = {}  # a set that keeps its order
        for key in [
            key for key, value in self._raw.items() if key != "devices" and too_deep(value)
        ]:
            self._note([f"{json_path('', (key,))}: {_TOO_DEEP}"])
            del self._raw[key]
        if not isinstance(self._raw.get(SCHEMA_KEY, ""), str):
            self._note([f"{SCHEMA_KEY}: expected text, got {shown(self._raw[SCHEMA_KEY])}"])
        devices = self._raw.pop("devices", None)
        odd: list[Location] = []
        self._raw = without_odd_keys(self._raw, odd)
        self._note([f"{json_path('', location)}: {_ODD_KEY}" for location in odd])
        if devices is not None:
            self._raw["devices"] = devices
        self._refused: list[Refused] = []
        self._devices: dict[str, Device] = {}
        self._paths: dict[str, str] = {}
        self._shared = SharedLists()
        self._groups: dict[str, tuple[str | None, str]] = {}
        self._elsewhere: set[str] = set()
        #: Keys that devices of this share have in common with others, and with the same title.
        self._split_keys = 0
        # Before anything else: without them it is not known what is this gateway's to poll.
        self._share = share_of(self._raw, environment)
        self._active_file = standby_of(
            self._raw, environment, from_platform=bool(_FROM_PLATFORM & self._raw.keys())
        )

    def run(self, checked: Callable[[int], None]) -> Loaded:
        whole, source = self._top_level()
        templates = Templates(self._raw)
        self._note(templates.problems)
        self._check_templates(templates)
        share = self._share or WHOLE_FLEET
        for count, row in enumerate(self._rows_of(share, templates), 1):
            self._build(row, templates, source, whole.groups)
            if count % _TOLD_EACH == 0:
                checked(count)
        devices = tuple(self._devices.values())
        named = {*self._devices, *(one.name for one in self._refused), *self._elsewhere}
        self._note(
            [
                f"push[{index}].device: there is no device {shown(one.device)}"
                for index, one in enumerate(whole.push)
                if one.device is not None and one.device not in named
            ]
        )
        push = tuple(
            self._with_prototype(index, listener, templates, source)
            for index, listener in enumerate(whole.push)
        )
        if not share.holds(Placement.LISTENERS):
            push = ()
        return Loaded(
            whole.model_copy(update={"devices": devices, "push": push}),
            tuple(self._refused),
            tuple(self._problems),
            notes=tuple(self._notes(whole, devices)),
            share=self._share,
            elsewhere=frozenset(self._elsewhere),
        )

    def _note(self, problems: list[str]) -> None:
        self._problems.update(dict.fromkeys(problems))

    def _notes(self, whole: Configuration, devices: Sequence[Device]) -> Iterator[str]:
        if note := too_large(self._document):
            yield note
        if (hosts := allowed_hosts()) is not None:
            for entry in hosts.wrong:
                yield (
                    f"{ALLOWED_HOSTS}: {shown(entry)} is neither a network such as 10.20.0.0/16, "
                    "nor a host name, nor a serial port such as /dev/ttyUSB0: it allows nothing"
                )
        if self._split_keys:
            yield (
                f"{self._split_keys} keys are those of meters of other shares, too, with the same "
                "systemTitle: two gateways will use the same invocation counters, and whoever "
                "records both can read them; give each meter its own key, or each gateway its own "
                "systemTitle, or put such meters into one group"
            )
        if whole.journal:
            polls = [
                poll
                for device in devices
                for poll in Counter(
                    item.poll_period_ms or device.poll_period_ms for item in device.timeseries
                ).items()
            ]
            yield from journal_notes(whole.journal, whole.confirm, whole.confirm_period_ms, polls)

    def _top_level(self) -> tuple[Configuration, SecretSource]:
        """Read the connector's own keys, and say where secrets are.

        A wrong value is replaced by its default.
        """
        own = {
            key: value
            for key, value in self._raw.items()
            if key not in _BUILT_HERE and key not in _NOT_OURS
        }
        own |= self._folders(own)
        if isinstance(own.get("backup"), Mapping):
            own["backup"] = self._backup(own["backup"])
        if (share := self._share) is not None:
            own["shard"] = {"index": share.index, "count": share.count, "weights": share.weights}
        if self._active_file is not None:
            own["standby"] = {"activeFile": str(self._active_file)}
        named = own.get("secretsDirectory")
        source = SecretSource(self._secret_directories(named if isinstance(named, str) else None))
        context = {DOCUMENT: True, SOURCE: source.made_for("", _host(own.get("platform")))}
        try:
            return Configuration.model_validate(own, context=context), source
        except ValidationError as error:
            for location, sentence, kind in problems_of(error, Configuration):
                if kind == "extra_forbidden" and len(location) == 1:
                    sentence = _unknown_at_the_top(str(location[0]))
                self._note([str(Problem(Place(""), location, sentence))])
                own.pop(str(location[0]), None)
        return Configuration.model_validate(own, context=context), source

    def _folders(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Return the folders for state and secrets: the environment's, else the document's.

        The platform must not choose them: it could read the gateway's own files as a secret and
        send it to a host of its choice, or have invocation counters begin again.
        """
        found = {}
        for key, variable in FOLDER_VARIABLES.items():
            found[key] = own.get(key)
            if named := os.environ.get(variable):
                found[key] = named
            elif found[key] is not None and _FROM_PLATFORM & self._raw.keys():
                found[key] = None
                self._note(
                    [
                        f"{key}: not taken from a configuration that the platform has written; "
                        f"set the environment variable {variable} of the gateway's process"
                    ]
                )
        return found

    def _backup(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return the section with its folder: the environment's, else the document's.

        The platform must not choose it: archives would be written, and removed, wherever it says.
        """
        found = dict(section)
        if named := os.environ.get(BACKUP_VARIABLE):
            found["directory"] = named
        elif found.get("directory") is not None and _FROM_PLATFORM & self._raw.keys():
            del found["directory"]
            self._note(
                [
                    "backup.directory: not taken from a configuration that the platform has "
                    f"written; set the environment variable {BACKUP_VARIABLE} of the gateway's "
                    "process"
                ]
            )
        return found

    def _secret_directories(self, named: str | None) -> tuple[Path, ...]:
        config_dir = self._config_dir.resolve()
        if named is None:
            return (config_dir / "secrets", RUN_SECRETS)
        try:
            path = (config_dir / named).resolve()
        except (OSError, RuntimeError, ValueError):
            self._note([f"secretsDirectory: {shown(named)} is not the name of a folder"])
            return (config_dir / "secrets", RUN_SECRETS)
        # The configuration may come from the platform: it must not make every file of the host
        # readable as a secret, nor the gateway's own files, which contain its access token.
        trusted = bool(os.environ.get(FOLDER_VARIABLES["secretsDirectory"]))
        if trusted or config_dir in path.parents or "secret" in path.name.lower():
            return (path, RUN_SECRETS)
        self._note(
            [
                "secretsDirectory: name a folder within the gateway's configuration folder, "
                "or one whose name says that it holds secrets, such as /srv/meters/secrets"
            ]
        )
        return (config_dir / "secrets", RUN_SECRETS)

    def _check_templates(self, templates: Templates) -> None:
        layers = Layer(Place(DEFAULTS), templates.defaults)
        self._partially([layers])
        for name, values in templates.own.items():
            try:
                self._partially(templates.chain(name))
            except LookupError as error:
                self._note([f"{TEMPLATES}.{name}.template: {error.args[0]}"])
                self._partially([Layer(Place(f"{TEMPLATES}.{name}"), values)])
        if (name := templates.default_template()) is not None:
            try:
                templates.chain(name)
            except LookupError as error:
                self._note([f"{DEFAULTS}.template: {error.args[0]}"])

    def _partially(self, layers: list[Layer]) -> None:
        self._note([str(problem) for problem in check_partially(layers)])
        for layer in layers:
            for key in OWN_KEYS:
                if key in layer.values:
                    self._note([f"{layer.place.at((key,))}: belongs to a device alone"])

    def _rows(self) -> Iterator[Layer | Refused]:
        """Yield every device's own keys, or a refusal if it has none."""
        devices = self._raw.get("devices")
        if devices is not None and not isinstance(devices, list | tuple):
            self._note([f"devices: expected a list, got {shown(devices)}"])
            devices = None
        for index, values in enumerate(devices or ()):
            path = f"devices[{index}]"
            if isinstance(values, Mapping):
                yield Layer(Place(path), {str(key): value for key, value in values.items()})
            else:
                problem = f"{path}: expected an object, got {shown(values)}"
                yield Refused(path, path, (problem,))
        name = self._raw.get(DEVICES_FILE)
        if isinstance(name, str) and name:
            try:
                for row in fleet_file.rows(name, self._base):
                    if isinstance(row, fleet_file.OutOfStep):
                        yield Refused(row.place.path, row.place.path, (str(row),))
                    else:
                        yield row
            except ConfigError as error:
                self._note(list(error.problems))
        elif name is not None:
            self._note([f"{DEVICES_FILE}: expected the name of a file, got {shown(name)}"])
        if devices is None and name is None and not self._problems and not is_empty(self._raw):
            self._note(["devices: required, or a devicesFile"])

    def _rows_of(self, share: Share, templates: Templates) -> Iterator[Layer | Refused]:
        """Yield the rows of a share; of the others only the names are noted."""
        if share.count == 1:
            yield from self._rows()
            return
        rows = [*self._rows()]
        placement = Placement(templates, *listening(self._raw.get("push")))
        for row in rows:
            if isinstance(row, Layer):
                placement.add(row)
        ours: set[bytes | None] = set()
        others: set[bytes | None] = set()
        for row in rows:
            if share.holds(placement.of(row) if isinstance(row, Layer) else row.path):
                if isinstance(row, Layer):
                    ours.add(placement.key(row))
                yield row
                continue
            if isinstance(row, Layer):
                others.add(placement.key(row))
            if isinstance(row, Layer) and (name := _text_of("deviceName", [row])):
                self._elsewhere.add(name)
                self._paths.setdefault(name, row.place.path)
        self._split_keys = len((ours & others) - {None})

    def _build(
        self,
        row: Layer | Refused,
        templates: Templates,
        source: SecretSource,
        groups: Collection[str],
    ) -> None:
        if isinstance(row, Refused):
            self._refused.append(row)
            return
        path = row.place.path
        if too_deep(row.values):
            self._refused.append(Refused(path, path, (f"{path}: {_TOO_DEEP}",)))
            return
        odd: list[Location] = []
        without_odd_keys(row.values, odd)
        if odd:
            told = tuple(f"{row.place.at(location)}: {_ODD_KEY}" for location in odd)
            self._refused.append(Refused(_text_of("deviceName", [row]) or path, path, told))
            return
        problems: list[str] = []
        template = row.values.get("template", templates.default_template())
        layers = [row, *templates.chain(None)]
        try:
            layers = [row, *templates.chain(template)]
            built = build(layers, source, self._shared)
        except LookupError as error:
            if "template" in row.values:
                sentence = str(error.args[0])
                if row.place.secretive:
                    sentence = without(sentence, row.values["template"])
                problems.append(f"{row.place.at(('template',))}: {sentence}")
            else:
                problems.append(_unusable(row.place, Place(DEFAULTS)))
            rest = {key: value for key, value in row.values.items() if key != "template"}
            built = check_partially([Layer(row.place, rest), *templates.chain(None)])
        name = _text_of("deviceName", [row]) or path
        if isinstance(built, Device):
            if other := self._paths.get(name):
                where = row.place.at(("deviceName",))
                named = "this" if row.place.secretive else shown(name)
                problems.append(f"{where}: {named} is the name of {other} already")
            if (wrong := self._wrong_group(built, name, groups)) is not None:
                problems.append(f"{row.place.at(('connection', 'group'))}: {wrong}")
        else:
            problems += self._sorted_out(built, row.place)
        if problems or not isinstance(built, Device):
            device_type = _text_of("deviceType", layers) or _DEVICE_TYPE
            self._refused.append(Refused(name, path, tuple(problems), device_type))
            return
        self._devices[name] = built
        self._paths[name] = path

    def _wrong_group(self, device: Device, name: str, groups: Collection[str]) -> str | None:
        """Return what is wrong with a device's group; one endpoint is in one group."""
        connection = device.connection
        if connection.group is not None and connection.group not in groups:
            return "there is no such group in `groups`" + did_you_mean(connection.group, groups)
        if not device.is_polled:
            return None
        group, first = self._groups.setdefault(connection.endpoint, (connection.group, name))
        if group != connection.group:
            return f"{first}, of the same endpoint, is in another group, or in none"
        return None

    def _with_prototype(
        self, index: int, listener: PushListener, templates: Templates, source: SecretSource
    ) -> PushListener:
        """Build the device that a rule for new meters makes, so that its problems are told now."""
        rule = listener.auto_create
        if rule is None:
            return listener
        place = Place(f"push[{index}].autoCreate")
        layer = Layer(place, {"deviceName": "?", "connection": {"type": "push"}})
        try:
            built = build([layer, *templates.chain(rule.template)], source, self._shared)
        except LookupError as error:
            self._note([f"{place.at(('template',))}: {error.args[0]}"])
            return listener
        if isinstance(built, Device):
            return listener.model_copy(update={"auto_create": rule.made_of(built)})
        self._note([str(problem) for problem in built])
        return listener

    def _sorted_out(self, problems: list[Problem], own: Place) -> list[str]:
        """Return a device's own problems; note those of shared layers once for all devices."""
        shared = [problem for problem in problems if problem.place is not own]
        self._note([str(problem) for problem in shared])
        sentences = [str(problem) for problem in problems if problem.place is own]
        for place in dict.fromkeys(problem.place for problem in shared):
            sentences.append(_unusable(own, place))
        return sentences


def _text_of(key: str, layers: Sequence[Layer]) -> str | None:
    """Return a key's value in the topmost layer that has it; None if the platform refuses it."""
    said = next((layer.values[key] for layer in layers if key in layer.values), None)
    if not isinstance(said, str) or refusal(said):
        return None
    return said if said.isprintable() else None


def _host(platform: Any) -> dict[str, str]:
    """Return the platform's host, to which the secret of its user may be bound."""
    url = platform.get("url") if isinstance(platform, Mapping) else None
    with suppress(ValueError):
        if isinstance(url, str) and (host := urlsplit(url).hostname):
            return {"host": host}
    return {}


def _unusable(own: Place, shared: Place) -> str:
    return f"{own.path}: not usable as long as {shared.path} has problems"


def _unknown_at_the_top(key: str) -> str:
    if key in _aliases(Device):
        return f"belongs to a device, or as `{DEFAULTS}.{key}` to all of them"
    return "unknown key" + did_you_mean(key, [*_BUILT_HERE, *_aliases(Configuration)])


def _aliases(model: type[BaseModel]) -> list[str]:
    return [field.alias or "" for field in model.model_fields.values()]
