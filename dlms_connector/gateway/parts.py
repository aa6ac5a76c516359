"""What works for one loaded configuration: made anew when its table of devices changes.

One thread runs all meters (`meters_thread`). One converts their data and passes it to the
gateway, and one does the work that waits for the platform (`uplink_queue`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from logging import Logger
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from dlms_connector.config import Configuration, Device
from dlms_connector.errors import ConfigError
from dlms_connector.fleet import Fleet
from dlms_connector.gateway import garbage, last_good
from dlms_connector.gateway.announcer import Announcer
from dlms_connector.gateway.call_entry import CallEntry
from dlms_connector.gateway.daily_backup import DailyBackup
from dlms_connector.gateway.delivering import Delivering
from dlms_connector.gateway.departure import depart
from dlms_connector.gateway.device_file import DeviceFile
from dlms_connector.gateway.device_filter import denied_by
from dlms_connector.gateway.downlink import Downlink
from dlms_connector.gateway.duty import Duty
from dlms_connector.gateway.file_watch import FileWatch
from dlms_connector.gateway.free_memory import FreeMemory
from dlms_connector.gateway.handover import until_taken
from dlms_connector.gateway.known_devices import load_each_once
from dlms_connector.gateway.meters_thread import MetersThread
from dlms_connector.gateway.prepared import Prepared, devices_file, prepare, state_directory
from dlms_connector.gateway.remembered import file_name
from dlms_connector.gateway.renames import Renames
from dlms_connector.gateway.session import session
from dlms_connector.gateway.uplink import Converter, Uplink
from dlms_connector.gateway.uplink_queue import UplinkQueue
from dlms_connector.metrics import LATE_BOUNDS, Histogram
from dlms_connector.state import begin_tenure
from dlms_converters.message_size import LARGEST_VALUE
from dlms_converters.own import downlink_converter, uplink_converter

#: `end` takes at most CLOSE_S: the gateway calls it in a busy loop, for 5 s at most. The time
#: that is left after the release of the meters, at least FLUSH_S, is for data in the queue.
CLOSE_S = 0.9
FLUSH_S = 0.1
#: Pause between two looks at the gateway's session, and before the gateway has a client: it makes
#: one soon after its connectors, and what the platform tells as soon as it is connected comes some
#: milliseconds later.
IDLE_S, STARTING_S = 0.1, 0.001
#: How much later a reading may be handed to the gateway, so that those of several meters share a
#: wake-up of the thread.
REST_S = 0.02
#: Pause between two looks at the table of devices; a change counts after two.
LOOK_S = 5.0

#: How long meters may take to be let go of where others take them: on a busy host longer than
#: usual, and less than the gateway waits if it closes the connector meanwhile.
_LET_GO_S = 3.0

#: How many announcements may wait: each meter has several, when a large fleet starts.
_LEAST_NEWS, _NEWS_PER_DEVICE = 10_000, 4
#: Bytes that the gateway adds to an attribute: names of up to 255 characters, and metadata.
_ENVELOPE = 2048


class Owner(Protocol):
    """What the parts need of the connector, which the gateway has loaded and knows."""

    #: The connector's name, which the gateway may set after construction.
    name: str

    def get_id(self) -> str:
        """Return the id of the connector in the gateway."""

    def get_type(self) -> str:
        """Return the type under which the gateway found the class."""

    def make_fleet(self, *args: Any, **keys: Any) -> Fleet:
        """Make the fleet, as its class does."""

    def send(self, data: Any) -> bool:
        """Hand converted data to the gateway's storage; false if it did not take all of it."""

    def count(self, name: str, count: int) -> None:
        """Add to the gateway's statistics of the connector."""

    def table_changed(self) -> None:
        """Note that the table of devices has changed since these parts were made."""

    def role_changed(self) -> None:
        """Note that the gateway's role is another than that which these parts have."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The connector's log, and the one of its converters."""

    connector: Logger
    converters: Logger


class Parts:
    """All that stands between the gateway and the meters of one configuration.

    `config` is the configuration as the gateway gave it. Making does no IO but reading files;
    it raises what a user's own converter raises. With `like`, the configuration is not loaded
    again: it is that of other parts, and only the role may be another.
    """

    def __init__(
        self, gateway: Any, owner: Owner, config: Any, logs: Logs, *, like: Parts | None = None
    ) -> None:
        self._gateway, self._owner, self._config = gateway, owner, config
        self._log, self._converter_log = logs.connector, logs.converters
        folder = Path(gateway.get_config_path())
        self.watch: FileWatch = like.watch if like else FileWatch(devices_file(config, folder))
        self._look_at = monotonic() + LOOK_S
        self._session: object | None = None
        self.downlink_converters: dict[str, Any] = like.downlink_converters if like else {}
        self._denied = denied_by(gateway, owner.name, self._log)
        self.prepared: Prepared = (
            like.prepared
            if like
            else prepare(config, folder, self._log, self._converter, self._denied)
        )
        configuration, share = self.prepared.configuration, self.prepared.share
        self.duty = Duty(configuration, share, self._log, owner.role_changed)
        #: The folder of the state, once the meters need it.
        self._folder: Path | None = None
        names = [device.device_name for device in self.prepared.devices]
        self._renames = Renames(gateway, names, self._log)
        self._announcer = Announcer(
            gateway, owner, CallEntry(gateway, owner, names), self._renames, self._log, monotonic
        )
        is_read = load_each_once(gateway)
        self._device_file = DeviceFile(gateway, self._log, monotonic, is_read)
        self._memory = FreeMemory()
        self._announcing = UplinkQueue(
            self._log,
            idle=self._reconcile,
            limit=max(_LEAST_NEWS, _NEWS_PER_DEVICE * len(names)),
            idle_s=self._idle_s,
        )
        #: Polls that were dropped before their conversion.
        self.dropped = 0
        self._queue = UplinkQueue(self._log, dropped=self._note_dropped, rest_s=REST_S)
        self.lateness = Histogram(LATE_BOUNDS)
        self.delivering = Delivering(
            gateway, self._renames, self.prepared.configuration, names, self._log, owner.send
        )
        self._backup = DailyBackup(configuration.backup, folder, self._log)
        self.uplink = self._make_uplink()
        self.downlink = self._make_downlink()
        # Last: it has a loop, which is left open if what comes after it fails.
        self._meters = MetersThread(
            self._make_fleet,
            self.prepared.devices,
            self.uplink,
            self._log,
            period_s=self.prepared.configuration.diagnostics_period_ms / 1000,
            lateness=self.lateness if configuration.metrics else None,
        )

    @property
    def table(self) -> Path | None:
        """The file of the table of devices, None if there is none."""
        return self.watch.path

    @property
    def fleet(self) -> Fleet | None:
        """What polls the meters; None while nothing does."""
        return self._meters.fleet

    @property
    def waiting(self) -> int:
        """How many jobs wait for the uplink."""
        return self._queue.waiting

    def states(self) -> Counter[str]:
        """Return how many meters are in each state."""
        fleet = self.fleet
        counts: Counter[str] = Counter()
        for device in self.prepared.devices:
            counts[(fleet and fleet.state(device.device_name)) or "unknown"] += 1
        counts["misconfigured"] += len(self.prepared.misconfigured)
        return counts

    def inherit(self, before: Parts) -> None:
        """Take over what is still to be done of parts that have ended; call it before `begin`."""
        if not self.duty.active:
            self._announcer.leave(before._announcer)
        elif before.duty.active:
            # After a time on standby, what was to be written is out of date.
            self.uplink.states.inherit(before.uplink.states)
            self.downlink.inherit(before.downlink)

    def begin(self) -> None:
        """Start polling, if this gateway is on duty, and return at once."""
        self._device_file.take_over()
        self._queue.start(f"{self._owner.name} uplink")
        self._announcing.start(f"{self._owner.name} announcing")
        self.duty.begin(self._owner.name)
        if not self.duty.active:
            return
        for one in self.prepared.misconfigured:
            self.uplink.misconfigured(one.name, one.device_type, one.problems)
        self._meters.start(f"{self._owner.name} meters")

    def end(self, *, for_good: bool = True) -> None:
        """Stop polling and release the meters; return when done, in less than a second.

        Unless it is `for_good`, the platform is not told that the meters are not polled, and a host
        that is busy gets some seconds more to release them.
        """
        started = monotonic()
        self.duty.end()
        self._backup.close()
        self._announcing.close(0)  # ends in the background
        if for_good:
            self._meters.stop()
        else:  # what comes next takes the meters, here or in another gateway
            self._meters.stop(_LET_GO_S)
        self.downlink.close()
        if for_good:
            self.uplink.last_words(lambda: monotonic() - started < CLOSE_S - FLUSH_S)
        if not self._queue.close(max(FLUSH_S, CLOSE_S - FLUSH_S - (monotonic() - started))):
            self._log.warning("not all that was read could be handed to the gateway in time")
        self.delivering.close(FLUSH_S)
        if for_good:
            until_taken(self._gateway, CLOSE_S - (monotonic() - started))
        self._announcing.close(FLUSH_S / 2)
        self._announcer.close()
        if for_good:
            self._depart()
        self._device_file.give_back()
        self._forget_reports()
        self._retire()
        if self._gateway.stopped:
            garbage.ending()
        took_ms = (monotonic() - started) * 1000
        self._log.info("closed within %.0f ms%s", took_ms, self._account())

    def device_deleted(self, name_there: str) -> None:
        """Note that the platform has deleted a device, by its name there."""
        for device in self.prepared.devices:
            if self._renames.name_of(device.device_name) == name_there:
                self.uplink.deleted(device.device_name)
                self.delivering.deleted(device.device_name)

    # How the parts are made

    def _make_uplink(self) -> Uplink:
        return Uplink(
            self.prepared.converters,
            self._announcer,
            self._queue,
            self._announcing,
            self._log,
            send=self._owner.send,
            count=self._owner.count,
            came_online=lambda name: self.downlink.online(name),
            numeric_texts=self.prepared.configuration.numeric_texts,
            largest_attribute=self._largest_attribute,
            keeper=self.delivering,
            shared=self.duty.is_shared,
        )

    def _make_downlink(self) -> Downlink:
        return Downlink(
            self._gateway,
            self._owner.get_type(),
            self.prepared.devices,
            self.downlink_converters,
            run=lambda job: self._meters.call(job),
            tell_attributes=self.uplink.attributes,
            tell_telemetry=self.uplink.event,
            audit_telemetry=self.prepared.configuration.audit_telemetry,
            log=self._log,
            largest_attribute=self._largest_attribute,
            connector_id=self._owner.get_id(),
            itself={"getDelivery": self.delivering.status, "getRole": self.duty.attributes},
            refusal=self.duty.refusal,
        )

    def _converter(self, device: Device, configuration: Configuration) -> Converter:
        log, strategy = self._converter_log, configuration.report_strategy
        connector_type, texts = self._owner.get_type(), configuration.numeric_texts
        downlink = downlink_converter(device, log, connector_type, texts)
        self.downlink_converters[device.device_name] = downlink
        made: Converter = uplink_converter(device, log, connector_type, strategy, texts)
        return made

    def _make_fleet(self) -> Fleet:
        """Make the fleet, in the meters' thread, and what needs the folder of the state."""
        name = self._owner.name
        folder = state_directory(
            self.prepared.configuration.state_directory,
            self._gateway.config.get("storage", {}),
            Path(self._gateway.get_config_path()),
            self._log,
            name,
        )
        folder = self._folder = self._with_tenure(folder)
        if folder is not None:
            last_good.keep(self._config, folder, name, self._log)
            self._renames.open(folder / f"renamed-{file_name(name)}.json")
        path = folder / f"online-{file_name(name)}.json" if folder is not None else None
        names = [device.device_name for device in self.prepared.devices]
        names += [one.name for one in self.prepared.misconfigured]
        self.uplink.states.open(path, names, self._is_told_by_another)
        self.delivering.open(folder, name)
        self._backup.open(folder, name)
        fleet = self._owner.make_fleet(
            self.prepared.devices,
            self.uplink,
            self._log,
            state_dir=folder,
            listeners=self.prepared.configuration.push,
            adopt=self._adopt,
            records=self.delivering.records,
            groups=self.prepared.configuration.groups,
        )
        self.delivering.lacks = lambda source: self._reread(partial(fleet.reread, source))
        if self.delivering.records is not None:
            self.delivering.records.on_damage = lambda: self._reread(fleet.reread_all)
        self.downlink.start(fleet, folder, self.delivering.records)
        return fleet

    def _reread(self, job: Callable[[], None]) -> None:
        self._meters.call(job)

    def _adopt(self, device: Device) -> bool:
        """Take a device that was made for a meter that pushes; false if it may not be used."""
        name = device.device_name
        if name in self.prepared.converters or self._denied(name):
            return False
        if self._is_told_by_another(name):
            return False
        try:
            converter = self._converter(device, self.prepared.configuration)
        except ConfigError as error:
            self._log.error("%s cannot be made: %s", name, error)
            return False
        self.uplink.adopt(device, converter)
        self.delivering.adopt(name)
        return True

    # What the parts need

    def _account(self) -> str:
        """Say what became of all polls: counters begin anew with the next parts."""
        if (fleet := self.fleet) is None:
            return ""
        dropped = f", {self.dropped} not sent" if self.dropped else ""
        return f": {fleet.tally}{dropped}, {self.uplink.readings} values read"

    def _note_dropped(self, count: int) -> None:
        self.dropped += count
        self._owner.count("convertersMsgDropped", count)

    def _idle_s(self) -> float:
        return IDLE_S if self._gateway.tb_client is not None else STARTING_S

    def _reconcile(self) -> None:
        self._announcer.reconcile()
        now, before = session(self._gateway), self._session
        if now is not before:
            self._session = now
            if before is not None:
                self.uplink.states.doubt()
        self.uplink.states.reconcile()
        self.delivering.reconcile()
        self.duty.tell(self._gateway)
        self._device_file.write()
        self._memory.look()
        if monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOK_S
            if self.watch.changed():
                self._owner.table_changed()

    def _with_tenure(self, folder: Path | None) -> Path | None:
        """Note that invocation counters may have been used elsewhere; None if it cannot be."""
        if folder is not None:
            share = str(self.duty.share) if self.duty.share.count > 1 else ""
            try:
                begin_tenure(folder, share, anew=self.duty.is_paired)
            except OSError as error:
                self._log.error("nothing is kept in %s: %s", folder, error)
                return None
        return folder

    def _retire(self) -> None:
        """Let commands ask the meters for their counters: from now on another gateway counts."""
        if self.duty.is_paired and self.duty.active:
            self._with_tenure(self._folder)

    def _is_told_by_another(self, name: str) -> bool:
        """Whether another connector, or another gateway, tells the state of a device."""
        return name in self.prepared.elsewhere or self._is_of_another(name)

    def _is_of_another(self, name: str) -> bool:
        devices: Mapping[str, Mapping[str, Any]] = self._gateway.get_devices()
        owner = devices.get(name, {}).get("connector")
        return owner is not None and owner.get_name() != self._owner.name

    def _largest_attribute(self) -> int:
        """Return the largest attribute in bytes; it depends on the platform's payload size."""
        most = LARGEST_VALUE["attributes"]
        with suppress(Exception):  # there is no client yet
            most = max(most, self._gateway.get_max_payload_size_bytes() - _ENVELOPE)
        return most

    def _depart(self) -> None:
        try:
            depart(self._gateway, self._owner, self._announcer.is_connected_there)
        except Exception:  # it only takes the gateway longer
            self._log.debug("the devices could not be taken off the gateway", exc_info=True)

    def _forget_reports(self) -> None:
        """Stop the gateway's periodic reports: it would repeat the last values for ever."""
        with suppress(Exception):
            service = self._gateway.get_report_strategy_service()
            if service is not None:
                service.delete_all_records_for_connector_by_connector_id_and_connector_name(
                    self._owner.get_id(), self._owner.name
                )
